import { randomUUID } from "node:crypto";
import { access, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import {
  call,
  cancel,
  cleanedUp,
  ended,
  eventsOf,
  follow,
  logsOf,
  PATIENCE_MS,
  printed,
  reached,
  show,
  submit,
} from "./client.ts";
import type { JobEvent, Spec } from "./contract.ts";
import type { LocalHome } from "./local-home.ts";

/** How one runtime's jobs reach a directory of the test. */
export interface CrashFacts {
  name: string;
  /** The directory as the test sees it. */
  folder(): string;
  /** The directory as the job sees it. */
  place(): string;
  job(script: string, more?: Spec): Spec;
  left(jobId: string): Promise<string[]>;
}

/** Why these scenarios are the local home's only. */
export const KILLS_A_PROCESS =
  "the process of the home is killed and started again; AWS's functions are tried by faults of every call (test/adapters)";
/** A container that was made and not started is left to its maker for a while, should he still live. */
const RECOVERY_LIMIT_MS = 60_000;
/** The contract's own number for a clean stop. */
const STOP_LIMIT_MS = 10_000;

/** That no death of the home loses a job, starts one twice, or leaves anything behind. */
export function crashes(home: () => LocalHome, facts: CrashFacts): void {
  /** Notes its start, writes lines, waits until it may go on, writes more, notes its end. */
  function gated(exitCode: number) {
    const id = randomUUID().slice(0, 8);
    const at = (name: string) => `${facts.place()}/${id}.${name}`;
    const here = (name: string) => join(facts.folder(), `${id}.${name}`);
    const script = [
      `echo x >> ${at("starts")}`,
      "echo before",
      `while [ ! -e ${at("go")} ]; do sleep 0.05; done`,
      "echo after",
      `echo x > ${at("end")}`,
      `exit ${exitCode}`,
    ].join("; ");
    return {
      spec: (more?: Spec) => facts.job(script, more),
      go: () => writeFile(here("go"), ""),
      over: () => vi.waitFor(() => access(here("end")), { timeout: PATIENCE_MS, interval: 50 }),
      starts: async () => (await readFile(here("starts"), "utf8")).trim().split("\n").length,
    };
  }

  async function endedOnce(jobId: string, status: string): Promise<JobEvent[]> {
    const events = await cleanedUp(home(), jobId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    const count = (type: string) => events.filter((event) => event.type === type).length;
    expect([count("STARTED"), count("EXITED"), count(status)]).toEqual([1, 1, 1]);
    expect(await facts.left(jobId)).toEqual([]);
    return events;
  }

  describe(`a home that dies with jobs on ${facts.name}`, () => {
    it("finds again what ended meanwhile, as it ended, with its whole log", async () => {
      const job = gated(5);
      const { jobId } = await submit(home(), job.spec());
      await printed(home(), jobId, "before");
      await home().end("SIGKILL");
      await job.go();
      await job.over();
      await home().start();
      expect(await ended(home(), jobId)).toMatchObject({
        status: "FAILED",
        exitCode: 5,
        error: { category: "USER_CODE" },
      });
      expect((await logsOf(home(), jobId)).map(({ text }) => text)).toEqual(["before", "after"]);
      expect(await job.starts()).toBe(1);
      await endedOnce(jobId, "FAILED");
    });

    it("goes on with what still runs, however often it dies", async () => {
      const job = gated(0);
      const { jobId } = await submit(home(), job.spec());
      await printed(home(), jobId, "before");
      const { startedAt } = await show(home(), jobId);
      for (let n = 0; n < 3; n++) {
        await home().end("SIGKILL");
        await home().start();
        expect(await show(home(), jobId)).toMatchObject({ status: "RUNNING", phase: "running", attempt: 1 });
      }
      await job.go();
      const done = await ended(home(), jobId);
      expect(done).toMatchObject({ status: "SUCCEEDED", exitCode: 0 });
      // By the clock of the runtime or of the home that asked: the same start.
      expect(Math.abs(Date.parse(done.startedAt ?? "") - Date.parse(startedAt ?? ""))).toBeLessThan(2000);
      expect((await logsOf(home(), jobId)).map(({ text }) => text)).toEqual(["before", "after"]);
      expect(await job.starts()).toBe(1);
      await endedOnce(jobId, "SUCCEEDED");
    });

    it("loses none that it had accepted a moment ago, and starts none twice", {
      timeout: RECOVERY_LIMIT_MS,
    }, async () => {
      const jobs = Array.from({ length: 6 }, () => gated(0));
      await Promise.all(jobs.map((job) => job.go()));
      const accepted = await Promise.all(jobs.map((job) => submit(home(), job.spec())));
      await home().end("SIGKILL");
      await home().start();
      for (const [index, { jobId }] of accepted.entries()) {
        expect(await ended(home(), jobId)).toMatchObject({ status: "SUCCEEDED", attempt: 1 });
        expect(await jobs[index]?.starts()).toBe(1);
        expect((await logsOf(home(), jobId)).map(({ text }) => text)).toEqual(["before", "after"]);
        await endedOnce(jobId, "SUCCEEDED");
      }
    });

    it.each(["ADMITTED", "VALIDATED", "CONTAINER_CREATING", "STARTED"])(
      "loses none that is just %s",
      { timeout: RECOVERY_LIMIT_MS },
      async (type) => {
        const job = gated(0);
        await job.go();
        const { jobId } = await submit(home(), job.spec());
        await reached(home(), jobId, type);
        await home().end("SIGKILL");
        await home().start();
        expect(await ended(home(), jobId)).toMatchObject({ status: "SUCCEEDED", attempt: 1 });
        expect(await job.starts()).toBe(1);
        await endedOnce(jobId, "SUCCEEDED");
      },
    );

    it("keeps a cancel that it had accepted", async () => {
      const script = "trap '' TERM; echo ready; while :; do sleep 0.5; done";
      const { jobId } = await submit(home(), facts.job(script, { stopGraceSeconds: 2 }));
      await printed(home(), jobId, "ready");
      await cancel(home(), jobId);
      await home().end("SIGKILL");
      await home().start();
      expect(await ended(home(), jobId)).toMatchObject({ status: "CANCELLED", error: null });
      await endedOnce(jobId, "CANCELLED");
    });

    it("keeps a timeout that passed while it was away", async () => {
      const script = "echo ready; trap '' TERM; while :; do sleep 0.5; done";
      const { jobId } = await submit(home(), facts.job(script, { timeoutSeconds: 2, stopGraceSeconds: 0 }));
      await printed(home(), jobId, "ready");
      await home().end("SIGKILL");
      await home().start();
      expect(await ended(home(), jobId)).toMatchObject({ status: "TIMED_OUT", error: { category: "TIMEOUT" } });
      await endedOnce(jobId, "TIMED_OUT");
    });

    it("stops at SIGTERM in time although jobs, streams and requests are open, and takes the jobs up again", async () => {
      const job = gated(0);
      const { jobId } = await submit(home(), job.spec());
      await printed(home(), jobId, "before");
      const streams = ["logs", "events"].map(async (what) => {
        const seen: unknown[] = [];
        // A stream that breaks off is what is expected here.
        try {
          for await (const message of follow(home(), `/jobs/${jobId}/${what}`)) seen.push(message.event);
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
        }
        return seen;
      });
      await call(home(), "/health");
      const late = AbortSignal.timeout(STOP_LIMIT_MS);
      const stopped = await home().end("SIGTERM");
      expect(stopped).toEqual({ code: 0, signal: null });
      expect(late.aborted).toBe(false);
      for (const seen of await Promise.all(streams)) expect(seen).not.toContain("end");
      await job.go();
      await job.over();
      await home().start();
      expect(await ended(home(), jobId)).toMatchObject({ status: "SUCCEEDED", exitCode: 0 });
      expect(await job.starts()).toBe(1);
      await endedOnce(jobId, "SUCCEEDED");
    });
  });
}

/** What waits has no runtime: that it is not forgotten needs showing once. */
export function waitingOut(home: () => LocalHome): void {
  describe("a home that dies with jobs that wait", () => {
    it("runs them when their turn comes, and tries again what was to be tried again", async () => {
      const stub = (env: Record<string, string>, more: Spec) => ({ runtime: "stub", env, ...more });
      const retry = { maxAttempts: 2, delaySeconds: 2, backoff: 1 };
      const flaky = await submit(home(), stub({ STUB_FAIL: "IMAGE_PULL", STUB_FAIL_ATTEMPTS: "1" }, { retry }));
      const process = { runtime: "process", concurrencyKey: "one-at-a-time" };
      const first = await submit(home(), { ...process, command: ["sleep", "1000"] });
      await reached(home(), first.jobId, "STARTED");
      const second = await submit(home(), { ...process, command: ["echo", "second"] });
      await reached(home(), flaky.jobId, "RETRY_SCHEDULED");
      await home().end("SIGKILL");
      await home().start();
      expect(await show(home(), second.jobId)).toMatchObject({
        status: "PENDING",
        waitReason: { code: "KEY_CONCURRENCY" },
      });
      await cancel(home(), first.jobId);
      expect(await ended(home(), second.jobId)).toMatchObject({ status: "SUCCEEDED" });
      expect(await ended(home(), flaky.jobId)).toMatchObject({ status: "SUCCEEDED", attempt: 2 });
      expect((await eventsOf(home(), flaky.jobId)).filter(({ type }) => type === "RETRY_SCHEDULED")).toHaveLength(1);
      for (const { jobId } of [first, second, flaky]) await cleanedUp(home(), jobId);
    });
  });
}
