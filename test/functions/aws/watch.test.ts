import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CANCELLED } from "../../../engine/abort.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { hearingCancels, seeToEnd } from "../../../functions/aws/watch.ts";
import { admitted, launched, leftOn, lifeOf, openWorld, type World } from "../../engine/operations/world.ts";
import { silentLogger } from "./silent.ts";

const FOREVER = { STUB_DURATION_MS: "forever" };

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(async () => {
  await world.dispose();
});

describe("regression: an attempt that a function waits for", () => {
  it("is stopped when its deadline passes", async () => {
    const task = await launched(world, {}, FOREVER);
    const [attempt] = world.watched;
    if (attempt === undefined) throw new Error("nobody watches");
    // Sooner than the stub's own: it ends a job by itself in time.
    const deadlineAt = new Date(world.ctx.clock() + 20).toISOString();
    await seeToEnd(world.ctx, { ...attempt, deadlineAt }, new AbortController().signal);
    await world.settled();
    const { attempt: ended } = await lifeOf(world, task.jobId);
    expect(ended).toMatchObject({ stop: "timeout", exit: { exitCode: 143 } });
    expect(world.completions).toContain(task.token);
  });

  it("is left to the sweep when the invocation's time is over, with nothing left to fire later", async () => {
    const task = await launched(world, { timeoutSeconds: 1 }, FOREVER);
    const [attempt] = world.watched;
    if (attempt === undefined) throw new Error("nobody watches");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const over = new AbortController();
    const waiting = seeToEnd(world.ctx, attempt, over.signal);
    over.abort(new Error("time is over"));
    await waiting;
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    expect((await lifeOf(world, task.jobId)).attempt).toMatchObject({ stop: null, exit: null });
  });

  it("fails aloud when its runtime cannot be asked", async () => {
    await launched(world, {}, FOREVER);
    const [attempt] = world.watched;
    if (attempt === undefined) throw new Error("nobody watches");
    world.runtime.wait = async () => {
      throw new LongshoreError("RUNTIME_UNAVAILABLE", "nobody answers");
    };
    await expect(seeToEnd(world.ctx, attempt, new AbortController().signal)).rejects.toThrow("nobody answers");
  });
});

describe("regression: a launch in one process and a cancel in another", () => {
  it("aborts the launch, which then has started nothing", async () => {
    const task = await admitted(world, {}, FOREVER);
    const pulling = Promise.withResolvers<void>();
    world.runtime.submit = (_, signal) => {
      pulling.resolve();
      return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const inflight = hearingCancels(world.ctx.inflight, { ledger: world.ctx.ledger, logger: silentLogger, lookMs: 5 });
    expect(inflight.hearsOfCancels).toBe(true);
    const launching = launchAttempt({ ...world.ctx, inflight }, task);
    await pulling.promise;
    await cancelJob(world.ctx, task.jobId, "me");
    await launching;
    await world.settled();
    expect((await lifeOf(world, task.jobId)).attempt).toMatchObject({ startedAt: null, exit: { exitCode: null } });
    expect(await leftOn(world)).toEqual([]);
  });

  it("is looked for until the launch is over, also after a look that failed, and then never again", async () => {
    const task = await admitted(world, {}, FOREVER);
    let looks = 0;
    const get: typeof world.ctx.ledger.table.get = async (key) => {
      looks += 1;
      if (looks === 1) throw new LongshoreError("UNAVAILABLE", "not now");
      return await world.ctx.ledger.table.get(key);
    };
    const ledger = { ...world.ctx.ledger, table: { ...world.ctx.ledger.table, get } };
    const inflight = hearingCancels(world.ctx.inflight, { ledger, logger: silentLogger, lookMs: 1 });
    const launch = inflight.begin(task.jobId, 1);
    await vi.waitFor(() => expect(looks).toBeGreaterThan(3));
    expect(launch.signal.aborted).toBe(false);
    await cancelJob(world.ctx, task.jobId, "me");
    await vi.waitFor(() => expect(launch.signal.reason).toBe(CANCELLED));
    launch.end();
    vi.useFakeTimers();
    const next = inflight.begin(task.jobId, 1);
    next.end();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });
});
