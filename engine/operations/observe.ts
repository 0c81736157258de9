import type { EngineContext } from "../context.ts";
import type { JobId } from "../ids.ts";
import { type Advance, advance, type Move } from "../ledger/advance.ts";
import { readLife } from "../ledger/read.ts";
import type { AttemptExit, JobRecord, Life } from "../ledger/records.ts";
import { type Occurrence, type Stage, stageOf } from "../occurrences.ts";
import type { RuntimeStatus } from "../ports/runtime.ts";

/** The attempt that is spoken of. */
export interface AttemptOf {
  jobId: JobId;
  attempt: number;
}

/** The execution that speaks: of the job's current generation unless it says another. */
export interface ExecutionOf extends AttemptOf {
  generation?: number;
}

/** Whether an execution is the job's current one: one that was overtaken must not touch what came after it. */
export function isCurrent(job: JobRecord, { attempt, generation = job.generation }: ExecutionOf): boolean {
  return job.attempt === attempt && job.generation === generation;
}

/**
 * Records that an attempt has ended, then completes its token. Idempotent: news that came before are ignored.
 * @param known what is known already: the status, when the runtime has just told it (else it is asked), and the
 * resource, when the ledger may not have heard of it yet.
 */
export async function observeExit(
  ctx: EngineContext,
  { jobId, attempt }: AttemptOf,
  known: { status?: RuntimeStatus; externalRef?: string } = {},
): Promise<void> {
  const before = await readLife(ctx.ledger, jobId);
  const externalRef = known.externalRef ?? before?.attempt?.externalRef;
  if (before === undefined || !externalRef || before.job.attempt !== attempt) return;
  const status = known.status ?? (await ctx.runtimes.get(before.job.runtime).status(externalRef));
  if (status.phase !== "exited" && status.phase !== "unknown") return;
  const exit = exitOf(status, new Date(ctx.clock()).toISOString());
  const move: Occurrence = { type: "EXIT", attempt, exit, startedAt: status.startedAt, externalRef };
  await recordExit(ctx, jobId, { move, known: before });
}

/** What a runtime told of an attempt without being asked. */
export interface News extends AttemptOf {
  externalRef: string;
  status: RuntimeStatus;
}

/**
 * Records the end of an attempt that its runtime told of without being asked, at least once and in any order, then
 * completes its token. Only an end counts, and nothing comes after it: what came before it may come later, or again.
 *
 * The races that it wins: a short command may have ended before whoever launches it has recorded its start: both are
 * recorded then. What ended without having been started is left to the launch, which waits for the start: it may have been
 * deferred since, and something else be under way for the same attempt.
 */
export async function observeNews(ctx: EngineContext, news: News): Promise<void> {
  if (news.status.phase !== "exited") return;
  const known = await readLife(ctx.ledger, news.jobId);
  if (known === undefined) return;
  const exit = exitOf(news.status, new Date(ctx.clock()).toISOString());
  const { life } = await advance(ctx.ledger, news.jobId, { move: (now) => endOf(now, news, exit), known });
  // It may have been recorded before, and the completion lost.
  if (life.attempt?.exit && life.attempt.externalRef === news.externalRef) await completeToken(ctx, life.attempt.token);
}

const LAUNCHING: ReadonlySet<Stage> = new Set(["validating", "pulling", "creating"]);

/** What follows from news of an end; nothing where they are not of what is on record. */
function endOf(
  { job, attempt: record }: Life,
  { attempt, externalRef, status }: News,
  exit: AttemptExit,
): Occurrence[] {
  if (job.attempt !== attempt || record?.attempt !== attempt) return [];
  const { startedAt } = status;
  const end: Occurrence = { type: "EXIT", attempt, exit, startedAt, externalRef };
  if (record.externalRef !== null) return record.externalRef === externalRef ? [end] : [];
  if (startedAt === null || !LAUNCHING.has(stageOf(job))) return [];
  return [{ type: "START", attempt, externalRef, startedAt }, end];
}

/**
 * Records that an attempt ended before its command was started, then completes its token.
 * @param failure why; null when it was stopped on purpose.
 */
export async function neverStarted(
  ctx: EngineContext,
  { jobId, attempt }: AttemptOf,
  failure: AttemptExit["failure"],
): Promise<void> {
  await recordExit(ctx, jobId, unstarted(ctx, attempt, failure));
}

/**
 * As `neverStarted`, for an attempt that nobody has dispatched.
 *
 * The race that it wins: a dispatch that comes at the same time. Judged at the commit, so that nothing is recorded as
 * never started that a launch is about to start.
 */
export async function neverDispatched(
  ctx: EngineContext,
  { jobId, attempt }: AttemptOf,
  failure: AttemptExit["failure"],
): Promise<void> {
  const exit = unstarted(ctx, attempt, failure);
  await recordExit(ctx, jobId, ({ job }) => (stageOf(job) === "admitted" ? exit : null));
}

function unstarted(ctx: EngineContext, attempt: number, failure: AttemptExit["failure"]): Occurrence {
  const exit = { exitCode: null, oom: false, failure, finishedAt: new Date(ctx.clock()).toISOString() };
  return { type: "EXIT", attempt, exit, startedAt: null, externalRef: null };
}

async function recordExit(ctx: EngineContext, jobId: JobId, exit: Move | Advance): Promise<void> {
  const { life } = await advance(ctx.ledger, jobId, exit);
  await completeToken(ctx, life.attempt?.token ?? null);
}

/** Sees to it that the end of a running attempt is observed. Asking again does no harm: a home watches an attempt once. */
export function watchAttempt(ctx: EngineContext, { job, attempt }: Life): void {
  if (attempt === null || attempt.externalRef === null || attempt.exit !== null) return;
  ctx.watch({
    jobId: job.jobId,
    attempt: attempt.attempt,
    runtime: job.runtime,
    externalRef: attempt.externalRef,
    deadlineAt: attempt.deadlineAt ?? new Date(ctx.clock() + job.timeoutSeconds * 1000).toISOString(),
  });
}

/** Completes a task token. An unknown one has been completed before, or its execution is lost and will be relaunched. */
export async function completeToken(ctx: EngineContext, token: string | null): Promise<void> {
  if (token !== null) await ctx.orchestrator.complete(token);
}

function exitOf(status: RuntimeStatus, now: string): AttemptExit {
  if (status.phase === "unknown") {
    const message = "the runtime no longer knows the attempt's container or process";
    const failure = { category: "RUNTIME_UNAVAILABLE" as const, message, providerCode: "LOST" };
    return { exitCode: null, oom: false, failure, finishedAt: now };
  }
  const { exitCode, oom, failure, finishedAt } = status;
  return { exitCode, oom, failure, finishedAt: finishedAt ?? now };
}
