import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { history, mostWaiting } from "../lab/history.ts";
import { call, ended, problemOf, show } from "./client.ts";
import type { Job, Page } from "./contract.ts";
import { TERMINAL } from "./contract.ts";
import { onlyOn } from "./homes.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { stubJob } from "./runtimes.ts";

const MAX_QUEUED = 10;
const SUBMITTERS = 24;

let home: LocalHome;

beforeAll(async () => {
  const bounds = { LONGSHORE_MAX_QUEUED: String(MAX_QUEUED), LONGSHORE_MAX_CONCURRENT: "stub=2" };
  home = await startLocalHome({ env: { ...bounds, LONGSHORE_RUNTIMES: "stub", LONGSHORE_LOG_LEVEL: "error" } });
});
afterAll(async () => {
  await home.dispose();
});

/** Many submitters at once: alone, in batches and under keys of their own. Resolves with the ids that were accepted. */
async function flood(each: number): Promise<string[]> {
  const accepted: string[] = [];
  const job = stubJob({ STUB_DURATION_MS: "20" });
  const submitters = Array.from({ length: SUBMITTERS }, async (_, submitter) => {
    for (let n = 0; n < each; n++) {
      const isBatch = submitter % 3 === 0;
      const headers: Record<string, string> = submitter % 3 === 1 ? { "Idempotency-Key": crypto.randomUUID() } : {};
      const sent = isBatch ? { path: "/jobs/batch", body: { jobs: [job, job, job] } } : { path: "/jobs", body: job };
      const answer = await call<Job & Page<Job>>(home, sent.path, { body: sent.body, headers });
      if (answer.status === 202) accepted.push(...(answer.body.items ?? [answer.body]).map(({ jobId }) => jobId));
      else {
        problemOf(answer, 429, "QUEUE_FULL");
        const seconds = Number(answer.headers.get("retry-after"));
        expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60, `Retry-After: ${seconds}`).toBe(true);
      }
    }
  });
  await Promise.all(submitters);
  return accepted;
}

onlyOn("local", "the home is killed under load, and its ledger read in the order of its commits", () => {
  it("never lets one job more wait than the bound, ends what it accepted, and stores nothing of what it refused", async () => {
    const before = await flood(12);
    await home.end("SIGKILL");
    await home.start();
    // What waited before the crash still counts.
    const accepted = [...before, ...(await flood(12))];
    for (const jobId of accepted) await ended(home, jobId);
    const statuses = await Promise.all(accepted.map(async (jobId) => (await show(home, jobId)).status));
    expect(statuses.filter((status) => !TERMINAL.includes(status))).toEqual([]);

    const events = history(join(home.data, "ledger.db"));
    const submitted = events.filter(({ type }) => type === "SUBMITTED").map(({ jobId }) => jobId);
    expect(submitted.toSorted()).toEqual(accepted.toSorted());
    expect(accepted.length).toBeLessThan(2 * 12 * SUBMITTERS);
    expect(mostWaiting(events)).toBe(MAX_QUEUED);
  });
});
