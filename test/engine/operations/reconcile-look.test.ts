import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createStubRuntime } from "../../../adapters/runtime/stub/index.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import { slotsKey } from "../../../engine/ledger/keys.ts";
import { LEASE_MS, takeLease } from "../../../engine/ledger/lease.ts";
import { admitWaiting } from "../../../engine/operations/admit.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { describeJob } from "../../../engine/operations/describe.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { RECONCILE_DUTY, type ReconcileOptions, reconcile } from "../../../engine/operations/reconcile.ts";
import type { Launch, Owned, RuntimeAdapter } from "../../../engine/ports/runtime.ts";
import {
  eventsOf,
  executionOf,
  launched,
  leftOn,
  lifeOf,
  openWorld,
  runExecutions,
  submitted,
  typesOf,
  type World,
} from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(async () => {
  vi.useRealTimers();
  await world.dispose();
});

/** A moment after all that was done: the look speaks only of what was there before it began. */
const sweep = (options: Partial<ReconcileOptions> = {}) => {
  world.ledger.nowMs += 1;
  return reconcile(world.ctx, { touchedBefore: world.ctx.clock(), ...options });
};
const refOf = async (jobId: string) => (await lifeOf(world, jobId)).attempt?.externalRef ?? "";
const jobOf = async (jobId: string) => (await lifeOf(world, jobId)).job;
const away = () => Promise.reject(new LongshoreError("RUNTIME_UNAVAILABLE", "stub: away"));
const RETRIED = { retry: { maxAttempts: 2, delaySeconds: 0, on: ["RUNTIME_UNAVAILABLE" as const] } };

/** What the runtime lists, after the test has had its way with it. */
function listing(change: (owned: Owned[]) => Owned[]): void {
  const { list } = world.runtime;
  world.runtime.list = async function* () {
    yield* change(await Array.fromAsync(list()));
  };
}

describe("what runs by its record", () => {
  test("and has ended on its runtime is observed with the status that the list gave, asked of nobody else", async () => {
    const task = await launched(world, {}, { STUB_EXIT_CODE: "3" });
    world.runtime.status = () => Promise.reject(new Error("asked for one job"));
    expect(await sweep()).toMatchObject({ repaired: 1, lost: 0, failures: [] });
    expect((await lifeOf(world, task.jobId)).attempt?.exit).toMatchObject({ exitCode: 3, failure: null });
    expect(world.completions).toEqual([task.token]);
  });

  test("of a hundred jobs costs one list and no call for any of them", async () => {
    for (let n = 0; n < 100; n++) await launched(world);
    world.crash.at(Number.POSITIVE_INFINITY, "before");
    expect(await sweep()).toMatchObject({ looked: 100, repaired: 0, failures: [] });
    const asked = world.crash.calls();
    expect(asked.filter((call) => call === "list")).toHaveLength(1);
    expect(asked.filter((call) => ["status", "find", "wait", "cleanup", "cancel"].includes(call))).toEqual([]);
  });

  test.each([
    { spec: {}, status: "FAILED" },
    { spec: RETRIED, status: "RETRYING" },
  ])("and is nothing that its runtime knows is lost: $status", async ({ spec, status }) => {
    const task = await launched(world, spec);
    await world.runtime.cleanup(await refOf(task.jobId));
    expect(await sweep()).toMatchObject({ repaired: 1, lost: 1, failures: [] });
    expect(world.completions).toEqual([task.token]);
    await finalizeAttempt(world.ctx, task);
    const { job, attempt } = await lifeOf(world, task.jobId);
    expect(job.status).toBe(status);
    expect(attempt?.error).toMatchObject({
      category: "RUNTIME_UNAVAILABLE",
      message: "the runtime no longer knows the attempt's container or process",
      providerCode: "LOST",
    });
  });

  test.each([
    { what: "ended", script: {} as Record<string, string>, lose: false },
    { what: "was lost", script: { STUB_DURATION_MS: "forever" }, lose: true },
  ])("and $what while its home was dead comes to its end by one sweep", async ({ script, lose }) => {
    const task = await launched(world, {}, script);
    if (lose) await world.runtime.cleanup(await refOf(task.jobId));
    world.restart();
    expect(await sweep()).toMatchObject({ repaired: 1, failures: [] });
    expect([...world.executions.keys()]).toEqual([`${task.jobId}-1-1`]);
    await runExecutions(world);
    expect((await jobOf(task.jobId)).status).toBe(lose ? "FAILED" : "SUCCEEDED");
  });

  test("is not lost on the word of the list alone", async () => {
    const task = await launched(world);
    listing(() => []);
    expect(await sweep()).toMatchObject({ repaired: 0, lost: 0, failures: [] });
    expect(await jobOf(task.jobId)).toMatchObject({ status: "RUNNING", phase: "running" });
  });

  test("is not lost when it was started after the list began", async () => {
    await launched(world);
    let started = "";
    const { list, status } = world.runtime;
    world.runtime.list = async function* () {
      const before = await Array.fromAsync(list());
      started = (await launched(world)).jobId;
      yield* before;
    };
    // Even a runtime that does not know it yet must not cost it its life.
    world.runtime.status = async (ref) => ((await refOf(started)) === ref ? { ...(await status("?")) } : status(ref));
    expect(await sweep({ touchedBefore: Number.POSITIVE_INFINITY })).toMatchObject({ lost: 0 });
    expect(await jobOf(started)).toMatchObject({ status: "RUNNING", phase: "running" });
  });

  test("is not lost by a list that breaks off half-way; what it told before that counts", async () => {
    const tasks = [await launched(world, {}, {}), await launched(world), await launched(world)];
    const { list, cleanup } = world.runtime;
    await cleanup(await refOf(tasks[2]?.jobId ?? ""));
    world.runtime.list = async function* () {
      for await (const owned of list()) {
        yield owned;
        await away();
      }
    };
    const report = await sweep();
    expect(report).toMatchObject({ lost: 0, repaired: 1, failed: 1, failures: ["stub: stub: away"] });
    expect((await lifeOf(world, tasks[0]?.jobId ?? "")).attempt?.exit).toMatchObject({ exitCode: 0 });
    expect(await jobOf(tasks[2]?.jobId ?? "")).toMatchObject({ phase: "running" });
    world.runtime.list = list;
    expect(await sweep()).toMatchObject({ lost: 1, failures: [] });
  });

  test("and whose runtime cannot say whether it knows it stays as it is", async () => {
    const task = await launched(world);
    listing(() => []);
    world.runtime.status = away;
    expect(await sweep()).toMatchObject({ lost: 0, failed: 1 });
    expect(await jobOf(task.jobId)).toMatchObject({ phase: "running" });
  });

  test("keeps its own resource apart from another with its labels", async () => {
    const task = await launched(world);
    const ref = await refOf(task.jobId);
    const ended = {
      phase: "exited" as const,
      exitCode: 7,
      oom: false,
      failure: null,
      startedAt: null,
      finishedAt: null,
    };
    listing(([own]) => [{ ...(own as Owned), ref: "stray", externalName: "stray", status: ended }, own as Owned]);
    const removed: string[] = [];
    world.runtime.cleanup = async (one) => void removed.push(one);
    expect(await sweep()).toMatchObject({ repaired: 0, orphans: 1 });
    expect(removed).toEqual(["stray"]);
    expect(removed).not.toContain(ref);
    expect(await jobOf(task.jobId)).toMatchObject({ phase: "running" });
  });

  test("under another name than it was given, is still its own", async () => {
    const task = await launched(world);
    listing((all) => all.map((owned) => ({ ...owned, externalName: "renamed-by-hand" })));
    expect(await sweep()).toMatchObject({ repaired: 0, orphans: 0, failures: [] });
    expect(await leftOn(world)).toEqual(["renamed-by-hand"]);
    expect(await jobOf(task.jobId)).toMatchObject({ phase: "running" });
  });
});

describe("an orphan", () => {
  const GARBAGE: Partial<Owned>[] = [
    { jobId: "job_01KGABCDEFGHJKMNPQRSTVWXYZ" },
    { jobId: "" },
    { jobId: "../../etc/passwd" },
    { jobId: "job_ü#EVENT#00000001" },
    { attempt: Number.NaN },
    { attempt: 0 },
    { attempt: -1 },
    { attempt: 1.5 },
    { attempt: 99 },
  ];

  test.each(GARBAGE)("with labels that say %j is removed, and the job that runs is left alone", async (patch) => {
    const task = await launched(world);
    const before = await jobOf(task.jobId);
    listing(([own]) => [own as Owned, { ...(own as Owned), ref: "stray", externalName: "stray", ...patch }]);
    const removed: string[] = [];
    world.runtime.cleanup = async (ref) => void removed.push(ref);
    expect(await sweep()).toMatchObject({ orphans: 1, repaired: 0, failures: [] });
    expect(removed).toEqual(["stray"]);
    const { seq, version, lastHeartbeatAt, ...rest } = await jobOf(task.jobId);
    expect({ ...before, ...rest }).toEqual(before);
  });

  test("is announced on its job once, however often its removal fails, also after the job's end", async () => {
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    const name = await launchStray(task.jobId, 1);
    const { cleanup } = world.runtime;
    world.runtime.cleanup = away;
    for (let n = 0; n < 3; n++) expect(await sweep()).toMatchObject({ orphans: 0, failed: 1 });
    world.runtime.cleanup = cleanup;
    expect(await sweep()).toMatchObject({ orphans: 1, failed: 0 });
    const events = await eventsOf(world, task.jobId);
    expect(events.map(({ type }) => type).slice(-3)).toEqual(["SUCCEEDED", "CLEANED_UP", "ORPHAN_DETECTED"]);
    expect(events.at(-1)).toMatchObject({
      status: "SUCCEEDED",
      phase: null,
      data: { attempt: 1, externalName: name, externalRef: name },
    });
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, n) => n + 1));
    expect(await jobOf(task.jobId)).toMatchObject({ status: "SUCCEEDED", cleanupPending: false });
  });

  test("of a job that the ledger does not know is told in the log", async () => {
    const name = await launchStray("job_01KGABCDEFGHJKMNPQRSTVWXYZ", 4);
    await sweep();
    expect(world.logged).toContainEqual([
      { jobId: "job_01KGABCDEFGHJKMNPQRSTVWXYZ", attempt: 4, runtime: "stub", name },
      "an orphan is removed",
    ]);
  });

  test("is what is there of an attempt between its clean-up and the next one", async () => {
    const task = await launched(
      world,
      { retry: { maxAttempts: 2, delaySeconds: 60, on: ["UNKNOWN"] } },
      {
        STUB_END_WITH: "UNKNOWN",
      },
    );
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    await launchStray(task.jobId, 1);
    expect(await sweep()).toMatchObject({ orphans: 1 });
    expect(await leftOn(world)).toEqual([]);
    expect((await typesOf(world, task.jobId)).at(-1)).toBe("ORPHAN_DETECTED");
  });

  test("is not what was cleaned up while the list was read", async () => {
    const task = await launched(world, {}, {});
    const { list } = world.runtime;
    world.runtime.list = async function* () {
      const before = await Array.fromAsync(list());
      await observeExit(world.ctx, task);
      await finalizeAttempt(world.ctx, task);
      yield* before;
    };
    expect(await sweep({ touchedBefore: Number.POSITIVE_INFINITY })).toMatchObject({ orphans: 0, failures: [] });
    expect((await typesOf(world, task.jobId)).at(-1)).toBe("CLEANED_UP");
  });

  async function launchStray(jobId: string, attempt: number): Promise<string> {
    const externalName = `longshore-orphan-${attempt}`;
    const spec = { timeoutSeconds: 60, cleanup: "always" };
    const env = { STUB_DURATION_MS: "forever" };
    const launch = {
      jobId,
      attempt,
      externalName,
      spec,
      env,
      secretValues: [],
      report: () => undefined,
      confirm: async () => undefined,
    };
    return await world.runtime.submit(launch as unknown as Launch, new AbortController().signal);
  }
});

describe("a heartbeat", () => {
  const shown = async (jobId: string) => (await describeJob(world.ctx, await jobOf(jobId))).lastHeartbeatAt;
  const now = () => new Date(world.ledger.nowMs).toISOString();

  test("of every running job is the last look that saw it, and no job is written for it", async () => {
    const tasks = [await launched(world), await launched(world)];
    const before = await Promise.all(tasks.map(({ jobId }) => jobOf(jobId)));
    world.ledger.nowMs += 60_000;
    world.crash.at(Number.POSITIVE_INFINITY, "before");
    await sweep();
    // The lease and its end, the look, and when to count again.
    const first = world.crash.calls().filter((call) => call === "commit").length;
    for (const { jobId } of tasks) expect(await shown(jobId)).toBe(now());
    expect(await Promise.all(tasks.map(({ jobId }) => jobOf(jobId)))).toEqual(before);
    for (let n = 0; n < 20; n++) await launched(world);
    world.crash.at(Number.POSITIVE_INFINITY, "before");
    await sweep();
    expect(world.crash.calls().filter((call) => call === "commit").length).toBeLessThanOrEqual(first);
  });

  test("of a job that was touched since is its own", async () => {
    const task = await launched(world);
    world.ledger.nowMs += 60_000;
    await sweep();
    world.ledger.nowMs += 5_000;
    const later = await launched(world);
    expect(await shown(later.jobId)).toBe(now());
    await cancelJob(world.ctx, task.jobId, "me");
    expect(await shown(task.jobId)).toBe(now());
  });

  test("is not told by a look that broke off, nor by one that could not find out about one of the jobs", async () => {
    const [well, ill] = [await launched(world), await launched(world)];
    const own = await shown(well.jobId);
    world.ledger.nowMs += 60_000;
    const { list, status } = world.runtime;
    world.runtime.list = async function* () {
      yield* list();
      await away();
    };
    await sweep();
    expect(await shown(well.jobId)).toBe(own);
    const lost = await refOf(ill.jobId);
    world.runtime.list = async function* () {
      for await (const owned of list()) if (owned.ref !== lost) yield owned;
    };
    world.runtime.status = away;
    await sweep();
    expect(await shown(well.jobId)).toBe(own);
    world.runtime.status = status;
    await sweep();
    expect(await shown(well.jobId)).toBe(now());
  });

  test("of what does not run is its own", async () => {
    const ended = await launched(world, {}, {});
    await observeExit(world.ctx, ended);
    const own = await shown(ended.jobId);
    await launched(world);
    world.ledger.nowMs += 60_000;
    await sweep();
    expect(await shown(ended.jobId)).toBe(own);
    expect(await shown(await submitted(world))).toBeNull();
  });
});

describe("a runtime that takes calls and never answers", () => {
  const never = () => new Promise<never>(() => undefined);
  const onlyTimers = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });

  /** A second runtime beside the stub. */
  function addRuntime(): RuntimeAdapter & { list: RuntimeAdapter["list"] } {
    const other = { ...createStubRuntime({ homeId: "home", clock: () => world.ledger.nowMs }), name: "other" };
    const { runtimes } = world.ctx;
    world.ctx.runtimes = {
      all: () => [...runtimes.all(), other],
      offered: () => [...runtimes.offered(), other],
      get: (name) => (name === "other" ? other : runtimes.get(name)),
    };
    return other;
  }

  test("costs its sweep one wait, and the other runtimes' jobs are repaired", async () => {
    const other = addRuntime();
    const hung = await launched(world);
    const ended = await launched(world, {}, {});
    const { cleanup } = world.runtime;
    await observeExit(world.ctx, ended);
    world.runtime.cleanup = away;
    await expect(finalizeAttempt(world.ctx, ended)).rejects.toThrow();
    world.runtime.cleanup = cleanup;
    const lost = await launchedOn("other");
    await other.cleanup((await lifeOf(world, lost)).attempt?.externalRef ?? "");

    onlyTimers();
    const asked = Promise.withResolvers<void>();
    const calls: string[] = [];
    world.runtime.list = async function* () {
      calls.push("list");
      asked.resolve();
      yield await never();
    };
    world.runtime.cleanup = () => {
      calls.push("cleanup");
      return never();
    };
    const swept = sweep();
    await asked.promise;
    await vi.advanceTimersByTimeAsync(20_000);
    const report = await swept;
    expect(calls).toEqual(["list"]);
    expect(report).toMatchObject({ lost: 1, stopped: null });
    expect(report.failures).toEqual([
      "stub: stub did not answer within 20 s",
      `${ended.jobId}: stub did not answer within 20 s`,
    ]);
    expect(await jobOf(hung.jobId)).toMatchObject({ phase: "running" });
    expect(await jobOf(lost)).toMatchObject({ phase: "collecting" });
  });

  test("for a single resource keeps the sweep from none of the others", async () => {
    const names: string[] = [];
    for (let n = 0; n < 20; n++) {
      const one = await launched(world, {}, {});
      await observeExit(world.ctx, one);
      names.push(one.jobId);
    }
    const { cleanup } = world.runtime;
    world.runtime.cleanup = away;
    for (const jobId of names) {
      await finalizeAttempt(world.ctx, { jobId: jobId as never, attempt: 1 }).catch(() => undefined);
    }
    onlyTimers();
    const stuck = await refOf(names[3] as string);
    const rest = Promise.withResolvers<void>();
    let removed = 0;
    world.runtime.cleanup = async (ref) => {
      if (ref === stuck) return await never();
      await cleanup(ref);
      if (++removed === 19) rest.resolve();
    };
    const swept = sweep();
    await rest.promise;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await swept).toMatchObject({ repaired: 19, failed: 1 });
    expect(await leftOn(world)).toEqual([stuck]);
  });

  async function launchedOn(runtime: string): Promise<string> {
    const jobId = await submitted(world, { runtime, image: "busybox:1" }, { STUB_DURATION_MS: "forever" });
    await admitWaiting(world.ctx, runtime);
    await launchAttempt(world.ctx, { jobId, attempt: 1, token: executionOf(world, jobId).token });
    return jobId;
  }
});

describe("a sweep", () => {
  test("whose time is over stops, says so, and leaves the rest to the next one", async () => {
    for (let n = 0; n < 3; n++) await launched(world, {}, {});
    const { list } = world.runtime;
    world.runtime.list = async function* () {
      yield* list();
      world.ledger.nowMs += 1000;
    };
    const until = world.ledger.nowMs + 1000;
    expect(await sweep({ until })).toMatchObject({ repaired: 0, stopped: "time" });
    expect(await sweep({ until: world.ledger.nowMs + 5000 })).toMatchObject({ repaired: 3, stopped: null });
  });

  test("that another instance has begun is not joined", async () => {
    await launched(world, {}, {});
    const lease = await takeLease(world.ledger, RECONCILE_DUTY);
    expect(await sweep()).toMatchObject({ looked: 0, repaired: 0, stopped: "lease" });
    await lease?.release();
    expect(await sweep()).toMatchObject({ repaired: 1, stopped: null });
  });

  test("at once with two others is done by one", async () => {
    await launched(world, {}, {});
    const reports = await Promise.all([sweep(), sweep(), sweep()]);
    expect(reports.map(({ stopped }) => stopped).sort()).toEqual(["lease", "lease", null]);
    expect(reports.reduce((sum, { repaired }) => sum + repaired, 0)).toBe(1);
  });

  test("whose process stood still for longer than its lease stops, and what it did meanwhile is done once", async () => {
    const tasks = [await launched(world, {}, {}), await launched(world), await launched(world)];
    await world.runtime.cleanup(await refOf(tasks[1]?.jobId ?? ""));
    const { list } = world.runtime;
    const arrived = Promise.withResolvers<void>();
    const paused = Promise.withResolvers<void>();
    let looks = 0;
    world.runtime.list = async function* () {
      const seen = await Array.fromAsync(list());
      if (looks++ === 0) {
        arrived.resolve();
        await paused.promise;
      }
      yield* seen;
    };
    const first = sweep();
    await arrived.promise;
    world.ledger.nowMs += LEASE_MS;
    expect(await sweep()).toMatchObject({ repaired: 2, lost: 1, stopped: null });
    paused.resolve();
    expect(await first).toMatchObject({ repaired: 0, lost: 0, stopped: "lease" });
    for (const { jobId } of tasks.slice(0, 2)) {
      expect((await typesOf(world, jobId)).filter((type) => type === "EXITED")).toHaveLength(1);
    }
  });

  test("that stands still in the middle of a step does it to no harm", async () => {
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    const { cleanup } = world.runtime;
    world.runtime.cleanup = away;
    await expect(finalizeAttempt(world.ctx, task)).rejects.toThrow();
    const arrived = Promise.withResolvers<void>();
    const paused = Promise.withResolvers<void>();
    let cleanups = 0;
    world.runtime.cleanup = async (ref) => {
      if (cleanups++ === 0) {
        arrived.resolve();
        await paused.promise;
      }
      await cleanup(ref);
    };
    const first = sweep();
    await arrived.promise;
    world.ledger.nowMs += LEASE_MS;
    expect(await sweep()).toMatchObject({ repaired: 1, stopped: null });
    paused.resolve();
    expect(await first).toMatchObject({ stopped: "lease" });
    expect((await typesOf(world, task.jobId)).filter((type) => type === "CLEANED_UP")).toHaveLength(1);
    expect(await sweep()).toMatchObject({ looked: 0, orphans: 0 });
  });

  test("counts the counters again at its first time, when it is asked to, and every ten minutes", async () => {
    const falsify = () => world.ledger.sqlite.commit([{ kind: "patch", key: slotsKey("stub", 0), add: { count: 1 } }]);
    const corrected = async (options = {}) => (await sweep(options)).corrected.length;
    await falsify();
    expect(await corrected()).toBe(1);
    await falsify();
    expect(await corrected()).toBe(0);
    expect(await corrected({ recount: "now" })).toBe(1);
    await falsify();
    world.ledger.nowMs += 10 * 60_000 - 3;
    expect(await corrected()).toBe(0);
    world.ledger.nowMs += 3;
    expect(await corrected({ recount: "never" })).toBe(0);
    expect(await corrected()).toBe(1);
  });

  test("that finds a leaked slot lets in who waited for it, and never one more than the bound", async () => {
    await world.dispose();
    world = await openWorld({ maxConcurrent: () => 3 });
    await launched(world);
    await world.ledger.sqlite.commit([{ kind: "patch", key: slotsKey("stub", 0), add: { count: 2 } }]);
    const jobs = await Promise.all(Array.from({ length: 10 }, () => submitted(world)));
    const [report] = await Promise.all([sweep(), ...Array.from({ length: 10 }, () => submitted(world))]);
    const held = async () => (await Promise.all(jobs.map(jobOf))).filter(({ slotShard }) => slotShard !== null).length;
    if (report.corrected.length === 0) await sweep({ recount: "now" });
    expect(await held()).toBe(2);
    await sweep({ recount: "now" });
    expect(await held()).toBe(2);
  });
});
