import type { EngineContext } from "../context.ts";
import { logObject } from "../ledger/keys.ts";
import type { AttemptRecord, JobRecord, LogTail } from "../ledger/records.ts";
import type { Collected } from "./collect.ts";
import { splitLines } from "./lines.ts";
import { type LogLine, omittedLines, REST_UNREADABLE, saysUnreadable } from "./log-line.ts";
import { createNewest, type Newest } from "./log-tail.ts";
import { seekLine } from "./seek-log.ts";

const CHUNK = 64 * 1024;

interface LogOf {
  job: JobRecord;
  attempt: AttemptRecord;
}

/**
 * Stores an attempt's log, unless it is short enough to rest in the ledger as a whole.
 * @returns what is to rest in the ledger; undefined for a log without a line.
 */
export async function storeLog(
  ctx: EngineContext,
  { job, attempt }: LogOf,
  lines: AsyncGenerator<LogLine[]>,
): Promise<LogTail | undefined> {
  const newest = createNewest(attempt);
  const first: LogLine[] = [];
  try {
    while (newest.isWhole()) {
      const next = await lines.next();
      if (next.done) return newest.tail();
      newest.push(next.value);
      for (const line of next.value) first.push(line);
    }
    await ctx.objects.put(logObject(job.jobId, attempt.attempt), encode(first, noted(lines, newest)));
    return newest.tail();
  } finally {
    // A store that refuses at once has not begun to read: the runtime's log would stay open.
    await lines.return(undefined);
  }
}

async function* noted(batches: AsyncIterable<LogLine[]>, newest: Newest): AsyncGenerator<LogLine[]> {
  for await (const lines of batches) {
    newest.push(lines);
    yield lines;
  }
}

async function* encode(first: LogLine[], rest: AsyncIterable<LogLine[]>): AsyncGenerator<Uint8Array> {
  let chunk = first.map(encodeLine).join("");
  for await (const lines of rest) {
    for (const line of lines) {
      chunk += encodeLine(line);
      if (chunk.length < CHUNK) continue;
      yield Buffer.from(chunk);
      chunk = "";
    }
  }
  if (chunk !== "") yield Buffer.from(chunk);
}

function encodeLine(line: LogLine): string {
  return `${JSON.stringify(line)}\n`;
}

/**
 * The stored lines of an attempt with a seq above `after`, in batches that are never empty; none when there is no object. Where the object is damaged,
 * one system line stands for what cannot be read, and the rest follows.
 */
export async function* readStored(
  ctx: EngineContext,
  { job, attempt }: LogOf,
  after: number,
): AsyncGenerator<LogLine[]> {
  const key = logObject(job.jobId, attempt.attempt);
  const size = after > attempt.logBase ? (await ctx.objects.head(key))?.sizeBytes : undefined;
  const start = size === undefined ? 0 : await seekLine(ctx.objects, { key, size }, after);
  const object = await ctx.objects.get(key, { start });
  if (object === undefined) return;
  let last = { seq: attempt.logBase, time: attempt.startedAt ?? job.createdAt };
  let damaged = false;
  for await (const texts of splitLines(object.body)) {
    const lines: LogLine[] = [];
    for (const text of texts) {
      const parsed = parseLine(text);
      if (parsed === undefined && damaged) continue;
      damaged = parsed === undefined;
      const { seq, time } = last;
      const note = { seq: seq + 1, time, stream: "system" as const, text: REST_UNREADABLE, attempt: attempt.attempt };
      const line = parsed ?? note;
      last = line;
      if (line.seq > after) lines.push(line);
    }
    if (lines.length > 0) yield lines;
  }
}

function parseLine(text: string): LogLine | undefined {
  try {
    const line = JSON.parse(text) as LogLine | null;
    return typeof line?.seq === "number" && typeof line.text === "string" ? line : undefined;
  } catch {
    // Damaged on the disk: the reader is told by a line in its place.
    return undefined;
  }
}

/** What was told of an attempt's log when it was stored, from the stored lines; undefined when it was not stored. */
export async function countStored(ctx: EngineContext, of: LogOf): Promise<Collected | undefined> {
  const { job, attempt } = of;
  if ((await ctx.objects.head(logObject(job.jobId, attempt.attempt))) === undefined) return undefined;
  const collected: Collected = { lines: 0, bytes: 0, truncated: false };
  const newest = createNewest(attempt);
  for await (const lines of readStored(ctx, of, 0)) {
    newest.push(lines);
    for (const line of lines) {
      const omitted = omittedLines(line);
      collected.lines = line.seq - attempt.logBase + Math.max(0, omitted - 1);
      if (omitted > 0 || saysUnreadable(line)) collected.truncated = true;
      else collected.bytes += Buffer.byteLength(line.text) + 1;
    }
  }
  const tail = newest.tail();
  // It is stored, whatever it was cut to.
  return tail === undefined ? collected : { ...collected, tail: { ...tail, whole: false } };
}
