import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { admitWaiting, requeue } from "../../../engine/operations/admit.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import type { Launch } from "../../../engine/ports/runtime.ts";
import { admitted, executionOf, lifeOf, openWorld, typesOf, type World } from "./world.ts";

let world: World;
let asked: Pick<Launch, "attempt" | "dispatchedAt" | "replaces">[];

beforeEach(async () => {
  world = await openWorld();
  asked = [];
});
afterEach(async () => {
  await world.dispose();
});

const noCapacity = (unstarted: string) =>
  new LongshoreError("RUNTIME_UNAVAILABLE", "there is no capacity", { unstarted });

/** What becomes of the launches, one after the other; the last one is the stub's. */
function runtimeThat(...outcomes: (Error | "starts")[]): void {
  const { submit } = world.runtime;
  world.runtime.submit = (launch, signal) => {
    const { attempt, dispatchedAt, replaces } = launch;
    asked.push({ attempt, dispatchedAt, ...(replaces === undefined ? {} : { replaces }) });
    launch.report({ phase: "creating" });
    const outcome = outcomes.shift() ?? "starts";
    return outcome === "starts" ? submit(launch, signal) : Promise.reject(outcome);
  };
}

/** The job is let in again and launched by its next execution, a minute later. */
async function launchedAgain(task: { jobId: Parameters<typeof lifeOf>[1] }): Promise<void> {
  world.ledger.nowMs += 60_000;
  await admitWaiting(world.ctx, "stub");
  const { input, token } = executionOf(world, task.jobId);
  await launchAttempt(world.ctx, { ...input, token });
}

const minutes = (n: number, fromMs: number) => new Date(fromMs + n * 60_000).toISOString();

describe("what a runtime made for an attempt and ended before its command was started", () => {
  test("brings the job back to the queue, and is what the next launch is told to replace", async () => {
    runtimeThat(noCapacity("task-1"), noCapacity("task-2"));
    const task = await admitted(world);
    const firstMs = world.ledger.nowMs;
    // Whoever has been told so need not look for it.
    world.runtime.find = async () => expect.fail("the runtime was asked");
    await launchAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "PENDING", attempt: 1, slotShard: null });
    await launchedAgain(task);
    await launchedAgain(task);
    expect(asked).toEqual([
      { attempt: 1, dispatchedAt: minutes(0, firstMs) },
      { attempt: 1, dispatchedAt: minutes(1, firstMs), replaces: "task-1" },
      { attempt: 1, dispatchedAt: minutes(2, firstMs), replaces: "task-2" },
    ]);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "RUNNING", phase: "running", attempt: 1 });
    expect((await typesOf(world, task.jobId)).filter((type) => type === "STARTED")).toHaveLength(1);
    expect([...world.starts.values()]).toEqual([1]);
  });

  test("is replaced by every try of the same dispatch alike, also by that of an execution started after it", async () => {
    const dies = new Error("killed");
    runtimeThat(noCapacity("task-1"), dies, dies);
    const task = await admitted(world);
    const firstMs = world.ledger.nowMs;
    await launchAttempt(world.ctx, task);
    world.runtime.find = async () => {
      throw dies;
    };
    for (let n = 0; n < 3; n++) await launchedAgain(task).catch((error) => expect(error).toBe(dies));
    const again = { attempt: 1, dispatchedAt: minutes(1, firstMs), replaces: "task-1" };
    expect(asked.slice(1)).toEqual([again, again, again]);
  });

  test("stays what it is when a later launch is deferred without having made anything", async () => {
    runtimeThat(noCapacity("task-1"), new LongshoreError("RUNTIME_UNAVAILABLE", "throttled"));
    const task = await admitted(world);
    await launchAttempt(world.ctx, task);
    await launchedAgain(task);
    await launchedAgain(task);
    expect(asked.map(({ replaces }) => replaces)).toEqual([undefined, "task-1", "task-1"]);
  });

  test("is nothing to the next attempt", async () => {
    runtimeThat(noCapacity("task-1"), new LongshoreError("IMAGE_PULL", "no"));
    const retry = { maxAttempts: 2, delaySeconds: 0 };
    const task = await admitted(world, { retry });
    await launchAttempt(world.ctx, task);
    await launchedAgain(task);
    const { input } = executionOf(world, task.jobId);
    await finalizeAttempt(world.ctx, input);
    await requeue(world.ctx, task.jobId, 1);
    await launchedAgain(task);
    expect(asked.map(({ attempt, replaces }) => [attempt, replaces])).toEqual([
      [1, undefined],
      [1, "task-1"],
      [2, undefined],
    ]);
  });

  test("ends a job that was cancelled meanwhile", async () => {
    const task = await admitted(world);
    world.runtime.submit = async () => {
      await cancelJob(world.ctx, task.jobId, "me");
      throw noCapacity("task-1");
    };
    await launchAttempt(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "CANCELLED" });
  });
});
