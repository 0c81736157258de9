import { describe, expect, it } from "vitest";
import {
  call,
  cancel,
  cleanedUp,
  ended,
  eventsOf,
  logsOf,
  problemOf,
  reached,
  show,
  submit,
  type Target,
} from "./client.ts";
import { ATTEMPT_KEYS, ERROR_KEYS, EVENT_KEYS, JOB_ID, JOB_KEYS, type Job, LINE_KEYS, TIME } from "./contract.ts";
import type { RuntimeFacts } from "./runtimes.ts";

const ORDER = ["PENDING", "RUNNING", "SUCCEEDED"];
const PHASES = ["queued", "validating", "pulling", "creating", "running", "collecting"];
const keys = (value: object) => Object.keys(value).sort();

/** The life of one job on one runtime, as the contract tells it. */
export function happyLives(target: Target, facts: RuntimeFacts): void {
  describe(`a job's life on ${facts.name}`, () => {
    it("goes from PENDING to SUCCEEDED with every event in order and CLEANED_UP last", async () => {
      const accepted = await call<Job>(target, "/jobs", {
        body: { ...facts.talk(0), name: "life", labels: { a: "b" } },
      });
      expect(accepted.status, accepted.text).toBe(202);
      const { jobId } = accepted.body;
      expect(jobId).toMatch(JOB_ID);
      expect(accepted.headers.get("location")).toBe(new URL(`${target.api()}/jobs/${jobId}`).pathname);
      expect(keys(accepted.body)).toEqual(JOB_KEYS);
      expect(accepted.body).toMatchObject({
        name: "life",
        runtime: facts.name,
        attempt: 1,
        maxAttempts: 1,
        startedAt: null,
        finishedAt: null,
        durationMs: null,
        exitCode: null,
        error: null,
        labels: { a: "b" },
        lane: "default",
        priority: 0,
        retryOf: null,
        artifacts: [],
        cancelRequestedAt: null,
      });
      expect(accepted.body.specHash).toMatch(/^sha256:[0-9a-f]{64}$/);

      const events = await cleanedUp(target, jobId);
      expect(events.map(({ type }) => type)).toEqual([...facts.events, "SUCCEEDED", "CLEANED_UP"]);
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
      for (const event of events) {
        expect(keys(event)).toEqual(EVENT_KEYS);
        expect(event).toMatchObject({ jobId, attempt: 1 });
        expect(event.at).toMatch(TIME);
      }
      expect(events.map(({ at }) => at)).toEqual(events.map(({ at }) => at).sort());
      const steps = events.map(({ status }) => ORDER.indexOf(status));
      expect(steps).toEqual([...steps].sort());
      expect(new Set(steps)).toEqual(new Set([0, 1, 2]));
      const phases = events.map(({ phase }) => phase).filter((phase) => phase !== null);
      expect(phases.map((phase) => PHASES.indexOf(phase))).toEqual(
        phases.map((phase) => PHASES.indexOf(phase)).sort((a, b) => a - b),
      );
      expect(events.at(-1)).toMatchObject({ status: "SUCCEEDED", phase: null });

      const job = await show(target, jobId);
      expect(keys(job)).toEqual(JOB_KEYS);
      expect(job).toMatchObject({
        status: "SUCCEEDED",
        phase: null,
        waitReason: null,
        attempt: 1,
        exitCode: 0,
        error: null,
        cost: { amountUsd: 0, basis: "local" },
        specHash: accepted.body.specHash,
      });
      for (const time of [job.createdAt, job.startedAt, job.finishedAt, job.lastHeartbeatAt])
        expect(time).toMatch(TIME);
      expect(job.durationMs).toBe(Date.parse(job.finishedAt ?? "") - Date.parse(job.startedAt ?? ""));
      expect(job.externalName).toBe(`longshore-${jobId.slice(-10).toLowerCase()}-life-a1`);
      expect(job.version).toBeGreaterThan(accepted.body.version);
      expect(job.attempts).toHaveLength(1);
      expect(keys(job.attempts[0] ?? {})).toEqual(ATTEMPT_KEYS);
      expect(job.attempts[0]).toMatchObject({ attempt: 1, runtime: facts.name, exitCode: 0, error: null });
      expect((await call(target, `/jobs/${jobId}/cost`)).body).toEqual({ amountUsd: 0, basis: "local" });
      expect((await call(target, `/jobs/${jobId}/cancel`, { method: "POST" })).status).toBe(409);
    });

    it("keeps every line with its stream, and gives them as JSON, as a part, and as text", async () => {
      const { jobId } = await submit(target, facts.talk(0));
      await ended(target, jobId);
      const lines = await logsOf(target, jobId);
      expect(lines.map(({ seq }) => seq)).toEqual([1, 2, 3]);
      for (const line of lines) {
        expect(keys(line)).toEqual(LINE_KEYS);
        expect(line.time).toMatch(TIME);
        expect(line.attempt).toBe(1);
      }
      const texts = (stream: string) => lines.filter((line) => line.stream === stream).map(({ text }) => text);
      // The last one counts without a newline.
      expect(texts("stdout")).toEqual(["one", "two"]);
      expect(texts("stderr")).toEqual(["oops"]);

      expect(await logsOf(target, jobId, "?tail=2")).toEqual(lines.slice(1));
      expect(await logsOf(target, jobId, "?tail=0")).toEqual([]);
      expect(await logsOf(target, jobId, "?tail=99")).toEqual(lines);
      for (const line of lines)
        expect(await logsOf(target, jobId, `?since=${line.seq}`)).toEqual(lines.slice(line.seq));
      const from = lines[1]?.time ?? "";
      expect(await logsOf(target, jobId, `?since=${from}`)).toEqual(lines.filter(({ time }) => time >= from));
      expect(await logsOf(target, jobId, "?since=2999-01-01T00:00:00Z")).toEqual([]);
      expect(await logsOf(target, jobId, "?stream=stderr")).toEqual(lines.filter(({ stream }) => stream === "stderr"));
      expect(await logsOf(target, jobId, "?stream=stdout,stderr")).toEqual(lines);
      expect(await logsOf(target, jobId, "?stream=system")).toEqual([]);
      const whole = await call(target, `/jobs/${jobId}/logs`, { headers: { Accept: "text/plain" } });
      expect(whole.headers.get("content-type")).toMatch(/^text\/plain/);
      expect(whole.text).toBe(lines.map(({ text }) => `${text}\n`).join(""));
      const part = await call(target, `/jobs/${jobId}/logs?stream=stdout`, { headers: { Accept: "text/plain" } });
      expect(part.text).toBe("one\ntwo\n");
    });

    it("tells a command that fails as USER_CODE, and runs it again as a new job when asked", async () => {
      const spec = { ...facts.talk(3), labels: { try: "again" } };
      const first = await submit(target, spec);
      const failed = await ended(target, first.jobId);
      expect(failed).toMatchObject({ status: "FAILED", phase: null, exitCode: 3, retryOf: null });
      expect(keys(failed.error ?? {})).toEqual(ERROR_KEYS);
      expect(failed.error).toMatchObject({ category: "USER_CODE", retryable: false, exitCode: 3 });
      expect(failed.attempts).toMatchObject([{ attempt: 1, exitCode: 3, error: { category: "USER_CODE" } }]);
      expect((await cleanedUp(target, first.jobId)).map(({ type }) => type)).toEqual([
        ...facts.events,
        "DEAD_LETTERED",
        "FAILED",
        "CLEANED_UP",
      ]);

      const again = await call<Job>(target, `/jobs/${first.jobId}/retry`, { method: "POST" });
      expect(again.status, again.text).toBe(202);
      expect(again.headers.get("location")).toMatch(new RegExp(`/jobs/${again.body.jobId}$`));
      expect(again.body).toMatchObject({ retryOf: first.jobId, attempt: 1, specHash: failed.specHash });
      expect(again.body.jobId).not.toBe(first.jobId);
      expect(again.body.spec).toEqual(failed.spec);
      expect(await ended(target, again.body.jobId)).toMatchObject({ status: "FAILED", exitCode: 3 });
      await cleanedUp(target, again.body.jobId);
      // The old one stays as it was.
      expect(await show(target, first.jobId)).toMatchObject({
        status: "FAILED",
        version: (await show(target, first.jobId)).version,
      });
      expect((await eventsOf(target, first.jobId)).at(-1)?.type).toBe("CLEANED_UP");
    });

    it("does not retry what runs or has succeeded", async () => {
      const running = await submit(target, facts.forever());
      await reached(target, running.jobId, "STARTED");
      problemOf(await call(target, `/jobs/${running.jobId}/retry`, { method: "POST" }), 409, "CONFLICT");
      expect(await show(target, running.jobId)).toMatchObject({
        status: "RUNNING",
        phase: "running",
        exitCode: null,
        finishedAt: null,
        durationMs: null,
      });
      await cancel(target, running.jobId);
      await cleanedUp(target, running.jobId);
      const done = await submit(target, facts.talk(0));
      await cleanedUp(target, done.jobId);
      problemOf(await call(target, `/jobs/${done.jobId}/retry`, { method: "POST" }), 409, "CONFLICT");
    });
  });
}
