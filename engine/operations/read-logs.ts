import type { EngineContext } from "../context.ts";
import { logObject } from "../ledger/keys.ts";
import { readAttempts, readLife } from "../ledger/read.ts";
import type { AttemptRecord, JobRecord } from "../ledger/records.ts";
import { isTerminal } from "../states.ts";
import { type LogLine, maskerOf, toLogLine } from "./collect.ts";
import { splitLines } from "./lines.ts";

export interface LogQuery {
  /** Only lines with a seq above this; default 0. */
  after?: number;
  signal?: AbortSignal;
}

/**
 * Every line of a job so far, in order: collected attempts from the store, a running one from its runtime, masked.
 * A line has the same seq and text from either.
 */
export async function* readLogs(ctx: EngineContext, job: JobRecord, query: LogQuery = {}): AsyncGenerator<LogLine> {
  for (const attempt of await readAttempts(ctx.ledger, job.jobId)) {
    yield* readAttemptLogs(ctx, { job, attempt }, { ...query, follow: false });
  }
}

/**
 * As `readLogs`, and goes on with what comes until the job has ended.
 * @param query.changed resolves when the job may have changed since it was called last.
 */
export async function* followLogs(
  ctx: EngineContext,
  job: JobRecord,
  query: LogQuery & { signal: AbortSignal; changed: () => Promise<void> },
): AsyncGenerator<LogLine> {
  let after = query.after ?? 0;
  for (let number = 1; !query.signal.aborted; ) {
    const life = await readLife(ctx.ledger, job.jobId);
    if (life === undefined) return;
    const attempts = await readAttempts(ctx.ledger, job.jobId);
    const attempt = attempts.find((one) => one.attempt === number);
    if (attempt !== undefined) {
      for await (const line of readAttemptLogs(ctx, { job: life.job, attempt }, { ...query, after, follow: true })) {
        after = Math.max(after, line.seq);
        yield line;
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

async function* readAttemptLogs(
  ctx: EngineContext,
  { job, attempt }: { job: JobRecord; attempt: AttemptRecord },
  query: LogQuery & { follow: boolean },
): AsyncGenerator<LogLine> {
  const after = query.after ?? 0;
  if (attempt.logLines !== null) {
    if (attempt.logBase + attempt.logLines > after)
      yield* readStored(ctx, logObject(job.jobId, attempt.attempt), after);
    return;
  }
  if (attempt.externalRef === null) return;
  const mask = await maskerOf(ctx, job.jobId, attempt.attempt);
  const options = { follow: query.follow, after: Math.max(0, after - attempt.logBase) };
  const lines = ctx.runtimes
    .get(job.runtime)
    .logs(attempt.externalRef, query.signal === undefined ? options : { ...options, signal: query.signal });
  for await (const line of lines) yield toLogLine(line, attempt, mask);
}

async function* readStored(ctx: EngineContext, key: string, after: number): AsyncGenerator<LogLine> {
  const object = await ctx.objects.get(key);
  if (object === undefined) return;
  for await (const text of splitLines(object.body)) {
    const line = JSON.parse(text) as LogLine;
    if (line.seq > after) yield line;
  }
}
