import { admitWaiting } from "../../../engine/operations/admit.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { stopAttempt } from "../../../engine/operations/stop.ts";
import type { JobSpecInput } from "../../../engine/spec/schema.ts";
import { launched, runExecutions, submitted, type World } from "../operations/world.ts";

/** Runs a job through all of its attempts. */
export async function ran(world: World, spec: JobSpecInput = {}, script: Record<string, string> = {}) {
  const jobId = await submitted(world, spec, script);
  for (let attempt = 1; attempt <= (spec.retry?.maxAttempts ?? 1); attempt++) {
    await admitWaiting(world.ctx, "stub");
    await runExecutions(world);
  }
  return jobId;
}

const FAILS = { STUB_EXIT_CODE: "3", STUB_STDOUT: "one", STUB_STDERR: "two" };

/** Every way in which a job ends. */
export const ENDS: Record<string, (world: World) => Promise<string>> = {
  "one that succeeded": (world) => ran(world, {}, { STUB_STDOUT: "done" }),
  "one that failed": (world) => ran(world, {}, FAILS),
  "one that failed after a retry": (world) =>
    ran(world, { retry: { maxAttempts: 2, delaySeconds: 1, on: ["USER_CODE"] } }, FAILS),
  "one that was never started": (world) => ran(world, { secrets: { A: { from: "vault:missing" } } }),
  "one whose container is kept": (world) => ran(world, { cleanup: "never" }, FAILS),
  "one that was cancelled in the queue": async (world) => {
    const jobId = await submitted(world);
    await cancelJob(world.ctx, jobId, "somebody");
    return jobId;
  },
  "one that was cancelled while it ran": async (world) => {
    const task = await launched(world);
    await cancelJob(world.ctx, task.jobId, "somebody");
    await stopAttempt(world.ctx, task.jobId, 1);
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    return task.jobId;
  },
  "one that ran out of time": async (world) => {
    const task = await launched(world);
    await finalizeAttempt(world.ctx, { ...task, failure: "timeout" });
    return task.jobId;
  },
};
