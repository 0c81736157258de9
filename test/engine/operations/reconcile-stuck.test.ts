import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { advance } from "../../../engine/ledger/advance.ts";
import { sealedKey } from "../../../engine/ledger/keys.ts";
import type { Occurrence } from "../../../engine/occurrences.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { reconcile } from "../../../engine/operations/reconcile.ts";
import type { JobSpecInput } from "../../../engine/spec/schema.ts";
import { admitted, executionOf, launched, lifeOf, openWorld, runExecutions, typesOf, type World } from "./world.ts";

const STUCK_MS = 20 * 60_000;
let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

/** So long after the last thing that happened to the jobs. */
const sweepAfter = (ms: number) => {
  world.ledger.nowMs += ms;
  return reconcile(world.ctx, { touchedBefore: world.ctx.clock() - 30_000 });
};
const jobOf = async (jobId: string) => (await lifeOf(world, jobId)).job;

/** An attempt whose dispatch died at a phase, while its execution still waits for the token. */
async function stuckIn(phase: string, spec: JobSpecInput = {}) {
  const task = await admitted(world, spec, { STUB_DURATION_MS: "forever" });
  const name = "longshore-stuck-a1";
  const dispatched = { type: "DISPATCH", attempt: 1, token: task.token, externalName: name, logBase: 0 } as const;
  const way: Record<string, Occurrence[]> = {
    queued: [],
    validating: [dispatched],
    pulling: [dispatched, { type: "PULL", attempt: 1, data: {} }],
    creating: [dispatched, { type: "CREATE", attempt: 1, data: {} }],
  };
  await advance(world.ledger, task.jobId, way[phase] ?? []);
  return task;
}

describe.each(["queued", "validating", "pulling", "creating"])("an attempt that stands still in %s", (phase) => {
  test("is launched again by another execution once nobody can be at it, and started once", async () => {
    const task = await stuckIn(phase);
    expect(await sweepAfter(STUCK_MS - 1)).toMatchObject({ repaired: 0 });
    expect(await jobOf(task.jobId)).toMatchObject({ generation: 0, phase });
    expect(await sweepAfter(1)).toMatchObject({ repaired: 1, failures: [] });
    expect(executionOf(world, task.jobId).input).toMatchObject({ attempt: 1, generation: 1 });
    world.executions.delete(`${task.jobId}-1-0`);
    await runExecutions(world);
    expect(await jobOf(task.jobId)).toMatchObject({ phase: "running", attempt: 1 });
    expect([...world.starts.values()]).toEqual([1]);
  });

  test("is left to the launch of this process, however long it takes", async () => {
    const task = await stuckIn(phase);
    const launch = world.inflight.begin(task.jobId, 1);
    const report = await sweepAfter(10 * STUCK_MS);
    launch.end();
    expect(report).toMatchObject({ repaired: 0 });
    expect(await jobOf(task.jobId)).toMatchObject({ generation: 0 });
  });

  test("and is cancelled comes to its end", async () => {
    const task = await stuckIn(phase);
    await cancelJob(world.ctx, task.jobId, "me");
    await sweepAfter(STUCK_MS);
    await world.settled();
    if ((await jobOf(task.jobId)).generation === 1) world.executions.delete(`${task.jobId}-1-0`);
    await runExecutions(world);
    await finalizeAttempt(world.ctx, task);
    expect(await jobOf(task.jobId)).toMatchObject({ status: "CANCELLED" });
    expect(world.starts.size).toBe(0);
  });
});

describe("an attempt that has ended and is not collected", () => {
  test("gets another execution when the one that it has does nothing", async () => {
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    expect(world.completions).toEqual([task.token]);
    expect(await sweepAfter(STUCK_MS - 1)).toMatchObject({ repaired: 0 });
    expect(await sweepAfter(1)).toMatchObject({ repaired: 1 });
    world.executions.delete(`${task.jobId}-1-0`);
    await runExecutions(world);
    expect(await jobOf(task.jobId)).toMatchObject({ status: "SUCCEEDED", generation: 1 });
    expect((await typesOf(world, task.jobId)).filter((type) => type === "LOGS_COLLECTED")).toHaveLength(1);
  });
});

test("an attempt whose end was recorded a moment ago, with nobody to collect it, is not left waiting", async () => {
  const task = await launched(world, {}, {});
  world.restart();
  // As the change feed of a new home does, before its first sweep.
  await observeExit(world.ctx, task);
  expect(await sweepAfter(1)).toMatchObject({ repaired: 1 });
  await runExecutions(world);
  expect((await jobOf(task.jobId)).status).toBe("SUCCEEDED");
});

describe("an execution that another one has overtaken", () => {
  async function overtaken() {
    const task = await launched(world);
    await advance(world.ledger, task.jobId, { type: "RELAUNCH", attempt: 1, generation: 0, reason: "a test" });
    await launchAttempt(world.ctx, { ...task, generation: 1, token: "second" });
    return task;
  }

  test("does not end the attempt when it runs out of time", async () => {
    const task = await overtaken();
    for (const failure of ["timeout", "lost"] as const) {
      const verdict = await finalizeAttempt(world.ctx, { ...task, generation: 0, failure });
      expect(verdict).toEqual({ retry: false, delaySeconds: 0 });
    }
    expect(await lifeOf(world, task.jobId)).toMatchObject({ job: { phase: "running" }, attempt: { stop: null } });
    world.ledger.nowMs += 3_600_000;
    await finalizeAttempt(world.ctx, { ...task, generation: 1, failure: "timeout" });
    expect((await lifeOf(world, task.jobId)).job.status).toBe("TIMED_OUT");
  });

  test("does not end the attempt when it is overtaken between its look and its commit", async () => {
    const task = await launched(world);
    const { table } = world.ledger;
    const commit: typeof table.commit = async (changes) => {
      if ((await jobOf(task.jobId)).generation === 0) {
        await advance(world.ledger, task.jobId, { type: "RELAUNCH", attempt: 1, generation: 0, reason: "a test" });
        await launchAttempt(world.ctx, { ...task, generation: 1, token: "second" });
      }
      await table.commit(changes);
    };
    const late = { ...world.ctx, ledger: { ...world.ledger, table: { ...table, commit } } };
    const verdict = await finalizeAttempt(late, { ...task, generation: 0, failure: "timeout" });
    expect(verdict).toEqual({ retry: false, delaySeconds: 0 });
    expect(await lifeOf(world, task.jobId)).toMatchObject({ job: { phase: "running" }, attempt: { stop: null } });
  });

  test("does not take the attempt back: its own token is completed at once", async () => {
    const task = await overtaken();
    await launchAttempt(world.ctx, { ...task, generation: 0, token: "late" });
    expect(world.completions).toEqual(["late"]);
    expect((await lifeOf(world, task.jobId)).attempt?.token).toBe("second");
    expect([...world.starts.values()]).toEqual([1]);
  });

  test("does not take it back when it is overtaken between its look and its commit", async () => {
    const task = await admitted(world, {}, { STUB_DURATION_MS: "forever" });
    const { sealer } = world.ctx;
    world.ctx.sealer = {
      ...sealer,
      seal: (plain, context) => sealer.seal(plain, context),
      digest: (data, context) => sealer.digest(data, context),
      async open(sealed, context) {
        const job = await jobOf(task.jobId);
        if (job.generation === 0) {
          await advance(world.ledger, task.jobId, { type: "RELAUNCH", attempt: 1, generation: 0, reason: "a test" });
          await launchAttempt(world.ctx, { ...task, generation: 1, token: "second" });
        }
        return await sealer.open(sealed, context);
      },
    };
    await launchAttempt(world.ctx, { ...task, generation: 0, token: "first" });
    expect(world.completions).toEqual(["first"]);
    expect((await lifeOf(world, task.jobId)).attempt?.token).toBe("second");
  });
});

test("whatever way a job ends, its sealed spec expires from the same commit on", async () => {
  const ends: (() => Promise<string>)[] = [
    async () => {
      const task = await launched(world, {}, {});
      await observeExit(world.ctx, task);
      await finalizeAttempt(world.ctx, task);
      return task.jobId;
    },
    async () => {
      const task = await launched(world, {}, { STUB_EXIT_CODE: "1" });
      await observeExit(world.ctx, task);
      await finalizeAttempt(world.ctx, task);
      return task.jobId;
    },
    async () => {
      const { jobId } = await admitted(world, {}, { STUB_FAIL: "IMAGE_PULL" });
      await runExecutions(world);
      return jobId;
    },
    async () => {
      const spec = { retry: { maxAttempts: 2, delaySeconds: 60, on: ["UNKNOWN" as const] } };
      const task = await launched(world, spec, { STUB_END_WITH: "UNKNOWN" });
      await observeExit(world.ctx, task);
      await finalizeAttempt(world.ctx, task);
      await cancelJob(world.ctx, task.jobId, "me");
      return task.jobId;
    },
  ];
  for (const end of ends) {
    world.restart();
    const jobId = await end();
    expect(["SUCCEEDED", "FAILED", "CANCELLED"]).toContain((await jobOf(jobId)).status);
    const ttl = Math.ceil(world.ledger.nowMs / 1000) + world.ledger.limits.sealedRetentionSeconds;
    expect(await world.ledger.table.get(sealedKey(jobId))).toMatchObject({ ttl });
  }
});
