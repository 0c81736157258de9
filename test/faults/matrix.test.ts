import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { type Account, makeResources, openAccount, type Resources } from "./account.ts";
import type { Strike } from "./calls.ts";
import { objectionsTo } from "./check.ts";
import { COURSES, type CourseName } from "./courses.ts";
import { type Life, live } from "./life.ts";
import { callsOfEcs, everyStrike, isPoll, lostWrites, strikesOfEcs, tellingStrikes } from "./strikes.ts";

/** `npm run faults` strikes every call with every fault, which takes half an hour. */
const ALL = process.env.LONGSHORE_FAULTS === "all";
/** Jobs at once, each in an account of its own. */
const AT_ONCE = 12;
const LIMIT_MS = ALL ? 3_600_000 : 300_000;

const SAMPLES: Record<CourseName, (calls: readonly string[]) => Strike[]> = {
  "runs and ends": tellingStrikes,
  "fails once and is retried": lostWrites,
  "is cancelled": lostWrites,
  "runs on ECS": strikesOfEcs,
};

describeWith(["dynamodb", "aws"], "a fault at a call of AWS", () => {
  let resources: Resources;
  const accounts: Account[] = [];
  beforeAll(async () => {
    resources = await makeResources();
    accounts.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => openAccount(resources)))));
  });
  afterAll(async () => {
    for (const account of accounts) await account.close();
  });

  it.each(Object.keys(COURSES) as CourseName[])(
    "changes nothing for a job that %s: it ends so, and each attempt was started once",
    async (name) => {
      const course = COURSES[name];
      const undisturbed = await live(accounts[0] as Account, course, null);
      expect(await objectionsTo(undisturbed, { course, undisturbed })).toEqual([]);
      const made = undisturbed.calls.made();
      const calls = name === "runs on ECS" ? callsOfEcs(made) : made;
      const strikes = (ALL ? everyStrike : SAMPLES[name])(calls);
      expect(strikes.length).toBeGreaterThan(15);
      const objections: string[] = [];
      await each(strikes, async (account, strike) => {
        const life: Life = await live(account, course, strike);
        const found = await objectionsTo(life, { course, undisturbed, strike });
        if (life.calls.struck() === 0 && !isPoll(strike)) found.push("the call never came");
        const { call, fault, reach } = strike;
        objections.push(...found.map((one) => `${call}, ${fault}, ${reach}: ${one}`));
      });
      expect(objections).toEqual([]);
    },
    LIMIT_MS,
  );

  /** Does the work on each, one at a time in each account. An account in which it failed is given up with what is in it. */
  async function each(strikes: readonly Strike[], work: (account: Account, strike: Strike) => Promise<void>) {
    const rest = [...strikes];
    const failures: string[] = [];
    const takeAll = async (_: Account, at: number) => {
      for (let strike = rest.shift(); strike !== undefined; strike = rest.shift()) {
        try {
          await work(accounts[at] as Account, strike);
        } catch (error) {
          failures.push(`${Object.values(strike).join(", ")}: ${error}`);
          await accounts[at]?.close();
          accounts[at] = await openAccount(resources);
        }
      }
    };
    await Promise.all(accounts.map(takeAll));
    expect(failures).toEqual([]);
  }
});
