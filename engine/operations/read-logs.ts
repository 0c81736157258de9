import type { EngineContext } from "../context.ts";
import { readAttempts, readLife } from "../ledger/read.ts";
import type { AttemptRecord, JobRecord } from "../ledger/records.ts";
import { isTerminal } from "../states.ts";
import { attemptLines } from "./attempt-log.ts";
import type { LiveLogs } from "./live-log.ts";
import type { LogLine } from "./log-line.ts";
import { linesInLedger } from "./log-tail.ts";
import { readStored } from "./stored-log.ts";

export interface LogQuery {
  /** Only lines with a seq above this; default 0. */
  after?: number;
  signal?: AbortSignal;
}

/**
 * Every line of a job so far, in order, in batches that are never empty: collected attempts from the store, a running one from its runtime, masked.
 * A line has the same seq and text from either.
 */
export async function* readLogs(ctx: EngineContext, job: JobRecord, query: LogQuery = {}): AsyncGenerator<LogLine[]> {
  let after = query.after ?? 0;
  for (const attempt of await readAttempts(ctx.ledger, job.jobId)) {
    for await (const lines of readAttemptLogs(ctx, { job, attempt }, { ...query, after })) {
      after = lines.at(-1)?.seq ?? after;
      yield lines;
    }
    if (attempt.logLines !== null || attempt.externalRef === null) continue;
    // It may have been collected and removed while it was read, and its runtime then says nothing of what is missing.
    const attempts = await readAttempts(ctx.ledger, job.jobId);
    const now = attempts.find((one) => one.attempt === attempt.attempt);
    if (now !== undefined && now.logLines !== null) yield* readCollected(ctx, { job, attempt: now }, after);
  }
}

export interface FollowQuery extends LogQuery {
  signal: AbortSignal;
  /** Resolves when the job may have changed since it was called last. */
  changed(): Promise<void>;
  /** Where the logs of attempts that go on are followed. */
  live: LiveLogs;
}

/** As `readLogs`, and goes on with what comes until the job has ended or `signal` aborts. */
export async function* followLogs(ctx: EngineContext, job: JobRecord, query: FollowQuery): AsyncGenerator<LogLine[]> {
  let after = query.after ?? 0;
  let unreadable = 0;
  for (let number = 1; !query.signal.aborted; ) {
    const life = await readLife(ctx.ledger, job.jobId);
    if (life === undefined) return;
    const attempts = await readAttempts(ctx.ledger, job.jobId);
    const attempt = attempts.find((one) => one.attempt === number);
    // What cannot be read on is not tried at every change: what there is of it comes when it is collected.
    if (attempt !== undefined && (attempt.logLines !== null || unreadable !== number)) {
      const onUnreadable = () => {
        unreadable = number;
      };
      const of = { job: life.job, attempt };
      const batches =
        attempt.logLines !== null
          ? readCollected(ctx, of, after)
          : goingOn(of, { live: query.live, signal: query.signal, after, onUnreadable });
      for await (const lines of batches) {
        after = Math.max(after, lines.at(-1)?.seq ?? 0);
        yield lines;
      }
      if (attempt.logLines !== null) {
        number++;
        continue;
      }
    }
    if (isTerminal(life.job.status) && number >= life.job.attempt) return;
    await query.changed();
  }
}

/** What an attempt has written so far. */
async function* readAttemptLogs(
  ctx: EngineContext,
  { job, attempt }: { job: JobRecord; attempt: AttemptRecord },
  { after = 0, signal }: LogQuery,
): AsyncGenerator<LogLine[]> {
  if (attempt.logLines !== null) return yield* readCollected(ctx, { job, attempt }, after);
  const options = { after: Math.max(0, after - attempt.logBase) };
  const note = yield* attemptLines(ctx, { job, attempt }, signal === undefined ? options : { ...options, signal });
  if (note !== undefined) yield [note];
}

/** What an attempt writes, as long as its runtime has more to say. */
async function* goingOn(
  of: { job: JobRecord; attempt: AttemptRecord },
  { live, onUnreadable, ...query }: { live: LiveLogs; after: number; signal: AbortSignal; onUnreadable(): void },
): AsyncGenerator<LogLine[]> {
  const note = yield* live.follow(of, query);
  if (note === undefined) return;
  onUnreadable();
  yield [note];
}

async function* readCollected(
  ctx: EngineContext,
  { job, attempt }: { job: JobRecord; attempt: AttemptRecord },
  after: number,
): AsyncGenerator<LogLine[]> {
  if (attempt.logBase + (attempt.logLines ?? 0) <= after) return;
  const lines = linesInLedger(attempt, after);
  if (lines === undefined) yield* readStored(ctx, { job, attempt }, after);
  else if (lines.length > 0) yield lines;
}
