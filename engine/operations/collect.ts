import type { EngineContext } from "../context.ts";
import { logObject } from "../ledger/keys.ts";
import { readMasks } from "../ledger/read.ts";
import type { AttemptRecord, JobRecord } from "../ledger/records.ts";
import { createMasker } from "../masking.ts";
import type { RuntimeLine } from "../ports/runtime.ts";

/** One line of a job's log, as stored and as the API shows it; `seq` grows over all attempts. */
export interface LogLine {
  seq: number;
  /** RFC 3339, UTC. */
  time: string;
  stream: "stdout" | "stderr" | "system";
  text: string;
  attempt: number;
}

export interface Collected {
  /** Lines that the attempt wrote, also those that were cut. */
  lines: number;
  /** Bytes of text stored. */
  bytes: number;
  truncated: boolean;
}

/** The end of a log that is kept in memory while its middle is cut; the rest of the budget goes to the beginning. */
const MAX_TAIL_BYTES = 4 * 1024 * 1024;

/** Every value that was secret to an attempt. */
export async function maskedValues(ctx: EngineContext, jobId: string, attempt: number): Promise<string[]> {
  const sealed = await readMasks(ctx.ledger, jobId, attempt);
  if (sealed === undefined) return [];
  return JSON.parse(Buffer.from(await ctx.sealer.open(sealed, jobId)).toString("utf8")) as string[];
}

/** The masker for what an attempt wrote. */
export async function maskerOf(ctx: EngineContext, jobId: string, attempt: number): Promise<(text: string) => string> {
  return createMasker(await maskedValues(ctx, jobId, attempt));
}

/** A runtime's line as the job's: numbered over all attempts, masked. */
export function toLogLine(line: RuntimeLine, attempt: AttemptRecord, mask: (text: string) => string): LogLine {
  const { n, time, stream, text } = line;
  return { seq: attempt.logBase + n, time, stream, text: mask(text), attempt: attempt.attempt };
}

/**
 * Stores what an attempt wrote, masked, inside the byte budget: where it is too much, its beginning and its end are
 * kept and a system line stands for the middle. Doing it again gives the same object.
 */
export async function collectLogs(
  ctx: EngineContext,
  { job, attempt }: { job: JobRecord; attempt: AttemptRecord },
  maxBytes: number,
): Promise<Collected> {
  if (attempt.externalRef === null) return { lines: 0, bytes: 0, truncated: false };
  const mask = await maskerOf(ctx, job.jobId, attempt.attempt);
  const collected: Collected = { lines: 0, bytes: 0, truncated: false };
  const source = ctx.runtimes.get(job.runtime).logs(attempt.externalRef, {});
  const lines = withinBudget(
    counted(source, collected, (line) => toLogLine(line, attempt, mask)),
    maxBytes,
    collected,
  );
  const first = await lines.next();
  // Most small jobs write nothing: no object then.
  if (first.done) return collected;
  await ctx.objects.put(logObject(job.jobId, attempt.attempt), encode(first.value, lines));
  return collected;
}

async function* counted(
  source: AsyncIterable<RuntimeLine>,
  collected: Collected,
  convert: (line: RuntimeLine) => LogLine,
): AsyncGenerator<LogLine> {
  for await (const line of source) {
    collected.lines = line.n;
    yield convert(line);
  }
}

async function* withinBudget(
  lines: AsyncIterable<LogLine>,
  maxBytes: number,
  collected: Collected,
): AsyncGenerator<LogLine, undefined> {
  const tailBudget = Math.min(Math.floor(maxBytes / 2), MAX_TAIL_BYTES);
  const headBudget = maxBytes - tailBudget;
  const tail: LogLine[] = [];
  let tailBytes = 0;
  let inHead = true;
  let firstCut: LogLine | null = null;
  let cutLines = 0;
  for await (const line of lines) {
    const size = Buffer.byteLength(line.text) + 1;
    inHead &&= collected.bytes + size <= headBudget;
    if (inHead) {
      collected.bytes += size;
      yield line;
      continue;
    }
    tail.push(line);
    tailBytes += size;
    while (tailBytes > tailBudget) {
      const cut = tail.shift() as LogLine;
      tailBytes -= Buffer.byteLength(cut.text) + 1;
      firstCut ??= cut;
      cutLines++;
    }
  }
  if (firstCut !== null) {
    collected.truncated = true;
    const text = `${cutLines} lines were left out here: the log is longer than logs.maxBytes (${maxBytes})`;
    yield { ...firstCut, stream: "system", text };
  }
  collected.bytes += tailBytes;
  yield* tail;
  return undefined;
}

async function* encode(first: LogLine, rest: AsyncIterable<LogLine>): AsyncGenerator<Uint8Array> {
  const CHUNK = 64 * 1024;
  let chunk = `${JSON.stringify(first)}\n`;
  for await (const line of rest) {
    chunk += `${JSON.stringify(line)}\n`;
    if (chunk.length < CHUNK) continue;
    yield Buffer.from(chunk);
    chunk = "";
  }
  if (chunk !== "") yield Buffer.from(chunk);
}
