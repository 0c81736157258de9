import { describe, expect, it } from "vitest";
import {
  call,
  cancel,
  cleanedUp,
  ended,
  eventsOf,
  logsOf,
  printed,
  problemOf,
  reached,
  show,
  submit,
  type Target,
  until,
} from "./client.ts";
import type { Job, JobEvent, Spec } from "./contract.ts";
import { onlyWhere } from "./homes.ts";

/** How one runtime's jobs are written, and what is left of a job on it. */
export interface UnhappyFacts {
  name: string;
  job(script: string, more?: Spec): Spec;
  /** What is still there of the job: containers, processes. */
  left(jobId: string): Promise<string[]>;
}

/** Why a job on the stub has no lines in AWS. */
const IN_MEMORY =
  "in AWS what the stub writes is in the memory of the one process that runs it, which no other function can read";

const typesOf = (events: JobEvent[]) => events.map(({ type }) => type);

/** A job that never got as far as its command. */
export function expectNeverStarted(job: Job, category: string, retryable: boolean): void {
  expect(job).toMatchObject({
    status: "FAILED",
    phase: null,
    startedAt: null,
    durationMs: null,
    exitCode: null,
    error: { category, retryable, exitCode: null },
  });
}

/** Failures, timeouts and cancels of commands that did start, on any runtime that runs them for real. */
export function unhappyLives(target: Target, facts: UnhappyFacts): void {
  async function nothingLeft(jobId: string): Promise<JobEvent[]> {
    const events = await cleanedUp(target, jobId);
    expect(await facts.left(jobId)).toEqual([]);
    return events;
  }

  describe(`an unhappy job on ${facts.name}`, () => {
    it("that exits with 3 is USER_CODE and not retryable, whatever its retry policy", async () => {
      const { jobId } = await submit(target, facts.job("echo bad; exit 3", { retry: { maxAttempts: 3 } }));
      const job = await ended(target, jobId);
      expect(job).toMatchObject({ status: "FAILED", exitCode: 3, attempt: 1 });
      expect(job.error).toMatchObject({ category: "USER_CODE", retryable: false, exitCode: 3 });
      expect(job.attempts).toHaveLength(1);
      await nothingLeft(jobId);
    });

    it("whose command is not there is USER_CODE", async () => {
      const { jobId } = await submit(target, { ...facts.job(""), command: ["/no/such/command"] });
      const job = await ended(target, jobId);
      expect(job).toMatchObject({ status: "FAILED", error: { category: "USER_CODE", retryable: false } });
      // Where an init of the runtime's looked for it something did run, and ended as in a shell; else nothing did.
      expect([null, 127]).toContain(job.exitCode);
      const said = [job.error?.message, ...(await logsOf(target, jobId)).map(({ text }) => text)].join("\n");
      expect(said).toContain("/no/such/command");
      await nothingLeft(jobId);
    });

    it("that a signal ends has 128 and its number as exit code", async () => {
      const { jobId } = await submit(target, facts.job('sh -c "kill -9 \\$\\$"; exit $?'));
      expect(await ended(target, jobId)).toMatchObject({
        status: "FAILED",
        exitCode: 137,
        error: { category: "USER_CODE" },
      });
      await nothingLeft(jobId);
    });

    it("that runs too long is TIMED_OUT, and gone", async () => {
      const more = { timeoutSeconds: 1, stopGraceSeconds: 1, retry: { maxAttempts: 3 } };
      const { jobId } = await submit(target, facts.job("echo begun; trap '' TERM; while :; do sleep 1; done", more));
      const job = await ended(target, jobId);
      expect(job).toMatchObject({ status: "TIMED_OUT", phase: null, attempt: 1 });
      expect(job.error).toMatchObject({ category: "TIMEOUT", retryable: false });
      expect(job.durationMs).toBeGreaterThanOrEqual(1000);
      expect((await logsOf(target, jobId)).map(({ text }) => text)).toContain("begun");
      const events = await nothingLeft(jobId);
      expect(typesOf(events).slice(-3)).toEqual(["DEAD_LETTERED", "TIMED_OUT", "CLEANED_UP"]);
      const again = await call<Job>(target, `/jobs/${jobId}/retry`, { method: "POST" });
      expect(again.body.retryOf).toBe(jobId);
      await cancel(target, again.body.jobId);
      await nothingLeft(again.body.jobId);
    });

    it("that is cancelled may say goodbye", async () => {
      const script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done";
      const { jobId } = await submit(target, facts.job(script));
      await printed(target, jobId, "ready");
      const asked = await cancel(target, jobId);
      expect(asked.cancelRequestedAt).not.toBeNull();
      const job = await ended(target, jobId);
      expect(job).toMatchObject({ status: "CANCELLED", phase: null, error: null });
      expect((await logsOf(target, jobId, "?stream=stdout")).map(({ text }) => text)).toEqual(["ready", "bye"]);
      const types = typesOf(await nothingLeft(jobId));
      expect(types.indexOf("CANCEL_REQUESTED")).toBeLessThan(types.indexOf("EXITED"));
      expect(types.slice(-2)).toEqual(["CANCELLED", "CLEANED_UP"]);
    });

    it("that will not hear of it is killed after its grace", async () => {
      const script = "trap '' TERM; echo ready; while :; do sleep 1; done";
      const { jobId } = await submit(target, facts.job(script, { stopGraceSeconds: 1 }));
      await printed(target, jobId, "ready");
      await cancel(target, jobId);
      expect(await ended(target, jobId)).toMatchObject({ status: "CANCELLED", error: null, exitCode: 137 });
      await nothingLeft(jobId);
    });

    it("can be cancelled twice at once, and not after its end", async () => {
      const { jobId } = await submit(target, facts.job("echo ready; exec sleep 1000", { stopGraceSeconds: 1 }));
      await printed(target, jobId, "ready");
      await Promise.all([cancel(target, jobId), cancel(target, jobId), cancel(target, jobId)]);
      expect(await ended(target, jobId)).toMatchObject({ status: "CANCELLED", error: null });
      const events = await nothingLeft(jobId);
      expect(typesOf(events).filter((type) => type === "CANCEL_REQUESTED")).toHaveLength(1);
      problemOf(await call(target, `/jobs/${jobId}/cancel`, { method: "POST" }), 409, "CONFLICT");
      expect(await eventsOf(target, jobId)).toEqual(events);
    });

    it("can be cancelled at once after its submit, and never runs on", async () => {
      const jobs = await Promise.all(
        Array.from({ length: 5 }, () => submit(target, facts.job("exec sleep 1000", { stopGraceSeconds: 0 }))),
      );
      await Promise.all(jobs.map(({ jobId }) => cancel(target, jobId)));
      for (const { jobId } of jobs) {
        expect(await ended(target, jobId)).toMatchObject({ status: "CANCELLED", error: null });
        await nothingLeft(jobId);
      }
    });

    it("waits for the other one of its concurrency key, and says so; cancelled there it has never run", async () => {
      const concurrencyKey = `key-${facts.name}`;
      const first = await submit(target, facts.job("exec sleep 1000", { concurrencyKey, stopGraceSeconds: 0 }));
      await reached(target, first.jobId, "STARTED");
      const second = await submit(target, facts.job("echo never", { concurrencyKey }));
      const waiting = await until(target, second.jobId, ({ waitReason }) =>
        expect(waitReason?.code).toBe("KEY_CONCURRENCY"),
      );
      expect(waiting).toMatchObject({ status: "PENDING", phase: "queued" });
      expect(waiting.waitReason?.message).toContain(concurrencyKey);
      const third = await submit(target, facts.job("echo third", { concurrencyKey }));
      expect(await cancel(target, second.jobId)).toMatchObject({
        status: "CANCELLED",
        exitCode: null,
        startedAt: null,
      });
      expect(typesOf(await eventsOf(target, second.jobId))).toEqual(["SUBMITTED", "CANCEL_REQUESTED", "CANCELLED"]);
      expect(await show(target, third.jobId)).toMatchObject({ status: "PENDING" });
      await cancel(target, first.jobId);
      await nothingLeft(first.jobId);
      // The key is free again.
      expect(await ended(target, third.jobId)).toMatchObject({ status: "SUCCEEDED" });
      await nothingLeft(third.jobId);
    });
  });
}

/** Retries, on the runtime that fails as its script says. */
export function retries(target: Target): void {
  const flaky = (times: number, retry: Spec) => ({
    runtime: "stub",
    env: { STUB_FAIL: "IMAGE_PULL", STUB_FAIL_ATTEMPTS: String(times), STUB_LINES: "2" },
    retry,
  });

  describe("a retry policy", () => {
    onlyWhere(target, "local", {
      reason: IN_MEMORY,
      fn: () => {
        it("brings a job through that fails twice, with every line of every attempt in one log", async () => {
          const env = { STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: "2", STUB_LINES: "2" };
          const { jobId } = await submit(target, { runtime: "stub", env, retry: { maxAttempts: 5, delaySeconds: 0 } });
          const job = await ended(target, jobId);
          expect(job).toMatchObject({ status: "SUCCEEDED", attempt: 3, maxAttempts: 5, exitCode: 0, error: null });
          expect(job.attempts).toMatchObject([
            { attempt: 1, error: { category: "UNKNOWN" } },
            { attempt: 2, error: { category: "UNKNOWN" } },
            { attempt: 3, exitCode: 0, error: null },
          ]);
          const lines = await logsOf(target, jobId);
          expect(lines.map(({ seq, attempt, text }) => `${seq} ${attempt} ${text}`)).toEqual([
            "1 1 line 1",
            "2 1 line 2",
            "3 2 line 1",
            "4 2 line 2",
            "5 3 line 1",
            "6 3 line 2",
          ]);
          const events = await cleanedUp(target, jobId);
          expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
          expect(typesOf(events).filter((type) => type === "RETRY_SCHEDULED")).toHaveLength(2);
          expect(typesOf(events).filter((type) => type === "CLEANED_UP")).toHaveLength(3);
          expect(new Set(events.map(({ attempt }) => attempt))).toEqual(new Set([1, 2, 3]));
        });
      },
    });

    it("gives up after its last attempt", async () => {
      const { jobId } = await submit(target, flaky(100, { maxAttempts: 3, delaySeconds: 0 }));
      const job = await ended(target, jobId);
      expectNeverStarted(job, "IMAGE_PULL", true);
      expect(job.attempts.map(({ attempt, exitCode }) => [attempt, exitCode])).toEqual([
        [1, null],
        [2, null],
        [3, null],
      ]);
      expect(typesOf(await cleanedUp(target, jobId)).filter((type) => type === "RETRY_SCHEDULED")).toHaveLength(2);
    });

    it("does nothing for a category that it does not name", async () => {
      const { jobId } = await submit(target, flaky(100, { maxAttempts: 3, delaySeconds: 0, on: ["UNKNOWN"] }));
      const job = await ended(target, jobId);
      // Retryable is what the category is, whatever the policy says.
      expectNeverStarted(job, "IMAGE_PULL", true);
      expect(job.attempts).toHaveLength(1);
      await cleanedUp(target, jobId);
    });

    it("lets a job that waits for its next attempt be cancelled", async () => {
      const { jobId } = await submit(target, flaky(100, { maxAttempts: 2, delaySeconds: 3600, maxDelaySeconds: 3600 }));
      await reached(target, jobId, "RETRY_SCHEDULED");
      const waiting = await until(target, jobId, ({ waitReason }) => expect(waitReason?.code).toBe("BACKOFF"));
      expect(waiting).toMatchObject({ status: "RETRYING", attempt: 1, finishedAt: null });
      expect(await cancel(target, jobId)).toMatchObject({ status: "CANCELLED", waitReason: null, error: null });
      const job = await ended(target, jobId);
      expect(job).toMatchObject({ status: "CANCELLED", phase: null, exitCode: null });
      expect(job.attempts).toHaveLength(1);
      problemOf(await call(target, `/jobs/${jobId}/cancel`, { method: "POST" }), 409, "CONFLICT");
    });
  });
}
