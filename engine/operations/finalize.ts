import type { EngineContext } from "../context.ts";
import { priceOf } from "../cost.ts";
import { LongshoreError } from "../errors.ts";
import { advance } from "../ledger/advance.ts";
import { artifactChanges } from "../ledger/artifacts.ts";
import { readLife, readSpec } from "../ledger/read.ts";
import type { AttemptExit, AttemptRecord, JobRecord, Life, StopReason } from "../ledger/records.ts";
import { type Occurrence, type Stage, stageOf } from "../occurrences.ts";
import { judge, type Outcome } from "../outcome.ts";
import { mayRetry, retryDelaySeconds } from "../retry.ts";
import { collectArtifacts } from "./artifacts.ts";
import { collectLogs } from "./collect.ts";
import { type ExecutionOf, isCurrent, neverDispatched, observeExit } from "./observe.ts";
import { stopAttempt } from "./stop.ts";

/** What the lifecycle does next. */
export interface Verdict {
  retry: boolean;
  delaySeconds: number;
}

/** Why *Run* gave up before the attempt's end was observed: null in an ordinary life. */
export type RunFailure = "timeout" | "lost" | null;

/**
 * Ends an attempt: collect → price → one commit of the verdict with its events and the freed slot → only then clean up.
 * Idempotent at every step: called again after a crash it goes on where the ledger stands. An execution that another one
 * has overtaken does not end what goes on under that one.
 * @param task.generation of the execution that asks; default: the attempt's latest.
 */
export async function finalizeAttempt(
  ctx: EngineContext,
  { failure = null, ...execution }: ExecutionOf & { failure?: RunFailure },
): Promise<Verdict> {
  const found = await readLife(ctx.ledger, execution.jobId);
  if (found === undefined || !isCurrent(found.job, execution)) return { retry: false, delaySeconds: 0 };
  const life = isUnderWay(stageOf(found.job)) ? await bringToEnd(ctx, execution, failure ?? "lost") : found;
  if (!isCurrent(life.job, execution)) return { retry: false, delaySeconds: 0 };
  const ended = stageOf(life.job) === "collecting" ? await finish(ctx, life) : life;
  await cleanUp(ctx, ended);
  return verdictOf(ctx, ended.job);
}

function isUnderWay(stage: Stage): boolean {
  return stage !== "collecting" && stage !== "retrying" && stage !== "terminal" && stage !== "queued";
}

function verdictOf(ctx: EngineContext, job: JobRecord): Verdict {
  if (job.status !== "RETRYING" || job.retryAt === null) return { retry: false, delaySeconds: 0 };
  const delayMs = Math.max(0, Date.parse(job.retryAt) - ctx.clock());
  return { retry: true, delaySeconds: Math.ceil(delayMs / 1000) };
}

/**
 * *Run* gave up on an attempt that may still be going on: stop it, so that its record can be ended.
 *
 * The race that it wins: the attempt is deferred, and launched by another execution, a moment before the stop is on record.
 * Judged at the commit, so that this execution leaves alone what goes on under that one; afterwards nothing is deferred.
 */
async function bringToEnd(ctx: EngineContext, execution: ExecutionOf, reason: StopReason): Promise<Life> {
  const { jobId, attempt } = execution;
  const stop: Occurrence = { type: "STOP", attempt, reason };
  const { life: stopping } = await advance(ctx.ledger, jobId, ({ job }) => (isCurrent(job, execution) ? stop : null));
  if (!isCurrent(stopping.job, execution)) return stopping;
  const { job } = stopping;
  await stopAttempt(ctx, jobId, attempt);
  await observeExit(ctx, job);
  const message = "the attempt could not be started";
  await neverDispatched(ctx, job, { category: "RUNTIME_UNAVAILABLE", message, providerCode: null });
  const life = (await readLife(ctx.ledger, jobId)) ?? stopping;
  if (stageOf(life.job) === "collecting" || life.job.status === "RETRYING" || life.job.finishedAt !== null) return life;
  throw new LongshoreError("RUNTIME_UNAVAILABLE", `attempt ${attempt} of ${jobId} has not been stopped yet`);
}

async function finish(ctx: EngineContext, { job, attempt }: Life): Promise<Life> {
  const spec = await readSpec(ctx.ledger, job.jobId);
  if (attempt?.exit == null || spec === undefined) {
    throw new LongshoreError("INTERNAL", `job ${job.jobId} is collecting without an exit or a spec on record`);
  }
  const { tail, ...logs } = await collectLogs(ctx, { job, attempt }, spec.logs.maxBytes);
  const artifacts = await collectArtifacts(ctx, { job, attempt }, spec);
  const outcome = judge(job, attempt, attempt.exit);
  const retry = shouldRetry(outcome) && mayRetry(spec.retry, outcome.error, attempt.attempt);
  const kept = artifacts?.pending ?? [];
  const finished = (now: Life): Occurrence => ({
    type: "FINISH",
    attempt: attempt.attempt,
    // Judged again by the record as it is at the commit: a cancel may have come meanwhile.
    outcome: judge(now.job, attempt, attempt.exit as AttemptExit),
    logs,
    ...(tail === undefined ? {} : { logTail: tail }),
    ...(artifacts === undefined ? {} : { artifacts: artifacts.summary }),
    cost: priceOf(ctx.runtimes.get(job.runtime).kind, runTimeMs(attempt)),
    retry:
      retry && now.job.cancelRequestedAt === null
        ? { delaySeconds: retryDelaySeconds(spec.retry, attempt.attempt, ctx.random()) }
        : null,
  });
  const keep: Occurrence[] = kept.length === 0 ? [] : [{ type: "KEEP", attempt: attempt.attempt, artifacts: kept }];
  const { life } = await advance(ctx.ledger, job.jobId, {
    move: (now) => [...keep, finished(now)],
    extras: artifactChanges(job.jobId, kept),
    known: artifacts?.life ?? { job, attempt },
  });
  return life;
}

function shouldRetry(outcome: Outcome): outcome is Outcome & { error: NonNullable<Outcome["error"]> } {
  return outcome.error !== null && outcome.status !== "CANCELLED";
}

function runTimeMs({ startedAt, exit }: AttemptRecord): number {
  if (startedAt === null || exit === null) return 0;
  return Math.max(0, Date.parse(exit.finishedAt) - Date.parse(startedAt));
}

/** Removes the resource of an ended attempt and records that it is gone. Idempotent. */
export async function cleanUp(ctx: EngineContext, { job, attempt }: Life): Promise<void> {
  if (!job.cleanupPending) return;
  const runtime = ctx.runtimes.get(job.runtime);
  const name = attempt?.externalName ?? job.externalName ?? "";
  const externalRef = attempt?.externalRef ?? (name === "" ? undefined : await runtime.find(name));
  if (externalRef !== undefined) await runtime.cleanup(externalRef);
  const move: Occurrence = { type: "CLEAN", attempt: job.attempt };
  await advance(ctx.ledger, job.jobId, { move, known: { job, attempt } });
}
