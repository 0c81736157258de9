import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { advance } from "../../../engine/ledger/advance.ts";
import { attemptKey, jobKey, masksKey } from "../../../engine/ledger/keys.ts";
import { readAttempts, readLife } from "../../../engine/ledger/read.ts";
import type { AttemptRecord, JobRecord } from "../../../engine/ledger/records.ts";
import { currentAttempt } from "../../../engine/ledger/under-way.ts";
import type { Change } from "../../../engine/ports/table.ts";
import { occurrences } from "../lives.ts";
import { acceptJob, openLedger, type TestLedger } from "./fixtures.ts";

let ledger: TestLedger;
let commits: Change[][];

beforeEach(() => {
  commits = [];
  ledger = openLedger({
    wrap: (table) => ({
      ...table,
      commit: (changes: Change[]) => {
        commits.push(changes);
        return table.commit(changes);
      },
    }),
  });
});
afterEach(() => ledger.sqlite.close());

const { ADMIT, DISPATCH, START, STOP, EXIT, FINISH, CLEAN } = occurrences();
const sks = (changes: Change[] | undefined) =>
  (changes ?? []).map((change) => (change.kind === "put" ? change.item.sk : change.key.sk));
const stored = async (jobId: string) => (await ledger.table.get(attemptKey(jobId, 1))) as unknown as AttemptRecord;

describe("an attempt under way", () => {
  test("is written with its token and with its verdict, and known in between all the same", async () => {
    const jobId = await acceptJob(ledger);
    const writes: boolean[] = [];
    for (const happened of [ADMIT, DISPATCH, START, STOP, EXIT, FINISH, CLEAN]) {
      const { life } = await advance(ledger, jobId, happened);
      writes.push(sks(commits.at(-1)).includes("ATTEMPT#0001"));
      expect((await readLife(ledger, jobId))?.attempt ?? null).toEqual(life.attempt);
      expect(await readAttempts(ledger, jobId)).toEqual(life.attempt === null ? [] : [life.attempt]);
    }
    expect(writes).toEqual([false, true, false, false, false, true, false]);
    expect(await stored(jobId)).toMatchObject({ exit: EXIT.exit, startedAt: START.startedAt, token: null });
    expect(await ledger.table.get(jobKey(jobId))).not.toHaveProperty("underWay");
  });

  test("is written whole when it gets another token, with all that is known by then", async () => {
    const jobId = await acceptJob(ledger);
    for (const happened of [ADMIT, DISPATCH, START, { ...DISPATCH, token: "another" }]) {
      await advance(ledger, jobId, happened);
    }
    expect(await stored(jobId)).toMatchObject({ token: "another", startedAt: START.startedAt });
    await advance(ledger, jobId, EXIT);
    const life = await readLife(ledger, jobId);
    expect(life?.attempt).toMatchObject({ token: "another", externalRef: START.externalRef, exit: EXIT.exit });
    // What the job says anyway is not there twice.
    expect(Object.keys(life?.job.underWay ?? {}).sort()).not.toContain("externalRef");
  });

  test("has its verdict whatever an older record of its job says", async () => {
    const jobId = await acceptJob(ledger);
    for (const happened of [ADMIT, DISPATCH, START]) await advance(ledger, jobId, happened);
    const before = (await readLife(ledger, jobId))?.job as JobRecord;
    for (const happened of [EXIT, FINISH]) await advance(ledger, jobId, happened);
    const final = await stored(jobId);
    expect(currentAttempt(before, final)).toEqual(final);
    expect(currentAttempt({ ...before, underWay: { attempt: 2, stop: "lost" } }, final)).toEqual(final);
  });

  test.each([
    [true, true],
    [undefined, true],
    [false, false],
  ])("with values to mask %s has them removed at its clean-up: %s", async (masked, isRemoved) => {
    const jobId = await acceptJob(ledger);
    const dispatch = masked === undefined ? DISPATCH : { ...DISPATCH, masked };
    for (const happened of [ADMIT, dispatch, START, EXIT, FINISH, CLEAN]) await advance(ledger, jobId, happened);
    expect(sks(commits.at(-1)).includes(masksKey(jobId, 1).sk)).toBe(isRemoved);
  });
});
