import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { expireAttempt } from "../../../engine/operations/stop.ts";
import { admitted, leftOn, lifeOf, openWorld, runExecutions, typesOf, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

const FOREVER = { STUB_DURATION_MS: "forever" };

/** The next launch stands still before it makes anything, until it is let go; those after it do not. */
function lateLaunch() {
  const { submit } = world.runtime;
  const reached = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let isFirst = true;
  world.runtime.submit = async (launch, signal) => {
    if (isFirst) {
      isFirst = false;
      reached.resolve();
      await goOn.promise;
    }
    return await submit(launch, signal);
  };
  return { reached: reached.promise, goOn: goOn.resolve };
}

/** Something happens between the making of the resource and its start. */
function meanwhile(work: () => Promise<void>): void {
  const { submit } = world.runtime;
  world.runtime.submit = (launch, signal) => {
    const confirm = async () => {
      await work();
      await launch.confirm();
    };
    return submit({ ...launch, confirm }, signal);
  };
}

describe("a launch that comes late", () => {
  test("starts nothing when its attempt has run, ended and been removed under another one", async () => {
    const task = await admitted(world);
    const { reached, goOn } = lateLaunch();
    const late = launchAttempt(world.ctx, { ...task, token: "late" });
    await reached;
    await launchAttempt(world.ctx, task);
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "SUCCEEDED", cleanupPending: false });
    const events = await typesOf(world, task.jobId);
    goOn();
    await late;
    expect([...world.starts.values()]).toEqual([1]);
    expect(await leftOn(world)).toEqual([]);
    expect(world.completions).toContain("late");
    expect(await typesOf(world, task.jobId)).toEqual(events);
  });

  test("leaves the next attempt alone", async () => {
    const retry = { maxAttempts: 2, delaySeconds: 0, on: ["USER_CODE" as const] };
    const task = await admitted(world, { retry }, { STUB_EXIT_CODE: "3" });
    const { reached, goOn } = lateLaunch();
    const late = launchAttempt(world.ctx, { ...task, token: "late" });
    await reached;
    await runExecutions(world);
    const before = await lifeOf(world, task.jobId);
    expect(before.job).toMatchObject({ status: "FAILED", attempt: 2 });
    goOn();
    await late;
    expect([...world.starts.values()]).toEqual([1, 1]);
    expect(await lifeOf(world, task.jobId)).toEqual(before);
    expect(await leftOn(world)).toEqual([]);
  });

  test("watches what another one has started", async () => {
    const task = await admitted(world, {}, FOREVER);
    const { submit } = world.runtime;
    let asked = 0;
    world.runtime.submit = async (launch, signal) => {
      asked += 1;
      if (asked > 1) return await submit(launch, signal);
      return await submit(
        {
          ...launch,
          confirm: async () => {
            await launchAttempt(world.ctx, task);
            await launch.confirm();
          },
        },
        signal,
      );
    };
    await launchAttempt(world.ctx, task);
    expect([...world.starts.values()]).toEqual([1]);
    expect((await lifeOf(world, task.jobId)).job.phase).toBe("running");
    expect(world.completions).toEqual([]);
    expect(world.watched.length).toBeGreaterThanOrEqual(1);
  });
});

describe("between the making of the resource and its start", () => {
  test.each([
    ["a cancel", (jobId: string) => cancelJob(world.ctx, jobId, "somebody").then(() => undefined), "CANCELLED"],
    ["the deadline", (jobId: string) => expireAttempt(elsewhere(), jobId as never, 1), "TIMED_OUT"],
  ])("%s of another process keeps the command from starting", async (_, happens, status) => {
    const task = await admitted(world, {}, FOREVER);
    meanwhile(() => happens(task.jobId));
    await launchAttempt(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    expect(world.starts.size).toBe(0);
    expect(await leftOn(world)).toEqual([]);
    expect((await lifeOf(world, task.jobId)).job.status).not.toBe("RUNNING");
    expect(new Set(world.completions)).toEqual(new Set([task.token]));
    expect((await typesOf(world, task.jobId)).filter((type) => type === "STARTED")).toEqual([]);
    if (status === "CANCELLED") expect((await lifeOf(world, task.jobId)).job.status).toBe(status);
  });

  test("a ledger that does not answer ends nothing: the launch is to be run again", async () => {
    const task = await admitted(world, {}, FOREVER);
    const { get } = world.ledger.table;
    meanwhile(async () => {
      world.ledger.table.get = () => Promise.reject(new LongshoreError("UNAVAILABLE", "the table does not answer"));
    });
    await expect(launchAttempt(world.ctx, task)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    world.ledger.table.get = get;
    expect((await lifeOf(world, task.jobId)).attempt?.exit).toBeNull();
    expect(await leftOn(world)).toEqual([]);
    expect(world.completions).toEqual([]);
  });
});

/** As a process sees it that knows nothing of the launches here. */
function elsewhere(): World["ctx"] {
  return { ...world.ctx, inflight: { ...world.ctx.inflight, abort: () => false, isLaunching: () => false } };
}
