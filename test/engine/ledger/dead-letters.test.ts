import { monotonicFactory } from "ulid";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { jobError } from "../../../engine/errors.ts";
import { deadLetterIdOf, type JobId } from "../../../engine/ids.ts";
import { advance } from "../../../engine/ledger/advance.ts";
import {
  deadLetterCursorMs,
  listDeadLetters,
  readDeadLetter,
  removeDeadLetter,
} from "../../../engine/ledger/dead-letters.ts";
import { deadLetterKey, sealedKey } from "../../../engine/ledger/keys.ts";
import { readSealed } from "../../../engine/ledger/read.ts";
import type { Occurrence, OccurrenceType } from "../../../engine/occurrences.ts";
import type { TerminalStatus } from "../../../engine/states.ts";
import { finishForRetry, occurrences } from "../lives.ts";
import { acceptJob, openLedger, type TestLedger } from "./fixtures.ts";

const SINCE = "2025-11-20T00:00:00.000Z";
const error = jobError("USER_CODE", "no", { exitCode: 3 });
/** Longer than any of these tests lets pass, but one. */
const RETENTION_SECONDS = 366 * 24 * 3600;
let ledger: TestLedger;
let mint: ReturnType<typeof monotonicFactory>;
beforeEach(() => {
  ledger = openLedger({ maxQueued: 100_000, sealedRetentionSeconds: RETENTION_SECONDS });
  mint = monotonicFactory();
});
afterEach(() => ledger.sqlite.close());

const TO_END: OccurrenceType[] = ["ADMIT", "DISPATCH", "START", "EXIT"];

/** Ends a job at the ledger's time. */
async function ends(jobId: JobId, status: TerminalStatus = "FAILED", attempt = 1): Promise<void> {
  const failed = status === "FAILED" || status === "TIMED_OUT";
  const finish: Occurrence = { ...occurrences(attempt).FINISH, outcome: { status, error: failed ? error : null } };
  for (const type of TO_END)
    await advance(ledger, jobId, { ...occurrences(attempt)[type], slotShard: 0 } as Occurrence);
  await advance(ledger, jobId, finish);
}

async function failedAt(times: string[], jobIds: JobId[] = []): Promise<string[]> {
  const ids: string[] = [];
  for (const [n, time] of times.entries()) {
    ledger.nowMs = Date.parse(time);
    const jobId = jobIds[n] ?? (`job_${mint(ledger.nowMs)}` as JobId);
    if (jobIds[n] === undefined) await acceptJob(ledger, { jobId });
    await ends(jobId);
    ids.push(deadLetterIdOf(jobId));
  }
  return ids;
}

async function everyPage(limit: number, between: () => Promise<unknown> = async () => undefined): Promise<string[]> {
  const seen: string[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await listDeadLetters(ledger, { limit, since: SINCE, ...(cursor ? { cursor } : {}) });
    expect(page.letters.length).toBeLessThanOrEqual(limit);
    seen.push(...page.letters.map(({ id }) => id));
    cursor = page.nextCursor;
    if (cursor) expect(deadLetterCursorMs(cursor)).toBeLessThanOrEqual(ledger.nowMs);
    await between();
  } while (cursor);
  return seen;
}

describe("a dead letter", () => {
  test.each(["FAILED", "TIMED_OUT"] as const)("of a job that %s goes with its sealed spec", async (status) => {
    const jobId = await acceptJob(ledger, { name: "nightly" });
    await ends(jobId, status);
    const createdAt = new Date(ledger.nowMs).toISOString();
    const id = jobId.replace("job_", "dl_");
    const kept = { id, jobId, name: "nightly", error, attempts: 1, createdAt, replayedAs: null, replayed: false };
    expect(await readDeadLetter(ledger, jobId)).toEqual(kept);
    const ttl = Math.ceil(ledger.nowMs / 1000) + RETENTION_SECONDS;
    expect(await ledger.table.get(deadLetterKey(jobId))).toMatchObject({ ttl });
    expect(await ledger.table.get(sealedKey(jobId))).toMatchObject({ ttl });
    await ledger.sqlite.sweepExpired(ttl, 100);
    expect(await readDeadLetter(ledger, jobId)).toBeUndefined();
    expect(await everyPage(10)).toEqual([]);
  });

  test.each(["SUCCEEDED", "CANCELLED"] as const)("of a job that %s there is none", async (status) => {
    const jobId = await acceptJob(ledger);
    await ends(jobId, status);
    expect(await readDeadLetter(ledger, jobId)).toBeUndefined();
  });

  test("is made when the last attempt has failed, and counts them all", async () => {
    const jobId = await acceptJob(ledger);
    for (const type of TO_END) await advance(ledger, jobId, { ...occurrences()[type], slotShard: 0 } as Occurrence);
    await advance(ledger, jobId, finishForRetry(1));
    expect(await readDeadLetter(ledger, jobId)).toBeUndefined();
    await advance(ledger, jobId, occurrences().CLEAN);
    await advance(ledger, jobId, { ...occurrences().REQUEUE, queueShard: 0 });
    await ends(jobId, "FAILED", 2);
    expect(await readDeadLetter(ledger, jobId)).toMatchObject({ attempts: 2 });
  });

  test("stays as it was when its job is cleaned up or its end is told again", async () => {
    const jobId = await acceptJob(ledger);
    await ends(jobId);
    const before = await readDeadLetter(ledger, jobId);
    ledger.nowMs += 60_000;
    await advance(ledger, jobId, occurrences().FINISH);
    await advance(ledger, jobId, occurrences().CLEAN);
    expect(await readDeadLetter(ledger, jobId)).toEqual(before);
  });

  test("whose time is over is gone before the table removes it", async () => {
    const jobId = await acceptJob(ledger);
    await ends(jobId);
    const listed = async () => (await listDeadLetters(ledger, { limit: 10, since: SINCE })).letters.map(({ id }) => id);
    ledger.nowMs = (Math.ceil(ledger.nowMs / 1000) + RETENTION_SECONDS) * 1000 - 1;
    expect(await listed()).toEqual([deadLetterIdOf(jobId)]);
    expect(await readSealed(ledger, jobId)).toEqual(Buffer.from("sealed"));
    ledger.nowMs += 1;
    expect(await ledger.table.get(deadLetterKey(jobId))).toMatchObject({ jobId });
    expect(await readDeadLetter(ledger, jobId)).toBeUndefined();
    expect(await listed()).toEqual([]);
    await expect(removeDeadLetter(ledger, jobId)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await readSealed(ledger, jobId)).toBeUndefined();
    expect(await ledger.sqlite.sweepExpired(ledger.nowMs / 1000, 100)).toBeGreaterThanOrEqual(2);
    expect(await ledger.table.get(sealedKey(jobId))).toBeUndefined();
  });

  test("is removed once, and does not come back with what is told of its job later", async () => {
    const jobId = await acceptJob(ledger);
    await ends(jobId);
    const removals = await Promise.allSettled([removeDeadLetter(ledger, jobId), removeDeadLetter(ledger, jobId)]);
    expect(removals.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    await expect(removeDeadLetter(ledger, jobId)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await advance(ledger, jobId, occurrences().FINISH);
    await advance(ledger, jobId, occurrences().CLEAN);
    expect(await readDeadLetter(ledger, jobId)).toBeUndefined();
    expect(await everyPage(10)).toEqual([]);
  });
});

describe("the list of dead letters", () => {
  /** Edges of months and a turn of the year, two at one time. */
  const TIMES = ["2025-11", "2025-12", "2026-01", "2026-03"].flatMap((month) =>
    ["28T23:59:59.999Z", "28T23:59:59.999Z", "29T00:00:00.000Z", "30T23:59:59.999Z"].map((rest) => `${month}-${rest}`),
  );

  test.each([1, 2, 3, 7, 200])("in pages of %i shows each once, newest first, over months", async (limit) => {
    const ids = await failedAt(TIMES);
    expect(await everyPage(limit)).toEqual([...ids].reverse());
  });

  test("goes by the time of the failure, not by the age of the job", async () => {
    ledger.nowMs = Date.parse("2025-12-01T00:00:00.000Z");
    const [first, second, third] = [await acceptJob(ledger), await acceptJob(ledger), await acceptJob(ledger)];
    const times = ["2026-02-01T00:00:00.000Z", "2026-02-28T00:00:00.000Z", "2026-03-01T00:00:00.000Z"];
    const ids = await failedAt(times, [third, first, second]);
    for (const limit of [1, 2, 10]) expect(await everyPage(limit)).toEqual([...ids].reverse());
  });

  test("goes on where it was, also when what the cursor points at is removed and others come", async () => {
    const ids = await failedAt(TIMES);
    let minute = 0;
    const seen = await everyPage(2, async () => {
      const last = ids[ids.length - 2 * (minute + 1)];
      if (last !== undefined) await removeDeadLetter(ledger, last.replace("dl_", "job_") as JobId);
      minute += 1;
      await failedAt([new Date(Date.parse("2026-04-01") + minute * 60_000).toISOString()]);
    });
    expect(seen).toEqual([...ids].reverse());
  });

  test("reads no month of a future that a cursor speaks of", async () => {
    const ids = await failedAt(["2026-03-01T00:00:00.000Z"]);
    const asked = vi.spyOn(ledger.table, "query");
    const cursor = "9999-12-31T23:59:59.999Z_dl_7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    const page = await listDeadLetters(ledger, { limit: 10, since: SINCE, cursor });
    expect(page.letters.map(({ id }) => id)).toEqual(ids);
    expect(asked.mock.calls.length).toBeLessThan(50);
  });

  test.each([
    "",
    "_",
    "dl_01KGABCDEFGHJKMNPQRSTVWXYZ",
    "2026-03-01T00:00:00.000Z",
    "2026-03-01T00:00:00.000Z_job_01KGABCDEFGHJKMNPQRSTVWXYZ",
    "2026-03-01T00:00:00Z_dl_01KGABCDEFGHJKMNPQRSTVWXYZ",
    "2026-02-30T00:00:00.000Z_dl_01KGABCDEFGHJKMNPQRSTVWXYZ",
    "2026-13-01T00:00:00.000Z_dl_01KGABCDEFGHJKMNPQRSTVWXYZ",
  ])("has no cursor %j", (text) => {
    expect(deadLetterCursorMs(text)).toBeUndefined();
  });
});
