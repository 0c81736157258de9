import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import { readMasks } from "../ledger/read.ts";
import type { AttemptRecord, JobRecord } from "../ledger/records.ts";
import { createLineMasker, type Masker } from "../masking.ts";
import { masksContext } from "../naming.ts";
import type { LogOptions, RuntimeLine } from "../ports/runtime.ts";
import { type LogLine, MASKS_UNREADABLE, REST_UNREADABLE } from "./log-line.ts";

/**
 * Every value that was secret to an attempt.
 * @throws LongshoreError UNKNOWN when they were stored and cannot be read any more; UNAVAILABLE when not now.
 */
export async function maskedValues(ctx: EngineContext, jobId: string, attempt: number): Promise<string[]> {
  const sealed = await readMasks(ctx.ledger, jobId, attempt);
  if (sealed === undefined) return [];
  const opened = Buffer.from(await ctx.sealer.open(sealed, masksContext(jobId))).toString("utf8");
  const values = parsed(opened);
  if (Array.isArray(values) && values.every((value) => typeof value === "string")) return values;
  throw new LongshoreError("UNKNOWN", "the sealed values to mask are no list of texts");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which holds secret values: it must go no further.
    return undefined;
  }
}

/**
 * What an attempt wrote, from its runtime, numbered over all attempts and masked, in batches that are never empty. A log that can never be read to its
 * end ends where it can: the value returned is then a system line that says so, in the place of what follows; nothing
 * when `after` is past it. Without the values to mask nothing is shown.
 * @throws LongshoreError UNAVAILABLE or RUNTIME_UNAVAILABLE when it may be read later; the reason of `options.signal`.
 */
export async function* attemptLines(
  ctx: EngineContext,
  { job, attempt }: { job: JobRecord; attempt: AttemptRecord },
  options: LogOptions,
): AsyncGenerator<LogLine[], LogLine | undefined> {
  if (attempt.externalRef === null) return undefined;
  let last: RuntimeLine | undefined;
  let isMasked = false;
  try {
    const masker = createLineMasker(await maskedValues(ctx, job.jobId, attempt.attempt));
    isMasked = true;
    for await (const lines of ctx.runtimes.get(job.runtime).logs(attempt.externalRef, options)) {
      last = lines.at(-1);
      yield toLogLines(lines, attempt, masker);
    }
    return undefined;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (mayPass(error)) throw error;
    const { jobId } = job;
    // Its message may hold paths or a piece of the log.
    ctx.logger.warn({ jobId, attempt: attempt.attempt, ...codesOf(error) }, "a log cannot be read to its end");
    const n = (last?.n ?? 0) + 1;
    if (n <= (options.after ?? 0)) return undefined;
    const time = last?.time ?? attempt.startedAt ?? job.createdAt;
    const text = isMasked ? REST_UNREADABLE : MASKS_UNREADABLE;
    return { seq: attempt.logBase + n, time, stream: "system", text, attempt: attempt.attempt };
  }
}

/** Whether what failed may go well later. */
function mayPass(error: unknown): boolean {
  return error instanceof LongshoreError && (error.code === "UNAVAILABLE" || error.code === "RUNTIME_UNAVAILABLE");
}

function codesOf(error: unknown): { code: string; providerCode: string | null } {
  if (error instanceof LongshoreError) return { code: error.code, providerCode: error.providerCode };
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return { code: error instanceof Error ? error.name : typeof error, providerCode: code ?? null };
}

function toLogLines(lines: readonly RuntimeLine[], { attempt, logBase }: AttemptRecord, masker: Masker): LogLine[] {
  const masked = masker.lines(lines.map(({ text }) => text));
  return lines.map(({ n, time, stream, text, around }, index) => ({
    seq: logBase + n,
    time,
    stream,
    text: around === undefined ? (masked[index] as string) : masker.piece(text, around),
    attempt,
  }));
}
