import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { call, cleanedUp, PATIENCE_MS, reached, submit } from "./client.ts";
import type { Job, Page } from "./contract.ts";
import { KILLS_A_PROCESS } from "./crash.ts";
import { onlyOn } from "./homes.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { processJob, stubJob } from "./runtimes.ts";

let home: LocalHome;
beforeAll(async () => {
  home = await startLocalHome({ env: { LONGSHORE_RECONCILE_SECONDS: "1" } });
});
afterAll(async () => {
  await home.dispose();
});

/** The ids of the jobs that have something in the object store. */
async function stored(): Promise<string[]> {
  const entries = await readdir(join(home.data, "objects"), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return [...new Set(files.flatMap((path) => /job_[0-9A-Z]{26}/.exec(path)?.[0] ?? []))].sort();
}

const runsListed = async () => (await call<Page<Job>>(home, "/runs?limit=200")).body.items.map(({ jobId }) => jobId);

async function finished(count: number): Promise<string[]> {
  const jobs = Array.from({ length: count }, () => stubJob({ STUB_STDOUT: "a line" }));
  const { body } = await call<{ items: Job[] }>(home, "/jobs/batch", { body: { jobs } });
  const ids = body.items.map(({ jobId }) => jobId);
  for (const jobId of ids) await cleanedUp(home, jobId);
  await vi.waitFor(async () => expect(await stored()).toEqual(expect.arrayContaining(ids)), { timeout: PATIENCE_MS });
  return ids;
}

onlyOn("local", KILLS_A_PROCESS, () => {
  describe("a home that is killed", () => {
    it("in the middle of a cleanup leaves what can be found, and another one takes all of it but what is active", async () => {
      const active = await submit(home, processJob("exec sleep 1000"));
      await reached(home, active.jobId, "STARTED");
      const ids = await finished(60);
      for (let kills = 0; kills < 3; kills++) {
        const before = (await runsListed()).length;
        const cleaning = call(home, "/runs/cleanup", { body: { olderThan: "0s" } }).catch(() => "cut");
        await vi.waitFor(async () => expect((await stored()).length).toBeLessThan(before - 5), { interval: 1 });
        await home.end("SIGKILL");
        await cleaning;
        await home.start();
        // Nothing is stored of a job that nobody could find any more.
        const left = new Set([...(await runsListed()), active.jobId]);
        expect((await stored()).filter((jobId) => !left.has(jobId))).toEqual([]);
      }
      expect((await call(home, "/runs/cleanup", { body: { olderThan: "0s" } })).status).toBe(200);
      expect(await runsListed()).toEqual([]);
      expect((await stored()).filter((jobId) => ids.includes(jobId))).toEqual([]);
      expect((await call<Job>(home, `/jobs/${active.jobId}`)).body.status).toBe("RUNNING");
    });

    it("before it has recorded what ended records it at its next start, as it would have", async () => {
      const ids: string[] = [];
      for (let n = 0; n < 20; n++) ids.push((await submit(home, stubJob({ STUB_EXIT_CODE: "1" }))).jobId);
      await home.end("SIGKILL");
      await home.start();
      for (const jobId of ids) await cleanedUp(home, jobId);
      await vi.waitFor(async () => expect(await stored()).toEqual(expect.arrayContaining(ids)), {
        timeout: PATIENCE_MS,
      });
      for (const jobId of ids) {
        const file = join(home.data, "objects", "runs+", `${jobId}+`, "run_receipt.json");
        const { text } = await call(home, `/runs/${jobId}/receipt`);
        await vi.waitFor(async () => expect(await readFile(file, "utf8")).toBe(text), { timeout: PATIENCE_MS });
      }
    });
  });
});
