import { CANCELLED } from "../abort.ts";
import type { EngineContext } from "../context.ts";
import type { JobId } from "../ids.ts";
import { advance } from "../ledger/advance.ts";
import { readLife } from "../ledger/read.ts";
import type { Life } from "../ledger/records.ts";
import { stageOf } from "../occurrences.ts";
import { type AttemptOf, neverStarted, observeExit } from "./observe.ts";

/** The attempt has run past its deadline: that is made durable first, so that its end is judged as a timeout. */
export async function expireAttempt(ctx: EngineContext, jobId: JobId, attempt: number): Promise<void> {
  const { effects } = await advance(ctx.ledger, jobId, { type: "STOP", attempt, reason: "timeout" });
  if (effects.includes("stop-resource")) await stopAttempt(ctx, jobId, attempt);
}

/** As `expireAttempt`, without waiting for it. */
export function expireInBackground(ctx: EngineContext, { jobId, attempt }: AttemptOf): void {
  ctx.background(`expire ${jobId}#${attempt}`, () => expireAttempt(ctx, jobId, attempt));
}

/**
 * As `stopAttempt` for a cancel that was just asked for, without waiting for it. A launch of another process that has made
 * nothing yet is left to that one: settled from here as never started, its command might still run after the record's end.
 */
export function stopRequestedInBackground(ctx: EngineContext, { jobId, attempt }: AttemptOf): void {
  const leavesLaunch = ctx.inflight.hearsOfCancels === true;
  ctx.background(`stop ${jobId}#${attempt}`, () => stop(ctx, { jobId, attempt }, leavesLaunch));
}

/** As `stopAttempt`, without waiting for it: a stop takes up to the grace. One that is lost is done by the reconciler. */
export function stopInBackground(ctx: EngineContext, { jobId, attempt }: AttemptOf): void {
  ctx.background(`stop ${jobId}#${attempt}`, () => stopAttempt(ctx, jobId, attempt));
}

/**
 * Stops what runs of an attempt, and records its end. Idempotent; an attempt that has ended is left as it is. A launch that
 * is not in this process was lost.
 */
export async function stopAttempt(ctx: EngineContext, jobId: JobId, attempt: number): Promise<void> {
  await stop(ctx, { jobId, attempt }, false);
}

async function stop(ctx: EngineContext, { jobId, attempt }: AttemptOf, leavesLaunch: boolean): Promise<void> {
  const life = await readLife(ctx.ledger, jobId);
  if (life === undefined || life.job.attempt !== attempt || life.attempt === null) return;
  switch (stageOf(life.job)) {
    case "validating":
    case "pulling":
    case "creating":
      return stopLaunch(ctx, life, leavesLaunch);
    case "running":
      return stopResource(ctx, life, life.attempt.externalRef ?? "");
    default:
      // Not begun: the dispatch will see the request. Ended: there is nothing left to stop.
      return;
  }
}

/** A launch of this process is aborted and records its own end; one that was lost is settled here. */
async function stopLaunch(ctx: EngineContext, life: Life, leavesLaunch: boolean): Promise<void> {
  const { jobId, attempt, runtime, externalName } = life.job;
  if (ctx.inflight.abort(jobId, CANCELLED)) return;
  const externalRef = await ctx.runtimes.get(runtime).find(externalName ?? "");
  if (externalRef !== undefined) return stopResource(ctx, life, externalRef);
  if (leavesLaunch) return;
  await neverStarted(ctx, { jobId, attempt }, null);
}

async function stopResource(ctx: EngineContext, { job }: Life, externalRef: string): Promise<void> {
  const runtime = ctx.runtimes.get(job.runtime);
  await runtime.cancel(externalRef, job.stopGraceSeconds);
  const status = await runtime.status(externalRef);
  if (status.phase !== "created") return observeExit(ctx, job, { status, externalRef });
  // Whoever made it died before the start: it can neither be stopped nor end.
  await runtime.cleanup(externalRef);
  await neverStarted(ctx, job, null);
}
