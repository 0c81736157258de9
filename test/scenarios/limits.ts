import { describe, expect, it } from "vitest";
import { call, cancel, cleanedUp, ended, problemOf, reached, submit, type Target, until } from "./client.ts";
import type { Job, Page } from "./contract.ts";
import type { RuntimeFacts } from "./runtimes.ts";

/** The settings of a home that `limits` needs: one job at a time on a runtime, three that wait. */
export function limitsEnv(runtime: string): Record<string, string> {
  return { LONGSHORE_MAX_QUEUED: "3", LONGSHORE_MAX_CONCURRENT: `${runtime}=1` };
}

/** What a full queue answers, who waits for what, and who goes first. */
export function limits(target: Target, { name, talk, forever }: RuntimeFacts): void {
  describe("a home with room for one job and three that wait", () => {
    it("refuses one more with 429, says when to come again, and stores nothing", async () => {
      const running = await submit(target, forever());
      await reached(target, running.jobId, "STARTED");
      const waiting = [await submit(target, forever()), await submit(target, forever())];
      const since = `/jobs?createdAfter=${encodeURIComponent(running.createdAt)}`;
      const before = (await call<Page<Job>>(target, since)).body.items.length;

      // All or none: there is room for one of the two.
      const batch = await call(target, "/jobs/batch", { body: { jobs: [talk(0), talk(0)] } });
      problemOf(batch, 429, "QUEUE_FULL");
      expect(Number(batch.headers.get("retry-after"))).toBeGreaterThan(0);
      waiting.push(await submit(target, forever()));
      const headers = { "Idempotency-Key": "refused-when-full" };
      const refused = await call(target, "/jobs", { body: talk(0), headers });
      problemOf(refused, 429, "QUEUE_FULL");
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      expect((await call<Page<Job>>(target, since)).body.items).toHaveLength(before + 1);
      // A dry run takes no place.
      expect((await call(target, "/jobs?dryRun=true", { body: talk(0) })).status).toBe(200);

      const job = await until(target, waiting[0]?.jobId ?? "", ({ waitReason }) =>
        expect(waitReason?.code).toBe("RUNTIME_CONCURRENCY"),
      );
      expect(job.waitReason?.message).toContain(name);
      for (const { jobId } of waiting) await cancel(target, jobId);
      await cancel(target, running.jobId);
      await cleanedUp(target, running.jobId);
      // The place is free again, and the key was not used up.
      expect(await ended(target, (await submit(target, talk(0), headers)).jobId)).toMatchObject({
        status: "SUCCEEDED",
      });
    });

    it("runs the more important first, then the older, and never two at once", async () => {
      const first = await submit(target, forever());
      await reached(target, first.jobId, "STARTED");
      const low = await submit(target, { ...talk(0), priority: -1 });
      const older = await submit(target, { ...talk(0), priority: 5 });
      const newer = await submit(target, { ...talk(0), priority: 5 });
      await cancel(target, first.jobId);
      const ends = await Promise.all([older, newer, low].map(({ jobId }) => ended(target, jobId)));
      for (const [index, job] of ends.entries()) {
        const before = index === 0 ? await ended(target, first.jobId) : ends[index - 1];
        expect(Date.parse(job.startedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(before?.finishedAt ?? ""));
      }
      for (const { jobId } of [first, low, older, newer]) await cleanedUp(target, jobId);
    });
  });
}
