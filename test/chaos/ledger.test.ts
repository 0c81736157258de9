import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { advance } from "../../engine/ledger/advance.ts";
import { eventKey, queueKey } from "../../engine/ledger/keys.ts";
import { acceptJob, openLedger, type TestLedger } from "../engine/ledger/fixtures.ts";
import { temporaryFolder } from "../scenarios/local-home.ts";
import { endings, eventGaps, leftCounters, takeCensus } from "./ledger.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let ledger: TestLedger;

beforeEach(async () => {
  folder = await temporaryFolder();
  ledger = openLedger({ file: join(folder.path, "ledger.db") });
});
afterEach(async () => {
  await ledger.table.close();
  await folder.remove();
});

describe("what is read from a home's ledger", () => {
  it("tells where jobs stand, while the home writes", async () => {
    await acceptJob(ledger);
    const admitted = await acceptJob(ledger);
    await advance(ledger, admitted, { type: "ADMIT", attempt: 1, slotShard: 0 });
    expect(takeCensus(folder.path)).toEqual({ queued: 1, admitted: 1 });
  });

  it("finds nothing left when every job has ended, and one end each", async () => {
    const jobId = await acceptJob(ledger);
    await advance(ledger, jobId, { type: "CANCEL", by: "a test" });
    expect(leftCounters(folder.path)).toEqual([]);
    expect(takeCensus(folder.path)).toEqual({});
    expect(endings(folder.path)).toEqual([{ status: "CANCELLED", ends: 1, jobs: 1 }]);
    expect(eventGaps(folder.path)).toEqual({ jobs: 1, faults: [] });
  });

  it("finds counters that are not zero and jobs that have not come to rest", async () => {
    await acceptJob(ledger);
    const left = leftCounters(folder.path);
    expect(left).toEqual(
      expect.arrayContaining([
        "QUEUE#0 COUNT: count is 1",
        "LANES#stub#0 default: waiting is 1",
        "1 jobs are still queued",
      ]),
    );
  });

  it("finds a counter that went below zero", async () => {
    await ledger.table.commit([{ kind: "patch", key: queueKey(0), add: { count: -1 } }]);
    expect(leftCounters(folder.path)).toEqual(["QUEUE#0 COUNT: count is -1"]);
  });

  it("finds a gap between the events of a job, and a second end", async () => {
    const jobId = await acceptJob(ledger);
    await advance(ledger, jobId, { type: "CANCEL", by: "a test" });
    await ledger.table.commit([{ kind: "put", item: { ...eventKey(jobId, 5), type: "FAILED" } }]);
    expect(eventGaps(folder.path)).toEqual({ jobs: 1, faults: [`JOB#${jobId}: 4 events up to 5`] });
    expect(endings(folder.path)).toEqual([{ status: "CANCELLED", ends: 2, jobs: 1 }]);
  });
});
