import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SHUTDOWN } from "../../../engine/abort.ts";
import type { EngineContext } from "../../../engine/context.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import { advance } from "../../../engine/ledger/advance.ts";
import { masksKey, sealedKey } from "../../../engine/ledger/keys.ts";
import { readMasks } from "../../../engine/ledger/read.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { drive } from "../../../engine/operations/drive.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { readLogs } from "../../../engine/operations/read-logs.ts";
import { reconcile } from "../../../engine/operations/reconcile.ts";
import { expireAttempt, stopAttempt } from "../../../engine/operations/stop.ts";
import type { Launch } from "../../../engine/ports/runtime.ts";
import type { Table } from "../../../engine/ports/table.ts";
import { occurrences } from "../lives.ts";
import {
  admitted,
  eventsOf,
  executionOf,
  launched,
  leftOn,
  lifeOf,
  openWorld,
  runExecutions,
  typesOf,
  type World,
} from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

const FOREVER = { STUB_DURATION_MS: "forever" };

/** Lets the runtime's submit wait until the test lets it go on; tells when it was reached. */
function heldSubmit() {
  const { submit } = world.runtime;
  const reached = Promise.withResolvers<Launch>();
  const goOn = Promise.withResolvers<void>();
  world.runtime.submit = async (launch, signal) => {
    reached.resolve(launch);
    await Promise.race([
      goOn.promise,
      new Promise<never>((_, no) => signal.addEventListener("abort", () => no(signal.reason))),
    ]);
    return await submit(launch, signal);
  };
  return { reached: reached.promise, goOn: goOn.resolve };
}

describe("a launch", () => {
  test("stores its token before the runtime is asked for anything", async () => {
    const task = await admitted(world, {}, FOREVER);
    const { submit } = world.runtime;
    let stored: unknown;
    world.runtime.submit = async (launch, signal) => {
      stored = (await lifeOf(world, task.jobId)).attempt?.token;
      return await submit(launch, signal);
    };
    await launchAttempt(world.ctx, task);
    expect(stored).toBe(task.token);
  });

  test("records what the runtime reports, in order, then that it was started", async () => {
    const task = await admitted(world, {}, FOREVER);
    const { submit } = world.runtime;
    world.runtime.submit = (launch, signal) => {
      launch.report({ phase: "pulling", data: { image: "alpine" } });
      launch.report({ phase: "pulling", progress: { currentBytes: 1, totalBytes: 2 } });
      return submit(launch, signal);
    };
    await launchAttempt(world.ctx, task);
    expect(await typesOf(world, task.jobId)).toEqual([
      "SUBMITTED",
      "ADMITTED",
      "VALIDATED",
      "IMAGE_PULLING",
      "CONTAINER_CREATING",
      "STARTED",
    ]);
    expect(world.watched).toEqual([
      {
        jobId: task.jobId,
        attempt: 1,
        runtime: "stub",
        externalRef: expect.stringMatching(/^longshore-/),
        deadlineAt: new Date(world.ledger.nowMs + 3_600_000).toISOString(),
      },
    ]);
    expect(world.inflight.progressOf(task.jobId)).toBeNull();
  });

  test("of an attempt that is not the current one starts nothing and ends its token", async () => {
    const task = await admitted(world);
    await launchAttempt(world.ctx, { ...task, attempt: 2, token: "other" });
    await launchAttempt(world.ctx, { ...task, jobId: "job_01KGABCDEFGHJKMNPQRSTVWXYZ" as never, token: "another" });
    expect(world.completions).toEqual(["other", "another"]);
    expect(world.starts.size).toBe(0);
    expect((await lifeOf(world, task.jobId)).job.phase).toBe("queued");
  });

  test("whose spec can no longer be opened fails the attempt and starts nothing", async () => {
    const task = await admitted(world);
    await world.ledger.sqlite.commit([{ kind: "delete", key: sealedKey(task.jobId) }]);
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).attempt?.exit?.failure).toMatchObject({ category: "UNKNOWN" });
    expect(world.starts.size).toBe(0);
    expect(world.completions).toEqual([task.token]);
  });

  test("whose secret cannot be had fails the attempt with its category and starts nothing", async () => {
    const task = await admitted(world, { secrets: { API_TOKEN: { from: "vault:missing" } } });
    await launchAttempt(world.ctx, task);
    const { job, attempt } = await lifeOf(world, task.jobId);
    expect(attempt?.exit).toMatchObject({ exitCode: null, failure: { category: "NOT_FOUND" } });
    expect(job).toMatchObject({ phase: "collecting", startedAt: null, externalRef: null });
    expect(world.starts.size).toBe(0);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "FAILED", exitCode: null });
  });

  test.each(["the sealer", "the source of a secret", "the table"])(
    "while %s does not answer says nothing of the job, and is repeated",
    async (which) => {
      world.secrets.set("token", "x");
      const task = await admitted(world, { secrets: { API_TOKEN: { from: "vault:token" } } });
      const { ctx } = world;
      const silent = () => Promise.reject(new LongshoreError("UNAVAILABLE", "throttled"));
      const get: Table["get"] = (key) => (key.sk === "SEALED" ? silent() : world.ledger.sqlite.get(key));
      const broken: Partial<EngineContext> = {
        "the sealer": { sealer: { ...ctx.sealer, open: silent } },
        "the source of a secret": { secrets: new Map([["vault", { scheme: "vault", resolve: silent }]]) },
        "the table": { ledger: { ...ctx.ledger, table: { ...ctx.ledger.table, get } } },
      }[which] as Partial<EngineContext>;
      await expect(launchAttempt({ ...ctx, ...broken }, task)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(await lifeOf(world, task.jobId)).toMatchObject({ job: { phase: "queued" }, attempt: null });
      expect(world.completions).toEqual([]);
      await launchAttempt(ctx, task);
      expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RUNNING" });
      expect([...world.starts.values()]).toEqual([1]);
    },
  );

  test("that is repeated while the sealer does not answer adopts what runs, and fails nothing that does not", async () => {
    const silent = () => Promise.reject(new LongshoreError("UNAVAILABLE", "throttled"));
    const broken = { ...world.ctx, sealer: { ...world.ctx.sealer, open: silent } };
    const tasks = [await admitted(world, {}, FOREVER), await admitted(world, {}, FOREVER)] as const;
    const { submit } = world.runtime;
    const [started, unstarted] = tasks;
    world.runtime.submit = async (launch, signal) => {
      if (launch.jobId === started.jobId) await submit(launch, signal);
      return await new Promise<never>(() => undefined);
    };
    for (const task of tasks) void launchAttempt(world.ctx, task);
    const hasToken = async ({ jobId }: { jobId: string }) => (await lifeOf(world, jobId)).attempt?.token != null;
    await expect.poll(async () => (await Promise.all(tasks.map(hasToken))).every(Boolean)).toBe(true);
    await expect.poll(() => leftOn(world)).toHaveLength(1);
    world.restart();
    world.runtime.submit = submit;
    await launchAttempt(broken, { ...started, token: "another" });
    expect((await lifeOf(world, started.jobId)).job).toMatchObject({ status: "RUNNING", phase: "running" });
    await expect(launchAttempt(broken, { ...unstarted, token: "third" })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    expect((await lifeOf(world, unstarted.jobId)).attempt?.exit).toBeNull();
    await launchAttempt(world.ctx, { ...unstarted, token: "fourth" });
    expect((await lifeOf(world, unstarted.jobId)).job).toMatchObject({ status: "RUNNING", phase: "running" });
    expect(await leftOn(world)).toHaveLength(2);
  });

  test("with a secret from a source that this home does not have is refused as AUTH", async () => {
    const task = await admitted(world, { secrets: { API_TOKEN: { from: "ssm:/prod/x" } } });
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).attempt?.exit?.failure).toMatchObject({ category: "AUTH" });
  });

  test("gets the real values, and the record gets none of them", async () => {
    world.secrets.set("token", "value-of-the-token");
    const spec = {
      env: { DB_PASSWORD: "value-of-the-password", PLAIN: "plain" },
      secrets: { API_TOKEN: { from: "vault:token" } },
    };
    const { submit } = world.runtime;
    const seen: Launch[] = [];
    world.runtime.submit = (launch, signal) => {
      seen.push(launch);
      return submit(launch, signal);
    };
    const { jobId } = await launched(world, spec);
    expect(seen[0]?.env).toMatchObject({ ...spec.env, API_TOKEN: "value-of-the-token" });
    expect(seen[0]?.secretValues).toEqual(expect.arrayContaining(["value-of-the-password", "value-of-the-token"]));
    const items = await world.ledger.sqlite.query({ pk: `JOB#${jobId}`, limit: 1000 });
    expect(JSON.stringify([items, world.logged])).not.toContain("value-of-the");
  });

  test.each([
    ["an error of its own", (text: string) => new LongshoreError("AUTH", text, { providerCode: "401" }), "AUTH"],
    ["anything else", (text: string) => new TypeError(text), "UNKNOWN"],
    // An answer's code that is no category of a failed attempt.
    ["a code of the protocol", (text: string) => new LongshoreError("UNAVAILABLE", text), "UNKNOWN"],
  ])("that fails with %s records it masked", async (_, failure, category) => {
    world.secrets.set("token", "value-of-the-token");
    const task = await admitted(world, { secrets: { API_TOKEN: { from: "vault:token" } } });
    world.runtime.submit = async ({ env }) => {
      throw failure(`refused for ${env.API_TOKEN}`);
    };
    await launchAttempt(world.ctx, task);
    const { attempt } = await lifeOf(world, task.jobId);
    // What nobody foresaw says nothing to people: it may hold a path of the server.
    const foreseen = failure("") instanceof LongshoreError;
    const message = foreseen ? "refused for ***REDACTED***" : "an unforeseen error in Longshore; see its log";
    expect(attempt?.exit?.failure).toMatchObject({ category, message });
    expect(world.completions).toEqual([task.token]);
    await finalizeAttempt(world.ctx, task);
    const everything = JSON.stringify([
      await lifeOf(world, task.jobId),
      await eventsOf(world, task.jobId),
      world.logged,
    ]);
    expect(everything).not.toContain("value-of-the-token");
  });

  test("whose reports cannot be recorded fails, and the next try finds what it started", async () => {
    const task = await admitted(world, {}, FOREVER);
    const { commit } = world.ledger.sqlite;
    let fails = true;
    world.ledger.table = {
      ...world.ledger.sqlite,
      commit: async (changes) => {
        if (fails && JSON.stringify(changes).includes("STARTED")) throw new LongshoreError("UNAVAILABLE", "disk full");
        return await commit(changes);
      },
    };
    await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    fails = false;
    await launchAttempt(world.ctx, { ...task, token: "second" });
    expect([...world.starts.values()]).toEqual([1]);
    expect((await lifeOf(world, task.jobId)).attempt).toMatchObject({
      token: "second",
      externalRef: expect.any(String),
    });
  });
});

describe("a second run of an attempt", () => {
  test("replaces the token, watches again, and submits nothing", async () => {
    const task = await launched(world);
    await launchAttempt(world.ctx, { ...task, token: "second" });
    expect([...world.starts.values()]).toEqual([1]);
    expect(world.watched).toHaveLength(2);
    const { job, attempt } = await lifeOf(world, task.jobId);
    expect(attempt?.token).toBe("second");
    expect(job.phase).toBe("running");
    expect((await typesOf(world, task.jobId)).filter((type) => type === "STARTED")).toHaveLength(1);
    await stopAttempt(world.ctx, task.jobId, 1);
    expect(world.completions).toEqual(["second"]);
  });

  test("of an attempt that has ended is completed at once", async () => {
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    await launchAttempt(world.ctx, { ...task, token: "second" });
    expect(world.completions).toEqual([task.token, "second"]);
    await finalizeAttempt(world.ctx, task);
    await launchAttempt(world.ctx, { ...task, token: "third" });
    expect(world.completions.at(-1)).toBe("third");
    expect([...world.starts.values()]).toEqual([1]);
  });

  test("tells the runtime when the first was dispatched, however late it comes itself", async () => {
    const task = await admitted(world, {}, FOREVER);
    const { submit } = world.runtime;
    const told: string[] = [];
    world.runtime.submit = (launch, signal) => {
      told.push(launch.dispatchedAt);
      launch.report({ phase: "creating" });
      if (told.length < 3) throw new Error("killed");
      return submit(launch, signal);
    };
    // Not when the job was submitted.
    world.ledger.nowMs += 60_000;
    const firstMs = world.ledger.nowMs;
    world.runtime.find = async () => {
      throw new Error("killed");
    };
    for (let run = 1; run <= 3; run++) {
      await launchAttempt(world.ctx, task).catch((error: Error) => expect(error.message).toBe("killed"));
      world.ledger.nowMs += 600_000;
    }
    expect(told).toEqual(Array(3).fill(new Date(firstMs).toISOString()));
  });

  test("after a restart takes the start's time from the runtime", async () => {
    const task = await admitted(world, {}, FOREVER);
    const startedMs = world.ledger.nowMs;
    const { submit } = world.runtime;
    const dies = new Error("killed");
    world.runtime.submit = async (launch, signal) => {
      await submit(launch, signal);
      world.inflight.shutDown();
      throw dies;
    };
    await expect(launchAttempt(world.ctx, task)).rejects.toBe(dies);
    expect(await typesOf(world, task.jobId)).not.toContain("STARTED");
    world.runtime.submit = submit;
    world.ledger.nowMs += 600_000;
    world.restart();
    await reconcile(world.ctx, { touchedBefore: Number.POSITIVE_INFINITY });
    const again = executionOf(world, task.jobId);
    expect(again.name).toBe(`${task.jobId}-1-1`);
    await launchAttempt(world.ctx, { ...task, token: again.token });
    const { attempt } = await lifeOf(world, task.jobId);
    expect(attempt?.startedAt).toBe(new Date(startedMs).toISOString());
    expect(attempt?.deadlineAt).toBe(new Date(startedMs + 3_600_000).toISOString());
    expect([...world.starts.values()]).toEqual([1]);
  });

  test("with a secret that was changed meanwhile still masks the one that the command got", async () => {
    world.secrets.set("token", "the-first-value");
    const script = { ...FOREVER, STUB_STDOUT: "nothing yet" };
    const task = await launched(world, { secrets: { API_TOKEN: { from: "vault:token" } } }, script);
    const ref = (await lifeOf(world, task.jobId)).attempt?.externalRef ?? "";
    // What a runtime such as Docker keeps is raw.
    world.runtime.logs = async function* () {
      const time = new Date(world.ledger.nowMs).toISOString();
      yield [{ n: 1, time, stream: "stdout", text: "I was given the-first-value" }];
    };
    world.secrets.set("token", "the-second-value");
    await launchAttempt(world.ctx, { ...task, token: "second" });
    expect(ref).not.toBe("");
    const live = (await Array.fromAsync(readLogs(world.ctx, (await lifeOf(world, task.jobId)).job))).flat();
    expect(live.map(({ text }) => text)).toEqual(["I was given ***REDACTED***"]);
    await stopAttempt(world.ctx, task.jobId, 1);
    await finalizeAttempt(world.ctx, task);
    const stored = (await Array.fromAsync(readLogs(world.ctx, (await lifeOf(world, task.jobId)).job))).flat();
    expect(stored.map(({ text }) => text)).toEqual(["I was given ***REDACTED***"]);
  });
});

describe("the values to mask", () => {
  test.each(["never", "onSuccess"] as const)(
    "do not rest for ever when the container is kept (%s)",
    async (cleanup) => {
      const spec = { cleanup, env: { DB_PASSWORD: "hunter2-hunter2" } };
      const task = await launched(world, spec, { STUB_EXIT_CODE: "3" });
      expect(await readMasks(world.ledger, task.jobId, 1)).toBeInstanceOf(Uint8Array);
      await observeExit(world.ctx, task);
      await finalizeAttempt(world.ctx, task);
      expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "FAILED", cleanupPending: false });
      expect(await leftOn(world)).toHaveLength(1);
      const sealed = await world.ledger.table.get(sealedKey(task.jobId));
      const masks = await world.ledger.table.get(masksKey(task.jobId, 1));
      // Gone at once, or at the latest a day (the timeout and its allowance) after the sealed spec.
      expect(masks?.ttl ?? 0).toBeLessThanOrEqual((sealed?.ttl ?? 0) + 86_400);
      if (masks !== undefined) expect(masks.ttl).toEqual(expect.any(Number));
    },
  );
});

describe("a cancel", () => {
  test("before the launch starts nothing", async () => {
    const task = await admitted(world);
    await cancelJob(world.ctx, task.jobId, "me");
    await stopAttempt(world.ctx, task.jobId, 1);
    await launchAttempt(world.ctx, task);
    expect(world.starts.size).toBe(0);
    expect(world.completions).toEqual([task.token]);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED", error: null, startedAt: null });
  });

  test("during the launch aborts it at once and starts nothing", async () => {
    const held = heldSubmit();
    const task = await admitted(world, {}, FOREVER);
    const launching = launchAttempt(world.ctx, task);
    await held.reached;
    await cancelJob(world.ctx, task.jobId, "me");
    await stopAttempt(world.ctx, task.jobId, 1);
    await launching;
    expect(world.starts.size).toBe(0);
    expect((await lifeOf(world, task.jobId)).attempt?.exit).toMatchObject({ exitCode: null, failure: null });
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED", error: null });
  });

  test("that comes in the moment in which the dispatch is on record starts nothing", async () => {
    const task = await admitted(world, {}, FOREVER);
    const { table } = world.ctx.ledger;
    const commit: typeof table.commit = async (changes) => {
      await table.commit(changes);
      if ((await lifeOf(world, task.jobId)).job.phase !== "validating") return;
      await cancelJob(world.ctx, task.jobId, "me");
      await stopAttempt(world.ctx, task.jobId, 1);
    };
    await launchAttempt({ ...world.ctx, ledger: { ...world.ctx.ledger, table: { ...table, commit } } }, task);
    expect(world.starts.size).toBe(0);
    await finalizeAttempt(world.ctx, task);
    expect(await typesOf(world, task.jobId)).not.toContain("STARTED");
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED", error: null });
  });

  test("of a launch in another process leaves nothing running when that one goes on", async () => {
    const held = heldSubmit();
    const task = await admitted(world, {}, FOREVER);
    const launching = launchAttempt(world.ctx, task);
    await held.reached;
    await cancelJob(world.ctx, task.jobId, "me");
    // This process knows of no launch.
    const elsewhere = { ...world.ctx, inflight: { ...world.ctx.inflight, abort: () => false } };
    await stopAttempt(elsewhere, task.jobId, 1);
    await finalizeAttempt(elsewhere, task);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("CANCELLED");
    held.goOn();
    await launching;
    await world.settled();
    expect(await leftOn(world)).toEqual([]);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("CANCELLED");
  });

  test("regression: of a launch in another process, which hears of cancels, is not on record before that one has stopped", async () => {
    const held = heldSubmit();
    const task = await admitted(world, {}, FOREVER);
    const launching = launchAttempt(world.ctx, task);
    await held.reached;
    await cancelJob(world.ctx, task.jobId, "me");
    const inflight = { ...world.ctx.inflight, abort: () => false, hearsOfCancels: true };
    const items = (await world.ledger.sqlite.feed.read(0, 100)).map(({ item }) => item);
    await drive({ ...world.ctx, inflight }, items);
    await world.settled();
    expect(await lifeOf(world, task.jobId)).toMatchObject({ job: { status: "RUNNING" }, attempt: { exit: null } });
    held.goOn();
    await launching;
    await world.settled();
    expect((await lifeOf(world, task.jobId)).attempt).toMatchObject({ startedAt: null, exit: { exitCode: null } });
    expect(world.starts.size).toBe(0);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED", error: null });
    expect(await leftOn(world)).toEqual([]);
  });

  test("that meets the very end of the launch stops what was started", async () => {
    const task = await admitted(world, {}, FOREVER);
    const { submit } = world.runtime;
    world.runtime.submit = async (launch, signal) => {
      const ref = await submit(launch, signal);
      await cancelJob(world.ctx, task.jobId, "me");
      return ref;
    };
    await launchAttempt(world.ctx, task);
    await world.settled();
    expect((await lifeOf(world, task.jobId)).attempt?.exit).toMatchObject({ exitCode: 143 });
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED", exitCode: 143, error: null });
    expect(await leftOn(world)).toEqual([]);
  });

  test("after the launch stops the command, then the record says so", async () => {
    const task = await launched(world);
    const job = await cancelJob(world.ctx, task.jobId, "me");
    expect(job).toMatchObject({ status: "RUNNING", cancelRequestedAt: expect.any(String) });
    await stopAttempt(world.ctx, task.jobId, 1);
    expect(world.completions).toEqual([task.token]);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("CANCELLED");
    await expect(cancelJob(world.ctx, task.jobId, "me")).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("of a command that had just succeeded is CANCELLED all the same: whoever asked was told yes", async () => {
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    await cancelJob(world.ctx, task.jobId, "me");
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED", exitCode: 0 });
  });

  test("that comes while the log is collected is not lost", async () => {
    const task = await launched(world, { retry: { maxAttempts: 3, on: ["USER_CODE"] } }, { STUB_EXIT_CODE: "3" });
    await observeExit(world.ctx, task);
    const { logs } = world.runtime;
    world.runtime.logs = async function* (ref, options) {
      await cancelJob(world.ctx, task.jobId, "me");
      yield* logs(ref, options);
    };
    expect(await finalizeAttempt(world.ctx, task)).toEqual({ retry: false, delaySeconds: 0 });
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED", error: null, attempt: 1 });
  });
});

describe("a shutdown", () => {
  test("during a launch records nothing of it", async () => {
    const held = heldSubmit();
    const task = await admitted(world, {}, FOREVER);
    const launching = launchAttempt(world.ctx, task);
    await held.reached;
    const before = await eventsOf(world, task.jobId);
    void world.inflight.shutDown();
    await expect(launching).rejects.toBe(SHUTDOWN);
    expect(await eventsOf(world, task.jobId)).toEqual(before);
    expect((await lifeOf(world, task.jobId)).attempt).toMatchObject({ exit: null, token: task.token });
    expect(world.completions).toEqual([]);
  });
});

describe("a deadline", () => {
  test("that passes stops the command; it ends as TIMED_OUT", async () => {
    const task = await launched(world, { timeoutSeconds: 60 });
    world.ledger.nowMs += 60_000;
    await expireAttempt(world.ctx, task.jobId, 1);
    expect(world.completions).toEqual([task.token]);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({
      status: "TIMED_OUT",
      exitCode: 143,
      error: { category: "TIMEOUT", retryable: false },
    });
  });

  test("that passes just after the end changes nothing", async () => {
    const task = await launched(world, { timeoutSeconds: 60 }, {});
    await observeExit(world.ctx, task);
    const before = await lifeOf(world, task.jobId);
    await expireAttempt(world.ctx, task.jobId, 1);
    expect(await lifeOf(world, task.jobId)).toEqual(before);
  });

  test("that passes when the command has ended by itself, unobserved, leaves its own end", async () => {
    const task = await launched(world, { timeoutSeconds: 60 }, { STUB_EXIT_CODE: "3" });
    world.ledger.nowMs += 60_000;
    await expireAttempt(world.ctx, task.jobId, 1);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "FAILED", exitCode: 3 });
  });

  test("of an attempt that is gone by now is late news", async () => {
    const task = await launched(world, {}, {});
    const before = await lifeOf(world, task.jobId);
    await expireAttempt(world.ctx, task.jobId, 2);
    await stopAttempt(world.ctx, task.jobId, 2);
    expect(await lifeOf(world, task.jobId)).toEqual(before);
  });
});

test("a launch on a runtime that this home no longer has can still be cancelled when the runtime is back", async () => {
  const task = await admitted(world, {}, FOREVER);
  const { runtimes } = world.ctx;
  world.ctx.runtimes = {
    ...runtimes,
    get: () => {
      throw new LongshoreError("RUNTIME_UNAVAILABLE", "there is no runtime stub");
    },
  };
  await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
  world.ctx.runtimes = runtimes;
  await cancelJob(world.ctx, task.jobId, "me");
  await stopAttempt(world.ctx, task.jobId, 1);
  expect((await lifeOf(world, task.jobId)).job.phase).toBe("collecting");
});

test("log lines are numbered on over an attempt that never began", async () => {
  const script = { STUB_STDOUT: "hello", STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: "1" };
  const spec = { retry: { maxAttempts: 3, delaySeconds: 0, on: ["UNKNOWN" as const, "RUNTIME_UNAVAILABLE" as const] } };
  const { jobId, token } = await admitted(world, spec, script);
  await launchAttempt(world.ctx, { jobId, attempt: 1, token });
  await observeExit(world.ctx, { jobId, attempt: 1 });
  await finalizeAttempt(world.ctx, { jobId, attempt: 1 });
  await advance(world.ctx.ledger, jobId, occurrences(1).REQUEUE);
  await advance(world.ctx.ledger, jobId, { ...occurrences(2).ADMIT, slotShard: 0 });
  // Its execution gives up before the attempt was ever dispatched.
  expect(await finalizeAttempt(world.ctx, { jobId, attempt: 2, failure: "lost" })).toMatchObject({ retry: true });
  await advance(world.ctx.ledger, jobId, { ...occurrences(2).REQUEUE, queueShard: 0 });
  await reconcile(world.ctx, { touchedBefore: Number.POSITIVE_INFINITY });
  world.executions.delete(`${jobId}-1-0`);
  await runExecutions(world);
  const { job } = await lifeOf(world, jobId);
  expect(job).toMatchObject({ status: "SUCCEEDED", attempt: 3 });
  const lines = (await Array.fromAsync(readLogs(world.ctx, job))).flat();
  expect(lines.map(({ seq, attempt, text }) => [seq, attempt, text])).toEqual([
    [1, 1, "hello"],
    [2, 3, "hello"],
  ]);
});

describe("a launch whose outcome is not known", () => {
  const lost = new LongshoreError("RUNTIME_UNAVAILABLE", "stub: the answer was lost");

  test("is no failure when the runtime has started the command", async () => {
    const task = await admitted(world, {}, FOREVER);
    const { submit } = world.runtime;
    world.runtime.submit = async (launch, signal) => {
      launch.report({ phase: "creating" });
      await submit(launch, signal);
      throw lost;
    };
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RUNNING", phase: "running" });
    expect(world.watched).toHaveLength(1);
  });

  test("is recorded by nobody as long as the runtime cannot be asked", async () => {
    const task = await admitted(world, {}, FOREVER);
    world.runtime.submit = async (launch) => {
      launch.report({ phase: "creating" });
      throw lost;
    };
    const { find } = world.runtime;
    world.runtime.find = () => Promise.reject(lost);
    await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({
      name: "AttemptInDoubt",
      message: lost.message,
    });
    const { job, attempt } = await lifeOf(world, task.jobId);
    expect(attempt?.exit).toBeNull();
    expect(job).toMatchObject({ status: "RUNNING", phase: "creating", slotShard: 0 });
    world.runtime.find = find;
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "PENDING", attempt: 1, slotShard: null });
    expect(world.starts.size).toBe(0);
  });

  test("is none before anything was made: the job waits for the runtime", async () => {
    const task = await admitted(world, {}, FOREVER);
    world.runtime.submit = () => Promise.reject(lost);
    world.runtime.find = () => Promise.reject(new Error("must not be asked"));
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "PENDING", phase: "queued", attempt: 1 });
    expect(world.completions).toEqual([task.token]);
  });

  test("goes on although its secret cannot be had any more", async () => {
    const task = await admitted(world, { secrets: { API_TOKEN: { from: "vault:token" } } }, FOREVER);
    world.secrets.set("token", "the-value-of-then");
    const { submit } = world.runtime;
    world.runtime.submit = async (launch, signal) => {
      await submit(launch, signal);
      return await new Promise<never>(() => undefined);
    };
    void launchAttempt(world.ctx, task);
    await expect.poll(() => leftOn(world)).toHaveLength(1);
    world.restart();
    world.runtime.submit = submit;
    world.secrets.clear();
    await launchAttempt(world.ctx, { ...task, token: "another" });
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RUNNING", phase: "running" });
  });
});

test("a container that was made and never started does not keep a cancelled job from its end", async () => {
  const task = await launched(world);
  const { status } = world.runtime;
  const { submit } = world.runtime;
  const other = await admitted(world, {}, FOREVER);
  world.runtime.submit = async (launch, signal) => {
    await submit(launch, signal);
    return await new Promise<never>(() => undefined);
  };
  void launchAttempt(world.ctx, other);
  await expect.poll(() => leftOn(world)).toHaveLength(2);
  world.restart();
  world.runtime.cancel = async () => false;
  world.runtime.status = async (ref) => ({ ...(await status(ref)), phase: "created", startedAt: null });
  await cancelJob(world.ctx, other.jobId, "me");
  await stopAttempt(world.ctx, other.jobId, 1);
  expect((await lifeOf(world, other.jobId)).attempt?.exit).toMatchObject({ exitCode: null, failure: null });
  expect(await leftOn(world)).toHaveLength(1);
  expect((await lifeOf(world, task.jobId)).attempt?.exit).toBeNull();
});
