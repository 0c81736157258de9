import { afterAll, beforeAll, expect, it } from "vitest";
import { FAULTS } from "../lab/aws-faults.ts";
import { describeWith } from "../lab/counterparts.ts";
import { type Account, makeResources, openAccount, type Resources } from "./account.ts";
import { REACHES, type Strike } from "./calls.ts";
import { objectionsTo } from "./check.ts";
import { type Life, live } from "./life.ts";
import { COURSES, type CourseName } from "./paths.ts";

const AT_ONCE = Number(process.env.AT_ONCE ?? 12);

describeWith(["dynamodb", "aws"], "every call of a job's life, with every fault", () => {
  let resources: Resources;
  const accounts: Account[] = [];
  beforeAll(async () => {
    resources = await makeResources();
    for (let n = 0; n < AT_ONCE; n++) accounts.push(await openAccount(resources));
  });
  afterAll(async () => {
    for (const account of accounts) await account.close();
  });

  it.each(Object.keys(COURSES) as CourseName[])(
    "a job that %s ends the same, started once",
    async (name) => {
      const course = COURSES[name];
      const undisturbed = await live(accounts[0] as Account, course, null);
      console.log(name, undisturbed.calls.made().length, undisturbed.lastedMs, undisturbed.calls.made().join("\n"));
      expect(await objectionsTo(undisturbed, course, undisturbed)).toEqual([]);
      const strikes = undisturbed.calls
        .made()
        .flatMap((call) => FAULTS.flatMap((fault) => REACHES.map((reach): Strike => ({ call, fault, reach }))));
      const began = Date.now();
      const objections: string[] = [];
      const queue = [...strikes];
      const work = async (account: Account) => {
        for (let strike = queue.shift(); strike !== undefined; strike = queue.shift()) {
          const text = `${strike.call} ${strike.fault} ${strike.reach}`;
          try {
            const life: Life = await live(account, course, strike);
            const found = await objectionsTo(life, course, undisturbed);
            if (life.calls.struck() === 0) found.push("the call never came");
            objections.push(...found.map((one) => `${text}: ${one}`));
          } catch (error) {
            objections.push(`${text}: ${error}`);
            // XXX replace account
          }
        }
      };
      await Promise.all(accounts.map(work));
      console.log(name, strikes.length, Date.now() - began);
      expect(objections).toEqual([]);
    },
    600_000,
  );
});
