import { afterEach, describe, expect, test } from "vitest";
import { advance } from "../../../engine/ledger/advance.ts";
import { occurrences } from "../lives.ts";
import { acceptJob, type LedgerOptions, openLedger, type TestLedger } from "./fixtures.ts";

const opened: TestLedger[] = [];
const open = (options: LedgerOptions) => {
  const ledger = openLedger(options);
  opened.push(ledger);
  return ledger;
};
afterEach(async () => {
  for (const ledger of opened.splice(0)) await ledger.sqlite.close();
});

/** What one more submission to the full queue is told. */
async function told(ledger: TestLedger): Promise<number | undefined> {
  const refusal = await acceptJob(ledger).then(
    () => expect.fail("it was accepted"),
    (error: unknown) => error,
  );
  expect(refusal).toMatchObject({ code: "QUEUE_FULL" });
  return (refusal as { retryAfterSeconds?: number }).retryAfterSeconds;
}

/** Lets jobs leave the queue and others come, one each so many milliseconds. */
async function drain(ledger: TestLedger, count: number, everyMs: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const jobId = await acceptJob(ledger);
    ledger.nowMs += everyMs;
    await advance(ledger, jobId, n % 5 === 4 ? occurrences().CANCEL : occurrences().ADMIT);
  }
  await acceptJob(ledger);
}

describe("a full queue tells when to come again", () => {
  test("60 s when nothing left it lately", async () => {
    const ledger = open({ maxQueued: 1 });
    await acceptJob(ledger);
    expect(await told(ledger)).toBe(60);
  });

  test.each([
    { everyMs: 100, seconds: [1, 1] },
    { everyMs: 5_000, seconds: [4, 6] },
    { everyMs: 20_000, seconds: [15, 25] },
    // Two in the last minute: not more is known.
    { everyMs: 59_000, seconds: [30, 60] },
  ])("from the rate of one each $everyMs ms", async ({ everyMs, seconds: [least = 0, most = 0] }) => {
    for (const shards of [1, 2]) {
      const ledger = open({ maxQueued: shards === 1 ? 1 : 2, shards });
      if (shards === 2) await acceptJob(ledger);
      await drain(ledger, 40, everyMs);
      const seconds = await told(ledger);
      expect(seconds).toBeGreaterThanOrEqual(least);
      expect(seconds).toBeLessThanOrEqual(most);
    }
  });

  test("from the last minute only, and from what every process saw", async () => {
    const ledger = open({ maxQueued: 1 });
    await drain(ledger, 20, 50);
    expect(await told({ ...ledger })).toBe(1);
    ledger.nowMs += 75_000;
    expect(await told(ledger)).toBe(60);
  });
});
