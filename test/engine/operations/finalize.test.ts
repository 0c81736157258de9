import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { logObject } from "../../../engine/ledger/keys.ts";
import { readAttempts } from "../../../engine/ledger/read.ts";
import { requeue } from "../../../engine/operations/admit.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { readLogs } from "../../../engine/operations/read-logs.ts";
import type { RuntimeLine, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { admitted, eventsOf, executionOf, launched, leftOn, lifeOf, openWorld, typesOf, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

const NO_RETRY = { retry: false, delaySeconds: 0 };

/** A job whose command has ended, and whose end is on record. */
async function ended(...[spec, script]: Parameters<typeof launched> extends [unknown, ...infer Rest] ? Rest : never) {
  const task = await launched(world, spec, script ?? {});
  await observeExit(world.ctx, task);
  return task;
}

describe("the end of an attempt", () => {
  const exited: RuntimeStatus = {
    phase: "exited",
    exitCode: 0,
    oom: false,
    failure: null,
    startedAt: "2026-03-04T05:06:08.000Z",
    finishedAt: "2026-03-04T05:06:09.000Z",
  };

  test("is recorded and told once, however often it is observed", async () => {
    const task = await launched(world, {}, {});
    await Promise.all(Array.from({ length: 5 }, () => observeExit(world.ctx, task)));
    await observeExit(world.ctx, task, { status: { ...exited, exitCode: 9 } });
    expect((await typesOf(world, task.jobId)).filter((type) => type === "EXITED")).toHaveLength(1);
    expect((await lifeOf(world, task.jobId)).attempt?.exit?.exitCode).toBe(0);
    expect(new Set(world.completions)).toEqual(new Set([task.token]));
  });

  test("that was recorded but not told is told when it is observed again", async () => {
    const task = await launched(world, {}, {});
    const { complete } = world.ctx.orchestrator;
    world.ctx.orchestrator.complete = () => Promise.reject(new Error("throttled"));
    await expect(observeExit(world.ctx, task)).rejects.toThrow("throttled");
    world.ctx.orchestrator.complete = complete;
    await observeExit(world.ctx, task);
    expect(world.completions).toEqual([task.token]);
  });

  test("has not come while the command runs", async () => {
    const task = await launched(world);
    const before = await lifeOf(world, task.jobId);
    await observeExit(world.ctx, task);
    await observeExit(world.ctx, task, { status: { ...exited, phase: "running", exitCode: null, finishedAt: null } });
    await observeExit(world.ctx, task, { status: { ...exited, phase: "created", exitCode: null, finishedAt: null } });
    expect(await lifeOf(world, task.jobId)).toEqual(before);
  });

  test("of another attempt or of no job at all is late news", async () => {
    const task = await launched(world, {}, {});
    const before = await lifeOf(world, task.jobId);
    await observeExit(world.ctx, { ...task, attempt: 2 }, { status: exited, externalRef: "x" });
    await observeExit(world.ctx, { jobId: "job_01KGABCDEFGHJKMNPQRSTVWXYZ" as never, attempt: 1 }, { status: exited });
    expect(await lifeOf(world, task.jobId)).toEqual(before);
    expect(world.completions).toEqual([]);
  });

  test("that the runtime cannot tell any more is a runtime failure, not the command's", async () => {
    const task = await launched(world);
    await world.runtime.cleanup((await lifeOf(world, task.jobId)).attempt?.externalRef ?? "");
    world.ledger.nowMs += 5_000;
    await observeExit(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).attempt?.exit).toEqual({
      exitCode: null,
      oom: false,
      failure: { category: "RUNTIME_UNAVAILABLE", message: expect.any(String), providerCode: "LOST" },
      finishedAt: new Date(world.ledger.nowMs).toISOString(),
    });
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "FAILED", error: { providerCode: "LOST" } });
  });

  test("that is known before the start was recorded brings start and reference along", async () => {
    const task = await admitted(world, {}, { STUB_DURATION_MS: "forever" });
    const { submit } = world.runtime;
    world.runtime.submit = async (launch, signal) => {
      const externalRef = await submit(launch, signal);
      await observeExit(world.ctx, task, { status: exited, externalRef });
      return externalRef;
    };
    await launchAttempt(world.ctx, task);
    const { job, attempt } = await lifeOf(world, task.jobId);
    expect(job).toMatchObject({ phase: "collecting", startedAt: exited.startedAt });
    expect(attempt?.externalRef).toBe(attempt?.externalName);
    expect(await typesOf(world, task.jobId)).not.toContain("STARTED");
    // It is the attempt's own resource: its log is still to be collected.
    expect(await leftOn(world)).toEqual([attempt?.externalName]);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("SUCCEEDED");
    expect(await leftOn(world)).toEqual([]);
  });
});

describe("finalize", () => {
  test("by five at once ends the job once", async () => {
    const task = await ended({}, { STUB_STDOUT: "hello" });
    const verdicts = await Promise.all(Array.from({ length: 5 }, () => finalizeAttempt(world.ctx, task)));
    expect(verdicts).toEqual(Array.from({ length: 5 }, () => NO_RETRY));
    const types = await typesOf(world, task.jobId);
    for (const once of ["LOGS_COLLECTED", "COST_RECORDED", "SUCCEEDED", "CLEANED_UP"]) {
      expect(types.filter((type) => type === once)).toHaveLength(1);
    }
    expect(types.at(-1)).toBe("CLEANED_UP");
  });

  test("commits the verdict before it removes anything", async () => {
    const task = await ended();
    world.runtime.cleanup = () => Promise.reject(new LongshoreError("RUNTIME_UNAVAILABLE", "stub: away"));
    await expect(finalizeAttempt(world.ctx, task)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({
      status: "SUCCEEDED",
      cleanupPending: true,
      slotShard: null,
    });
    expect(await typesOf(world, task.jobId)).not.toContain("CLEANED_UP");
  });

  test("whose log cannot be read fails and can be tried again: no verdict without the log", async () => {
    const task = await ended({}, { STUB_LINES: "3" });
    const { logs } = world.runtime;
    world.runtime.logs = async function* (ref, options) {
      for await (const lines of logs(ref, options)) {
        yield lines.slice(0, 2);
        throw new LongshoreError("RUNTIME_UNAVAILABLE", "stub: away");
      }
    };
    await expect(finalizeAttempt(world.ctx, task)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect((await lifeOf(world, task.jobId)).job.phase).toBe("collecting");
    expect(await world.ctx.objects.head(logObject(task.jobId, 1))).toBeUndefined();
    world.runtime.logs = logs;
    await finalizeAttempt(world.ctx, task);
    expect((await Array.fromAsync(readLogs(world.ctx, (await lifeOf(world, task.jobId)).job))).flat()).toHaveLength(3);
  });

  test("of another attempt or no job does nothing", async () => {
    const task = await ended();
    const before = await lifeOf(world, task.jobId);
    expect(await finalizeAttempt(world.ctx, { ...task, attempt: 2 })).toEqual(NO_RETRY);
    expect(await finalizeAttempt(world.ctx, { jobId: "job_01KGABCDEFGHJKMNPQRSTVWXYZ" as never, attempt: 1 })).toEqual(
      NO_RETRY,
    );
    expect(await lifeOf(world, task.jobId)).toEqual(before);
  });

  test.each(["timeout", "lost"] as const)("of a run that gave up (%s) stops what runs first", async (failure) => {
    const task = await launched(world);
    world.ledger.nowMs += 7_200_000;
    expect(await finalizeAttempt(world.ctx, { ...task, failure })).toEqual(NO_RETRY);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject(
      failure === "timeout"
        ? { status: "TIMED_OUT", error: { category: "TIMEOUT" } }
        : { status: "FAILED", error: { category: "RUNTIME_UNAVAILABLE", retryable: true } },
    );
    expect(await leftOn(world)).toEqual([]);
  });

  test("of an execution that never dispatched ends the attempt as one that could not be started", async () => {
    const task = await admitted(world);
    await finalizeAttempt(world.ctx, { ...task, failure: "lost" });
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({
      status: "FAILED",
      error: { category: "RUNTIME_UNAVAILABLE" },
      startedAt: null,
      exitCode: null,
      slotShard: null,
      cleanupPending: false,
    });
  });

  test("of an execution that dispatches in that moment does not record as never started what it starts", async () => {
    const task = await admitted(world, {}, { STUB_DURATION_MS: "forever" });
    const { table } = world.ctx.ledger;
    const commit: typeof table.commit = async (changes) => {
      const ends = changes.some((change) => change.kind === "put" && change.item.type === "EXITED");
      if (ends && world.starts.size === 0) await launchAttempt(world.ctx, task);
      await table.commit(changes);
    };
    const late = { ...world.ctx, ledger: { ...world.ctx.ledger, table: { ...table, commit } } };
    await expect(finalizeAttempt(late, { ...task, failure: "lost" })).rejects.toMatchObject({
      code: "RUNTIME_UNAVAILABLE",
    });
    expect(await lifeOf(world, task.jobId)).toMatchObject({ job: { phase: "running" }, attempt: { exit: null } });
    await finalizeAttempt(world.ctx, { ...task, failure: "lost" });
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "FAILED", exitCode: 143 });
  });

  test("of what does not stop fails, and is tried again", async () => {
    const task = await launched(world);
    const { cancel } = world.runtime;
    world.runtime.cancel = async () => false;
    const again = { ...task, failure: "lost" as const };
    await expect(finalizeAttempt(world.ctx, again)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect((await lifeOf(world, task.jobId)).job.phase).toBe("running");
    world.runtime.cancel = cancel;
    await finalizeAttempt(world.ctx, again);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("FAILED");
  });

  test.each([
    ["always", 0, 0],
    ["always", 3, 0],
    ["onSuccess", 0, 0],
    ["onSuccess", 3, 1],
    ["never", 0, 1],
    ["never", 3, 1],
  ] as const)("with cleanup %s after exit %i leaves %i resources", async (cleanup, exitCode, left) => {
    const task = await ended({ cleanup }, { STUB_EXIT_CODE: String(exitCode) });
    await finalizeAttempt(world.ctx, task);
    expect(await leftOn(world)).toHaveLength(left);
    expect((await lifeOf(world, task.jobId)).job.cleanupPending).toBe(false);
  });
});

describe("a retry", () => {
  const spec = { retry: { maxAttempts: 3, delaySeconds: 10, backoff: 2, on: ["UNKNOWN" as const] } };
  const script = { STUB_END_WITH: "UNKNOWN", STUB_STDOUT: "hello" };

  /** Brings the job from its queue through an attempt to the verdict. */
  async function attempt(jobId: Awaited<ReturnType<typeof ended>>["jobId"], number: number) {
    await launchAttempt(world.ctx, { jobId, attempt: number, token: executionOf(world, jobId).token });
    await observeExit(world.ctx, { jobId, attempt: number });
    return await finalizeAttempt(world.ctx, { jobId, attempt: number });
  }

  test("comes back with a growing delay, until its attempts are used up", async () => {
    const { jobId } = await admitted(world, spec, script);
    // No randomness here: half of 10 s, half of 20 s.
    expect(await attempt(jobId, 1)).toEqual({ retry: true, delaySeconds: 5 });
    await requeue(world.ctx, jobId, 1);
    expect(await attempt(jobId, 2)).toEqual({ retry: true, delaySeconds: 10 });
    await requeue(world.ctx, jobId, 2);
    expect(await attempt(jobId, 3)).toEqual(NO_RETRY);
    const { job } = await lifeOf(world, jobId);
    expect(job).toMatchObject({ status: "FAILED", attempt: 3, error: { category: "UNKNOWN" } });
    expect((await eventsOf(world, jobId)).map(({ seq }) => seq)).toEqual(
      (await eventsOf(world, jobId)).map((_, n) => n + 1),
    );
    const attempts = await readAttempts(world.ledger, jobId);
    expect(attempts.map(({ logBase, logLines }) => [logBase, logLines])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
    expect([...world.starts.values()]).toEqual([1, 1, 1]);
    expect(await leftOn(world)).toEqual([]);
  });

  test("tells the rest of the delay when it is asked again", async () => {
    const { jobId } = await admitted(world, spec, script);
    await attempt(jobId, 1);
    world.ledger.nowMs += 3_000;
    expect(await finalizeAttempt(world.ctx, { jobId, attempt: 1 })).toEqual({ retry: true, delaySeconds: 2 });
    world.ledger.nowMs += 30_000;
    expect(await finalizeAttempt(world.ctx, { jobId, attempt: 1 })).toEqual({ retry: true, delaySeconds: 0 });
  });

  test("waits until the last attempt's resource is gone", async () => {
    const { jobId } = await admitted(world, { ...spec, cleanup: "never" }, script);
    const { cleanup } = world.runtime;
    world.runtime.cleanup = () => Promise.reject(new LongshoreError("RUNTIME_UNAVAILABLE", "stub: away"));
    await expect(attempt(jobId, 1)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    await expect(requeue(world.ctx, jobId, 1)).rejects.toMatchObject({ code: "CONFLICT" });
    world.runtime.cleanup = cleanup;
    expect(await finalizeAttempt(world.ctx, { jobId, attempt: 1 })).toMatchObject({ retry: true });
    await requeue(world.ctx, jobId, 1);
    await requeue(world.ctx, jobId, 1);
    expect((await lifeOf(world, jobId)).job.attempt).toBe(2);
  });

  test("is not for a category that the spec does not name, nor for a cancelled job", async () => {
    const other = await admitted(world, spec, { ...script, STUB_END_WITH: "OOM" });
    expect(await attempt(other.jobId, 1)).toEqual(NO_RETRY);
    const cancelled = await admitted(world, spec, script);
    await launchAttempt(world.ctx, cancelled);
    await observeExit(world.ctx, cancelled);
    await cancelJob(world.ctx, cancelled.jobId, "me");
    expect(await finalizeAttempt(world.ctx, cancelled)).toEqual(NO_RETRY);
    expect((await lifeOf(world, cancelled.jobId)).job.status).toBe("CANCELLED");
  });

  test("that is cancelled while it waits stays cancelled", async () => {
    const { jobId } = await admitted(world, spec, script);
    await attempt(jobId, 1);
    expect(await cancelJob(world.ctx, jobId, "me")).toMatchObject({ status: "CANCELLED" });
    await requeue(world.ctx, jobId, 1);
    expect((await lifeOf(world, jobId)).job).toMatchObject({ status: "CANCELLED", attempt: 1 });
    expect(await finalizeAttempt(world.ctx, { jobId, attempt: 1 })).toEqual(NO_RETRY);
  });

  test("times out and is retried when the spec says so", async () => {
    const on = { retry: { ...spec.retry, on: ["TIMEOUT" as const] } };
    const task = await launched(world, on);
    world.ledger.nowMs += 7_200_000;
    expect(await finalizeAttempt(world.ctx, { ...task, failure: "timeout" })).toEqual({ retry: true, delaySeconds: 5 });
  });
});

describe("a log", () => {
  /** Lets the runtime have written these texts. */
  function wrote(texts: string[]): void {
    world.runtime.logs = async function* () {
      for (const [n, text] of texts.entries()) {
        yield [{ n: n + 1, time: "2026-03-04T05:06:08.000Z", stream: "stdout", text } satisfies RuntimeLine];
      }
    };
  }
  async function stored(maxBytes: number, texts: string[], spec = {}) {
    const task = await ended({ ...spec, logs: { maxBytes } });
    wrote(texts);
    await finalizeAttempt(world.ctx, task);
    const { job } = await lifeOf(world, task.jobId);
    const lines = (await Array.fromAsync(readLogs(world.ctx, job))).flat();
    const collected = (await eventsOf(world, task.jobId)).find(({ type }) => type === "LOGS_COLLECTED")?.data;
    return { lines, collected, jobId: task.jobId };
  }

  test("of nothing is no object", async () => {
    const { lines, collected, jobId } = await stored(100, []);
    expect(lines).toEqual([]);
    expect(collected).toEqual({ lines: 0, bytes: 0, truncated: false });
    expect(await world.ctx.objects.head(logObject(jobId, 1))).toBeUndefined();
  });

  test("of one empty line is one line", async () => {
    const { lines, collected } = await stored(300, [""]);
    expect(lines.map(({ seq, text }) => [seq, text])).toEqual([[1, ""]]);
    expect(collected).toEqual({ lines: 1, bytes: 1, truncated: false });
  });

  test("that just fits is kept whole", async () => {
    const texts = Array.from({ length: 10 }, (_, n) => `line ${n}xxx`);
    const { lines, collected } = await stored(10 * 109, texts);
    expect(lines.map(({ text }) => text)).toEqual(texts);
    expect(collected).toEqual({ lines: 10, bytes: 100, truncated: false });
  });

  test("that is too long keeps its beginning and its end, and says what is missing", async () => {
    const texts = Array.from({ length: 100 }, (_, n) => `line ${String(n + 1).padStart(4, "0")}`);
    const { lines, collected } = await stored(10 * 109, texts);
    expect(lines.map(({ seq, stream, text }) => [seq, stream, text])).toEqual([
      ...[1, 2, 3, 4, 5].map((n) => [n, "stdout", `line 000${n}`]),
      [
        6,
        "system",
        expect.stringMatching(/^90 lines were left out here: the log is longer than logs.maxBytes \(1090,/),
      ],
      ...[96, 97, 98, 99].map((n) => [n, "stdout", `line 00${n}`]),
      [100, "stdout", "line 0100"],
    ]);
    expect(collected).toEqual({ lines: 100, bytes: 100, truncated: true });
  });

  test("of empty lines without end takes no more room than one of text: they were counted as one byte", async () => {
    const { lines, collected, jobId } = await stored(
      20_000,
      Array.from({ length: 5_000 }, () => ""),
    );
    expect(collected).toEqual({ lines: 5_000, bytes: 200, truncated: true });
    expect(lines).toHaveLength(201);
    expect((await world.ctx.objects.head(logObject(jobId, 1)))?.sizeBytes).toBeLessThan(25_000);
  });

  test("counts bytes, not characters", async () => {
    const { lines, collected } = await stored(
      450,
      Array.from({ length: 20 }, () => "ü".repeat(5)),
    );
    expect(collected).toMatchObject({ lines: 20, bytes: 44, truncated: true });
    expect(lines.filter(({ stream }) => stream === "stdout")).toHaveLength(4);
  });

  test("with a line that is longer than the budget leaves it out and says so", async () => {
    const { lines, collected } = await stored(10, ["x".repeat(1000)]);
    expect(lines.map(({ stream, text }) => [stream, text])).toEqual([
      ["system", expect.stringContaining("1 lines were left out here: the log is longer than logs.maxBytes (10,")],
    ]);
    expect(collected).toEqual({ lines: 1, bytes: 0, truncated: true });
  });

  test("is masked, in what is stored and in what is read while it runs", async () => {
    const spec = { env: { DB_PASSWORD: "hunter2-hunter2" } };
    const texts = ["password=hunter2-hunter2;", Buffer.from("hunter2-hunter2").toString("base64")];
    const task = await launched(world, spec);
    wrote(texts);
    const live = (await Array.fromAsync(readLogs(world.ctx, (await lifeOf(world, task.jobId)).job))).flat();
    expect(live[0]?.text).toBe("password=***REDACTED***;");
    expect(live[1]?.text).not.toBe(texts[1]);
    await finalizeAttempt(world.ctx, { ...task, failure: "lost" });
    const object = await world.ctx.objects.get(logObject(task.jobId, 1));
    const bytes = Buffer.concat(object === undefined ? [] : await Array.fromAsync(object.body)).toString();
    expect(bytes).not.toContain("hunter2");
    expect(bytes).not.toContain(Buffer.from("hunter2-hunter2").toString("base64").slice(0, 12));
    const after = (await Array.fromAsync(readLogs(world.ctx, (await lifeOf(world, task.jobId)).job))).flat();
    expect(after).toEqual(live);
  });
});
