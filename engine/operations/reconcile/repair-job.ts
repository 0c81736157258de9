import type { EngineContext } from "../../context.ts";
import { advance } from "../../ledger/advance.ts";
import { readJob, readLife } from "../../ledger/read.ts";
import type { JobRecord, Life } from "../../ledger/records.ts";
import { executionName } from "../../naming.ts";
import { isToEnd, type Stage, stageOf } from "../../occurrences.ts";
import { requeue, startExecution } from "../admit.ts";
import { cleanUp } from "../finalize.ts";
import { watchAttempt } from "../observe.ts";
import { expireInBackground, stopInBackground } from "../stop.ts";
import { compareRunning } from "./compare.ts";
import { findIn } from "./look.ts";
import { ask, type ReconcileOptions, type Sweep } from "./sweep.ts";

/**
 * A job that stands still in a phase of its launch or in its end for longer than this, ms, is at nobody's hands any
 * more: no function lives longer than 15 minutes. One that this process launches is, however long it takes.
 */
const STUCK_MS = 20 * 60_000;
/** Of so many jobs that are seen to be well one is looked at closer: each about twice in an hour of sweeps. */
const ONE_OF = 32;
const LAUNCHING: ReadonlySet<Stage> = new Set(["admitted", "validating", "pulling", "creating"]);

/** Makes one job's record and what is going on for it agree. True when something had to be done. */
export async function repairJob(sweep: Sweep, found: JobRecord): Promise<boolean> {
  const { ctx, options } = sweep;
  const wasWrong = await compareRunning(sweep, found);
  if (wasWrong || stageOf(found) === "collecting") {
    // What has ended is collected by its execution and by nobody else, and that began before the end and lasts until
    // the job leaves this stage: where there is none it is lost, however lately the end was recorded.
    const job = await readJob(ctx.ledger, found.jobId);
    if (job !== undefined && stageOf(job) === "collecting" && (await relaunchLost(ctx, job))) return true;
  }
  if (wasWrong || !isLeftAlone(ctx, found, options) || isSeenWell(sweep, found)) return wasWrong;
  const life = await readLife(ctx.ledger, found.jobId);
  return life !== undefined && isLeftAlone(ctx, life.job, options) && (await repair(sweep, life));
}

/** Whether nobody else is at the job, as far as its record tells. */
function isLeftAlone(ctx: EngineContext, job: JobRecord, { touchedBefore }: ReconcileOptions): boolean {
  // A retry is due at its own time: the execution that waited for it may have been lost a moment after it began to.
  return isDue(ctx, job) || touchedAtMs(job) < touchedBefore;
}

/**
 * Whether the look has told all that is to be known of a job: it runs, and nothing is to be done before it ends or its
 * deadline comes. That its execution was lost shows when it ends; a stop that was decided on and lost shows when the job
 * is looked at closer by chance.
 */
function isSeenWell({ ctx, options, looks }: Sweep, job: JobRecord): boolean {
  if (options.closely !== "few" || stageOf(job) !== "running" || job.cancelRequestedAt !== null) return false;
  const look = looks.get(job.runtime);
  const status = look === undefined ? undefined : findIn(look, job)?.status;
  if (status?.phase !== "running" || status.startedAt === null) return false;
  if (Date.parse(status.startedAt) + job.timeoutSeconds * 1000 <= ctx.clock()) return false;
  // By chance, not in turn: a turn could fall into the minutes without a sweep, each time.
  return ctx.random() >= 1 / ONE_OF;
}

function touchedAtMs(job: JobRecord): number {
  return Date.parse(job.lastHeartbeatAt ?? job.createdAt);
}

function isDue(ctx: EngineContext, job: JobRecord): boolean {
  return job.status === "RETRYING" && job.retryAt !== null && Date.parse(job.retryAt) <= ctx.clock();
}

async function repair(sweep: Sweep, life: Life): Promise<boolean> {
  const { ctx } = sweep;
  const { job } = life;
  const stage = stageOf(job);
  if (stage === "queued") return false;
  if (job.cleanupPending) {
    const what = `clean up ${job.jobId}#${job.attempt}`;
    await ask(sweep, { runtime: job.runtime, what }, () => cleanUp(ctx, life));
  }
  if (stage === "terminal") return job.cleanupPending;
  if (stage === "retrying") {
    const due = isDue(ctx, job);
    if (due) await requeue(ctx, job.jobId, job.attempt);
    return due;
  }
  if (await relaunchLost(ctx, job)) return true;
  if (stage === "collecting" && (await completeAgain(ctx, life))) return true;
  if (stage !== "collecting" && stage !== "admitted" && isToEnd(life)) {
    stopInBackground(ctx, job);
    return true;
  }
  if (isStuck(ctx, job, stage)) return await relaunch(ctx, job, `nothing happened while it was ${stage}`);
  return stage === "running" && seeToItsEnd(ctx, life);
}

/** True when the execution still waits for the end of what has ended: the completion was lost on the way. */
async function completeAgain(ctx: EngineContext, { attempt }: Life): Promise<boolean> {
  const token = attempt?.token ?? null;
  return token !== null && (await ctx.orchestrator.complete(token));
}

function isStuck(ctx: EngineContext, job: JobRecord, stage: Stage): boolean {
  if (ctx.clock() - touchedAtMs(job) < STUCK_MS) return false;
  return stage === "collecting" || (LAUNCHING.has(stage) && !ctx.inflight.isLaunching(job.jobId));
}

/** True when the attempt's execution was lost, and another one is started. */
async function relaunchLost(ctx: EngineContext, job: JobRecord): Promise<boolean> {
  if (await ctx.orchestrator.isRunning(executionName(job.jobId, job.attempt, job.generation))) return false;
  return await relaunch(ctx, job, "the execution was lost");
}

/** Another execution for the attempt. What the one before has started is adopted by its name, never started twice. */
async function relaunch(ctx: EngineContext, job: JobRecord, reason: string): Promise<boolean> {
  const decision = await advance(ctx.ledger, job.jobId, {
    type: "RELAUNCH",
    attempt: job.attempt,
    generation: job.generation,
    reason,
  });
  if (decision.effects.includes("start-execution")) await startExecution(ctx, decision.life.job);
  return decision.changed;
}

function seeToItsEnd(ctx: EngineContext, life: Life): boolean {
  const deadlineAt = life.attempt?.deadlineAt;
  if (!deadlineAt) return false;
  if (Date.parse(deadlineAt) <= ctx.clock()) {
    expireInBackground(ctx, life.job);
    return true;
  }
  // Whoever watched it may have lost its runtime.
  watchAttempt(ctx, life);
  return false;
}
