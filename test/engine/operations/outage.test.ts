import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SHUTDOWN } from "../../../engine/abort.ts";
import { COOL_DOWN_MS, circuitState } from "../../../engine/circuit.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import type { JobId } from "../../../engine/ids.ts";
import { readCircuit, tellCircuit } from "../../../engine/ledger/circuit.ts";
import { admitWaiting } from "../../../engine/operations/admit.ts";
import { probeCircuit } from "../../../engine/operations/circuit.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { describeJob, describeRuntime } from "../../../engine/operations/describe.ts";
import { drive } from "../../../engine/operations/drive.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { reconcile } from "../../../engine/operations/reconcile.ts";
import { MAX_REFUSALS } from "../../../engine/operations/unanswered.ts";
import { CrashError } from "../../lab/faulty-table.ts";
import { everyJob, recounted, storedCounters } from "../ledger/fixtures.ts";
import {
  admitted,
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
let real: World["runtime"];
beforeEach(async () => {
  world = await openWorld();
  real = { ...world.runtime };
});
afterEach(() => world.dispose());

const FOREVER = { STUB_DURATION_MS: "forever" };
const silence = () => new LongshoreError("RUNTIME_UNAVAILABLE", "stub: there is no socket", { providerCode: "ENOENT" });
const away = () => Promise.reject(silence());
const stateNow = async () => circuitState(await readCircuit(world.ledger, "stub"), world.ctx.clock());
const sweep = () => reconcile(world.ctx, { touchedBefore: world.ctx.clock() + 1 });
const isNews = async () =>
  await drive(
    world.ctx,
    (await world.ledger.sqlite.feed.read(0, 10_000)).map(({ item }) => item),
  );

/** From now on the runtime answers nothing at all, as when its daemon is stopped. */
function goAway(): void {
  Object.assign(world.runtime, { submit: away, find: away, status: away, cancel: away, cleanup: away });
  world.runtime.health = async () => ({ ok: false, message: "stub: there is no socket" });
  const unreadable = () => {
    throw silence();
  };
  Object.assign(world.runtime, { list: unreadable, logs: unreadable });
}
function comeBack(): void {
  Object.assign(world.runtime, real);
}

/** What the executions of a job that was just deferred do: the token is complete, and the lifecycle finalizes. */
async function ends(jobId: JobId, name: string): Promise<void> {
  const execution = world.executions.get(name);
  expect(execution?.completed).toBe(true);
  expect(await finalizeAttempt(world.ctx, { ...execution?.input, jobId, attempt: 1 })).toEqual({
    retry: false,
    delaySeconds: 0,
  });
}

async function expectCountersRight(keys: string[] = []): Promise<void> {
  const jobs = await everyJob(world.ledger.sqlite);
  expect(await storedCounters(world.ledger, ["stub"], keys)).toEqual(
    recounted(jobs, world.ledger, { runtimes: ["stub"], keys }),
  );
}

/** Launches jobs until the circuit is open; gives the ids of those that wait. */
async function openCircuit(): Promise<JobId[]> {
  const tasks = [await admitted(world), await admitted(world), await admitted(world)];
  for (const task of tasks) await launchAttempt(world.ctx, task);
  expect(await stateNow()).toBe("open");
  return tasks.map(({ jobId }) => jobId);
}

describe("a launch that the runtime does not answer", () => {
  test("brings the job back to the queue, the attempt unspent, and frees slot and key in the same commit", async () => {
    await world.dispose();
    world = await openWorld({ maxQueued: 1, maxConcurrent: () => 1 });
    const task = await admitted(world, { concurrencyKey: "k" });
    // The queue is full again: who was accepted is never refused.
    await submitted(world, {}, {});
    goAway();
    await launchAttempt(world.ctx, task);
    const { job, attempt } = await lifeOf(world, task.jobId);
    expect(job).toMatchObject({ status: "PENDING", phase: "queued", attempt: 1, generation: 1, slotShard: null });
    expect(job).toMatchObject({ queueShard: 0, error: null, startedAt: null, finishedAt: null });
    expect(attempt).toMatchObject({ token: null, exit: null, stop: null });
    await expectCountersRight(["k"]);
    expect((await storedCounters(world.ledger, ["stub"], ["k"])).keys).toEqual({ k: 0 });
    expect((await eventsOf(world, task.jobId)).at(-1)).toMatchObject({
      type: "RECONCILED",
      status: "PENDING",
      data: { reason: "stub: there is no socket", deferred: true, generation: 1 },
    });
    await ends(task.jobId, `${task.jobId}-1-0`);
  });

  test("is made again under another execution's name, with one start in all", async () => {
    const task = await admitted(world);
    world.runtime.submit = away;
    await launchAttempt(world.ctx, task);
    comeBack();
    await isNews();
    expect(executionOf(world, task.jobId)).toMatchObject({ name: `${task.jobId}-1-1`, input: { generation: 1 } });
    await runExecutions(world);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "SUCCEEDED", attempt: 1 });
    expect([...world.starts.values()]).toEqual([1]);
  });

  test("leaves the next execution alone when its own is slow to end", async () => {
    const task = await admitted(world, {}, FOREVER);
    world.runtime.submit = away;
    await launchAttempt(world.ctx, task);
    comeBack();
    await admitWaiting(world.ctx, "stub");
    const next = executionOf(world, task.jobId);
    await launchAttempt(world.ctx, { ...next.input, token: next.token });
    const running = await lifeOf(world, task.jobId);
    expect(running.job.phase).toBe("running");
    // Its finalize, as it would come, and a retry of its dispatch that failed after the commit.
    await ends(task.jobId, `${task.jobId}-1-0`);
    await launchAttempt(world.ctx, { ...task, generation: 0, token: "a new try's" });
    await finalizeAttempt(world.ctx, { ...task, generation: 0, failure: "lost" });
    expect(await lifeOf(world, task.jobId)).toEqual(running);
    expect(world.completions).toEqual([task.token, "a new try's"]);
    expect(await leftOn(world)).toHaveLength(1);
  });

  test("does not take the job from a later try of the same execution, which is at it", async () => {
    const task = await admitted(world, {}, FOREVER);
    const goOn = Promise.withResolvers<void>();
    let later: Promise<void> | undefined;
    world.runtime.submit = async () => {
      const reached = Promise.withResolvers<void>();
      world.runtime.submit = async (launch, signal) => {
        reached.resolve();
        await goOn.promise;
        return await real.submit(launch, signal);
      };
      later = launchAttempt(world.ctx, { ...task, token: "the later try's" });
      await reached.promise;
      throw silence();
    };
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RUNNING", generation: 0, slotShard: 0 });
    goOn.resolve();
    await later;
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ phase: "running", generation: 0 });
    expect([...world.starts.values()]).toEqual([1]);
  });

  test("of a job that was cancelled meanwhile ends it: it does not wait", async () => {
    const task = await admitted(world);
    world.runtime.submit = async () => {
      // In another process: this one's launch is not aborted.
      await cancelJob(world.ctx, task.jobId, "me");
      throw silence();
    };
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RUNNING", phase: "collecting" });
    expect(world.completions).toEqual([task.token]);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED", startedAt: null });
  });

  test("wakes who waits for the key that it gives back", async () => {
    const first = await admitted(world, { concurrencyKey: "k" });
    const second = await submitted(world, { concurrencyKey: "k" });
    await admitWaiting(world.ctx, "stub");
    expect((await lifeOf(world, second)).job.parked).toBe(true);
    goAway();
    await openCircuit();
    await launchAttempt(world.ctx, first);
    await isNews();
    expect((await lifeOf(world, second)).job.parked).toBe(false);
    await expectCountersRight(["k"]);
  });

  test("fails the attempt, with what was said, when the runtime answers all others", async () => {
    const task = await admitted(world);
    world.runtime.submit = (launch, signal) => (launch.jobId === task.jobId ? away() : real.submit(launch, signal));
    let next = executionOf(world, task.jobId);
    for (let tries = 0; tries <= MAX_REFUSALS; tries++) {
      expect((await lifeOf(world, task.jobId)).job.slotShard).toBe(0);
      await launchAttempt(world.ctx, { ...next.input, token: next.token });
      await launched(world);
      next = executionOf(world, task.jobId);
    }
    expect(await stateNow()).toBe("closed");
    await finalizeAttempt(world.ctx, next.input);
    const { job } = await lifeOf(world, task.jobId);
    const error = { category: "RUNTIME_UNAVAILABLE", message: "stub: there is no socket", providerCode: "ENOENT" };
    expect(job).toMatchObject({ status: "FAILED", attempt: 1, error });
    expect((await typesOf(world, task.jobId)).filter((type) => type === "RECONCILED")).toHaveLength(MAX_REFUSALS);
  });

  test("because this process ends tells nothing of the runtime", async () => {
    for (let n = 0; n < 4; n++) {
      const task = await admitted(world);
      world.runtime.submit = async (_launch, signal) => {
        world.inflight.shutDown();
        signal.throwIfAborted();
        throw silence();
      };
      await expect(launchAttempt(world.ctx, task)).rejects.toBe(SHUTDOWN);
      expect((await lifeOf(world, task.jobId)).job.status).toBe("RUNNING");
    }
    expect(await stateNow()).toBe("closed");
  });

  test.each(["before", "after"] as const)(
    "that dies at any call (%s it) ends all the same, started once",
    async (when) => {
      let struck = 0;
      for (let n = 1; n <= 16; n++) {
        const task = await admitted(world);
        // Closed again, whatever the round before did to it.
        await tellCircuit(world.ledger, "stub", { type: "ANSWERED", to: "launch", beganMs: world.ctx.clock() });
        world.runtime.submit = away;
        world.crash.at(n, when);
        const outcome = await launchAttempt(world.ctx, task).then(
          () => null,
          (error: unknown) => error,
        );
        world.restart();
        comeBack();
        for (let round = 0; round < 3; round++) {
          world.ledger.nowMs += 60_000;
          await sweep();
          await world.settled();
          await runExecutions(world);
          world.executions.clear();
        }
        const { job } = await lifeOf(world, task.jobId);
        expect(job, `call ${n}: ${outcome}`).toMatchObject({ status: "SUCCEEDED", attempt: 1 });
        expect([...world.starts.values()]).toEqual([1]);
        expect(await leftOn(world)).toEqual([]);
        await expectCountersRight();
        world.starts.clear();
        if (outcome === null) continue;
        expect(outcome instanceof CrashError || outcome instanceof LongshoreError).toBe(true);
        struck++;
      }
      // Reads, the spec, the token's commit, the circuit's, the deferral, the end of the token.
      expect(struck).toBeGreaterThan(8);
    },
  );
});

describe("a launch of which nobody knows whether it took effect", () => {
  /** The command is started; its answer and whatever is asked then are lost. */
  async function inDoubt(script: Record<string, string> = FOREVER) {
    const task = await admitted(world, { concurrencyKey: "k" }, script);
    world.runtime.submit = async (launch, signal) => {
      await real.submit(launch, signal);
      goAway();
      throw silence();
    };
    await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({ name: "AttemptInDoubt" });
    return task;
  }

  test("keeps its slot and its key as long as the runtime is away, however often it is tried", async () => {
    const task = await inDoubt();
    for (let n = 0; n < 10; n++) {
      world.ledger.nowMs += 30_000;
      await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({ name: "AttemptInDoubt" });
      await sweep();
    }
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RUNNING", attempt: 1, slotShard: 0 });
    expect((await lifeOf(world, task.jobId)).attempt).toMatchObject({ exit: null, stop: null, token: task.token });
    expect((await storedCounters(world.ledger, ["stub"], ["k"])).keys).toEqual({ k: 1 });
    expect(await stateNow()).not.toBe("closed");
  });

  test.each([
    ["runs", FOREVER, { status: "RUNNING", phase: "running" }],
    ["has ended meanwhile", { STUB_EXIT_CODE: "3" }, { status: "RUNNING", phase: "collecting" }],
  ])("is followed to its end when the runtime is back and it %s", async (_, script, expected) => {
    const task = await inDoubt(script);
    world.ledger.nowMs += 600_000;
    comeBack();
    await launchAttempt(world.ctx, task);
    for (const one of world.watched.splice(0)) await observeExit(world.ctx, one);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ ...expected, attempt: 1 });
    expect([...world.starts.values()]).toEqual([1]);
    expect(await stateNow()).toBe("closed");
  });

  test("is started, once, when it turns out that it was not", async () => {
    const task = await admitted(world, {}, FOREVER);
    world.runtime.submit = async (launch) => {
      launch.report({ phase: "creating" });
      goAway();
      throw silence();
    };
    await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({ name: "AttemptInDoubt" });
    comeBack();
    await launchAttempt(world.ctx, task);
    expect([...world.starts.values()]).toEqual([1]);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ phase: "running", attempt: 1, generation: 0 });
  });

  test("whose container was made and not started is left to the next try, not removed", async () => {
    const task = await admitted(world);
    world.runtime.submit = async (launch, signal) => {
      await real.submit(launch, signal);
      throw silence();
    };
    world.runtime.status = async (ref) => ({ ...(await real.status(ref)), phase: "created", startedAt: null });
    await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({ name: "AttemptInDoubt" });
    expect(await leftOn(world)).toHaveLength(1);
    comeBack();
    await launchAttempt(world.ctx, task);
    expect([...world.starts.values()]).toEqual([1]);
  });

  test("is in doubt too when its start was answered and its state was not", async () => {
    const task = await launchedBefore();
    world.runtime.status = away;
    await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({ name: "AttemptInDoubt" });
    comeBack();
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job.phase).toBe("running");
    expect([...world.starts.values()]).toEqual([1]);
  });

  test("is not cancelled before its resource is known to be gone", async () => {
    const task = await inDoubt();
    await cancelJob(world.ctx, task.jobId, "me");
    await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({ name: "AttemptInDoubt" });
    await sweep();
    await world.settled().catch(() => undefined);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RUNNING", finishedAt: null });
    comeBack();
    await launchAttempt(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED" });
    expect(await leftOn(world)).toEqual([]);
  });

  /** Its process died between the start and the record of it. */
  async function launchedBefore() {
    const task = await admitted(world, {}, FOREVER);
    world.runtime.submit = async (launch, signal) => {
      await real.submit(launch, signal);
      return await new Promise<never>(() => undefined);
    };
    void launchAttempt(world.ctx, task);
    await expect.poll(() => leftOn(world)).toHaveLength(1);
    world.restart();
    comeBack();
    return task;
  }
});

describe("while a circuit is open", () => {
  test("nothing is admitted, every slot stays free, and each job says why it waits and since when", async () => {
    goAway();
    const ids = await openCircuit();
    world.ledger.nowMs += 1_000;
    ids.push(await submitted(world));
    await isNews();
    await admitWaiting(world.ctx, "stub");
    expect((await storedCounters(world.ledger, ["stub"], [])).slots).toEqual({ stub: [0] });
    const openedAt = new Date(world.ctx.clock() - 1_000).toISOString();
    const described = await Promise.all(ids.map(async (id) => describeJob(world.ctx, (await lifeOf(world, id)).job)));
    for (const { status, waitReason } of described) {
      expect(status).toBe("PENDING");
      expect(waitReason?.code).toBe("RUNTIME_UNAVAILABLE");
      expect(waitReason?.message).toMatch(
        /^stub does not answer \(stub: there is no socket\); it is asked again from /,
      );
    }
    expect(described[0]?.waitReason?.since).toBe(openedAt);
    // One that came later has not waited longer than it is there.
    expect(described[3]?.waitReason?.since).toBe(described[3]?.createdAt);
    expect(await describeRuntime(world.ctx, world.runtime)).toMatchObject({ circuit: "open", health: { ok: false } });
  });

  test("jobs of other runtimes go on", async () => {
    for (const call of ["a", "b", "c"]) {
      await tellCircuit(world.ledger, "docker", { type: "SILENT", call, beganMs: world.ctx.clock(), message: "away" });
    }
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("SUCCEEDED");
  });

  test("one that is cancelled is over at once, and what its launch left is removed", async () => {
    const task = await admitted(world);
    world.runtime.submit = async (launch, signal) => {
      await real.submit({ ...launch, report: () => undefined }, signal);
      throw silence();
    };
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("PENDING");
    expect(await leftOn(world)).toHaveLength(1);
    await cancelJob(world.ctx, task.jobId, "me");
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED", cleanupPending: true });
    await isNews();
    await world.settled();
    expect(await leftOn(world)).toEqual([]);
    expect((await typesOf(world, task.jobId)).at(-1)).toBe("CLEANED_UP");
    await isNews();
    await world.settled();
    expect((await typesOf(world, task.jobId)).filter((type) => type === "CLEANED_UP")).toHaveLength(1);
    await expectCountersRight();
  });
});

describe("a runtime all of whose slots are held when it goes away", () => {
  test("is found out by the sweeps, and by nothing while it has no jobs", async () => {
    await world.dispose();
    world = await openWorld({ maxConcurrent: () => 1 });
    real = { ...world.runtime };
    goAway();
    for (let n = 0; n < 5; n++) await sweep();
    expect(await stateNow()).toBe("closed");
    comeBack();
    await launched(world);
    const waiting = await submitted(world);
    goAway();
    const reason = async () => (await describeJob(world.ctx, (await lifeOf(world, waiting)).job)).waitReason?.code;
    for (const expected of ["RUNTIME_CONCURRENCY", "RUNTIME_CONCURRENCY", "RUNTIME_UNAVAILABLE"]) {
      world.ledger.nowMs += 15_000;
      await sweep();
      expect(await reason()).toBe(expected);
    }
    comeBack();
    world.ledger.nowMs += 15_000;
    await sweep();
    await world.settled();
    expect([await stateNow(), await reason()]).toEqual(["closed", "RUNTIME_CONCURRENCY"]);
  });
});

describe("a circuit whose cool-down is over", () => {
  test("is half-open, admits nothing by itself, and is tried by the sweep, not before", async () => {
    goAway();
    await openCircuit();
    let asked = 0;
    world.runtime.health = async () => {
      asked++;
      return { ok: false, message: "stub: still away" };
    };
    world.ledger.nowMs += COOL_DOWN_MS - 1;
    await sweep();
    expect([asked, await stateNow()]).toEqual([0, "open"]);
    world.ledger.nowMs += 1;
    expect(await stateNow()).toBe("half-open");
    await admitWaiting(world.ctx, "stub");
    expect((await storedCounters(world.ledger, ["stub"], [])).slots).toEqual({ stub: [0] });
    await sweep();
    expect([asked, await stateNow()]).toEqual([1, "open"]);
    expect(await readCircuit(world.ledger, "stub")).toMatchObject({ message: "stub: still away" });
    await sweep();
    expect(asked).toBe(1);
  });

  test("closes when the runtime says that it is well, and lets all who wait go on without another submission", async () => {
    goAway();
    const ids = await openCircuit();
    world.ledger.nowMs += COOL_DOWN_MS;
    comeBack();
    await probeCircuit(world.ctx, world.runtime);
    await world.settled();
    expect(await stateNow()).toBe("closed");
    await runExecutions(world);
    for (const id of ids) expect((await lifeOf(world, id)).job).toMatchObject({ status: "SUCCEEDED", attempt: 1 });
    expect([...world.starts.values()]).toEqual([1, 1, 1]);
    expect((await readCircuit(world.ledger, "stub")).coolDownMs).toBe(0);
    await expectCountersRight();
  });

  test("is tried by several at once without harm", async () => {
    goAway();
    await openCircuit();
    world.ledger.nowMs += COOL_DOWN_MS;
    await Promise.all(Array.from({ length: 5 }, () => probeCircuit(world.ctx, world.runtime)));
    expect(await readCircuit(world.ledger, "stub")).toMatchObject({ state: "open", coolDownMs: COOL_DOWN_MS * 2 });
    world.ledger.nowMs += COOL_DOWN_MS * 2;
    comeBack();
    await Promise.all(Array.from({ length: 5 }, () => probeCircuit(world.ctx, world.runtime)));
    await world.settled();
    expect(await stateNow()).toBe("closed");
  });

  test("stays open when the question itself fails, and does not show what nobody foresaw", async () => {
    goAway();
    const [jobId] = await openCircuit();
    world.ledger.nowMs += COOL_DOWN_MS;
    world.runtime.health = () => Promise.reject(new TypeError("read /var/lib/secret failed"));
    await probeCircuit(world.ctx, world.runtime);
    expect(await stateNow()).toBe("open");
    const { waitReason } = await describeJob(world.ctx, (await lifeOf(world, jobId as string)).job);
    expect(waitReason?.message).not.toContain("secret");
  });
});

test("what ended before the runtime went away waits to be collected, and is, though every finalize gave up", async () => {
  const task = await launched(world, {}, { STUB_STDOUT: "hello" });
  await observeExit(world.ctx, task);
  goAway();
  await expect(finalizeAttempt(world.ctx, task)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
  // Its execution has used up its tries.
  world.restart();
  await sweep();
  const next = executionOf(world, task.jobId);
  await launchAttempt(world.ctx, { ...next.input, token: next.token });
  expect(next.completed).toBe(true);
  await expect(finalizeAttempt(world.ctx, next.input)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
  expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RUNNING", phase: "collecting" });
  comeBack();
  await finalizeAttempt(world.ctx, next.input);
  expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "SUCCEEDED", cleanupPending: false });
  expect([...world.starts.values()]).toEqual([1]);
});

test("an outage of ten minutes harms no job that was not started, and is not hammered", async () => {
  world.runtime.submit = async (launch, signal) => {
    // One is caught in the middle of its start.
    launch.report({ phase: "creating" });
    await real.submit(launch, signal);
    goAway();
    throw silence();
  };
  const caught = await admitted(world);
  await expect(launchAttempt(world.ctx, caught)).rejects.toMatchObject({ name: "AttemptInDoubt" });
  const ids: JobId[] = [];
  let asked = 0;
  world.runtime.health = async () => {
    asked++;
    return { ok: false, message: "stub: there is no socket" };
  };
  const inTurn = async () => {
    await isNews();
    for (const { name, input, token } of [...world.executions.values()]) {
      if (name === `${caught.jobId}-1-0`) continue;
      world.executions.delete(name);
      await launchAttempt(world.ctx, { ...input, token });
    }
  };
  for (let seconds = 0; seconds < 600; seconds += 15) {
    if (seconds % 60 === 0) ids.push(await submitted(world));
    await inTurn();
    await expect(launchAttempt(world.ctx, caught)).rejects.toMatchObject({ name: "AttemptInDoubt" });
    await sweep();
    world.ledger.nowMs += 15_000;
  }
  // Ever less often: 5, 10, 20, 40 s, then once a minute, and at the sweeps in between.
  expect(asked).toBeLessThan(15);
  for (const id of ids) expect((await lifeOf(world, id)).job).toMatchObject({ status: "PENDING", attempt: 1 });
  comeBack();
  world.ledger.nowMs += 60_000;
  await sweep();
  await world.settled();
  expect(await stateNow()).toBe("closed");
  await launchAttempt(world.ctx, caught);
  await runExecutions(world);
  for (const id of [caught.jobId, ...ids]) {
    expect((await lifeOf(world, id)).job).toMatchObject({ status: "SUCCEEDED", attempt: 1 });
    const events = await eventsOf(world, id);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, n) => n + 1));
  }
  expect([...world.starts.values()]).toEqual(Array.from({ length: 11 }, () => 1));
  expect(await leftOn(world)).toEqual([]);
  await expectCountersRight();
});
