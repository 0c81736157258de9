import type { EngineContext } from "../context.ts";
import { isKept } from "../decide.ts";
import { advance } from "../ledger/advance.ts";
import { publishAccepted } from "../ledger/batch.ts";
import { readActive, readLife } from "../ledger/read.ts";
import type { JobRecord, Life } from "../ledger/records.ts";
import { executionName } from "../naming.ts";
import { stageOf } from "../occurrences.ts";
import type { Owned, RuntimeAdapter } from "../ports/runtime.ts";
import { isTerminal } from "../states.ts";
import { admitWaiting, requeue, startExecution, wakeParked } from "./admit.ts";
import { cleanUp } from "./finalize.ts";
import { watchAttempt } from "./observe.ts";
import { expireInBackground, stopInBackground } from "./stop.ts";

export interface ReconcileOptions {
  /** Ms since the epoch. A job that Longshore touched at or after this time is left to whoever is at it. */
  touchedBefore: number;
}

const MAX_FAILURES_TOLD = 20;

export interface ReconcileReport {
  looked: number;
  repaired: number;
  orphans: number;
  /** How much could not be repaired this time; it will be tried again. */
  failed: number;
  /** What went wrong, for the first of them. */
  failures: string[];
}

/**
 * Makes what the ledger says and what runs agree: drives again what waits, relaunches lost executions, repeats lost
 * stops, requeues what is due, cleans up what is left, and removes orphans. Idempotent; one job's failure does not
 * keep it from the others.
 */
export async function reconcile(ctx: EngineContext, options: ReconcileOptions): Promise<ReconcileReport> {
  const report: ReconcileReport = { looked: 0, repaired: 0, orphans: 0, failed: 0, failures: [] };
  for await (const found of readActive(ctx.ledger)) {
    report.looked++;
    if (!isLeftAlone(ctx, found, options)) continue;
    const { jobId } = found;
    await attempt(report, jobId, async () => {
      const life = await readLife(ctx.ledger, jobId);
      if (life !== undefined && isLeftAlone(ctx, life.job, options) && (await repair(ctx, life))) report.repaired++;
    });
  }
  await attempt(report, "batches", () => publishAccepted(ctx.ledger));
  for (const runtime of ctx.runtimes.all()) {
    await attempt(report, runtime.name, () => wakeParked(ctx, runtime.name));
    await attempt(report, runtime.name, () => admitWaiting(ctx, runtime.name));
    await attempt(report, runtime.name, () => sweepOrphans(ctx, runtime, report));
  }
  return report;
}

async function attempt(report: ReconcileReport, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    report.failed++;
    if (report.failures.length === MAX_FAILURES_TOLD) return;
    report.failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Whether nobody else is at the job, as far as its record tells. */
function isLeftAlone(ctx: EngineContext, job: JobRecord, { touchedBefore }: ReconcileOptions): boolean {
  // A retry is due at its own time: the execution that waited for it may have been lost a moment after it began to.
  return isDue(ctx, job) || Date.parse(job.lastHeartbeatAt ?? job.createdAt) < touchedBefore;
}

function isDue(ctx: EngineContext, job: JobRecord): boolean {
  return job.status === "RETRYING" && job.retryAt !== null && Date.parse(job.retryAt) <= ctx.clock();
}

async function repair(ctx: EngineContext, life: Life): Promise<boolean> {
  const { job } = life;
  const stage = stageOf(job);
  if (stage === "queued") return false;
  if (job.cleanupPending) await cleanUp(ctx, life);
  if (stage === "terminal") return job.cleanupPending;
  if (stage === "retrying") {
    const due = isDue(ctx, job);
    if (due) await requeue(ctx, job.jobId, job.attempt);
    return due;
  }
  if (!(await ctx.orchestrator.isRunning(executionName(job.jobId, job.attempt, job.generation)))) {
    const { attempt, generation } = job;
    const news = { type: "RELAUNCH" as const, attempt, generation, reason: "the execution was lost" };
    const decision = await advance(ctx.ledger, job.jobId, news);
    if (decision.effects.includes("start-execution")) await startExecution(ctx, decision.life.job);
    return decision.changed;
  }
  if (stage === "collecting") {
    // True when the execution still waits for the end of what has ended: the completion was lost on the way.
    const token = life.attempt?.token ?? null;
    return token !== null && (await ctx.orchestrator.complete(token));
  }
  if (job.cancelRequestedAt !== null || life.attempt?.stop) {
    stopInBackground(ctx, job);
    return true;
  }
  const deadlineAt = life.attempt?.deadlineAt;
  if (stage !== "running" || !deadlineAt) return false;
  if (Date.parse(deadlineAt) <= ctx.clock()) {
    expireInBackground(ctx, job);
    return true;
  }
  // Whoever watched it may have lost its runtime.
  watchAttempt(ctx, life);
  return false;
}

/** Removes what carries this home's label and belongs to no attempt that is still going on. */
async function sweepOrphans(ctx: EngineContext, runtime: RuntimeAdapter, report: ReconcileReport): Promise<void> {
  for await (const owned of runtime.list()) {
    if (!(await isOrphan(ctx, owned))) continue;
    ctx.logger.warn({ jobId: owned.jobId, runtime: runtime.name, name: owned.externalName }, "orphan removed");
    await runtime.cleanup(owned.ref);
    report.orphans++;
  }
}

/** The ledger decides; only of what it no longer knows does the resource's own label say whether it is kept on purpose. */
async function isOrphan(ctx: EngineContext, { jobId, attempt: number, kept }: Owned): Promise<boolean> {
  const life = await readLife(ctx.ledger, jobId);
  if (life === undefined) return !kept;
  const { job, attempt } = life;
  if (job.attempt !== number) return true;
  return isTerminal(job.status) && !job.cleanupPending && !(attempt !== null && isKept(job, attempt));
}
