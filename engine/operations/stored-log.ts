import type { EngineContext } from "../context.ts";
import { logObject } from "../ledger/keys.ts";
import type { AttemptRecord, JobRecord } from "../ledger/records.ts";
import type { Collected } from "./collect.ts";
import { splitLines } from "./lines.ts";
import { type LogLine, omittedLines, REST_UNREADABLE, saysUnreadable } from "./log-line.ts";

const CHUNK = 64 * 1024;

interface LogOf {
  job: JobRecord;
  attempt: AttemptRecord;
}

/** Stores an attempt's log; with no line at all there is no object. */
export async function storeLog(ctx: EngineContext, { job, attempt }: LogOf, lines: AsyncGenerator<LogLine>) {
  try {
    const first = await lines.next();
    if (!first.done) await ctx.objects.put(logObject(job.jobId, attempt.attempt), encode(first.value, lines));
  } finally {
    // A store that refuses at once has not begun to read: the runtime's log would stay open.
    await lines.return(undefined);
  }
}

async function* encode(first: LogLine, rest: AsyncIterable<LogLine>): AsyncGenerator<Uint8Array> {
  let chunk = `${JSON.stringify(first)}\n`;
  for await (const line of rest) {
    chunk += `${JSON.stringify(line)}\n`;
    if (chunk.length < CHUNK) continue;
    yield Buffer.from(chunk);
    chunk = "";
  }
  if (chunk !== "") yield Buffer.from(chunk);
}

/**
 * The stored lines of an attempt with a seq above `after`; none when there is no object. Where the object is damaged,
 * one system line stands for what cannot be read, and the rest follows.
 */
export async function* readStored(ctx: EngineContext, { job, attempt }: LogOf, after: number): AsyncGenerator<LogLine> {
  const object = await ctx.objects.get(logObject(job.jobId, attempt.attempt));
  if (object === undefined) return;
  let last = { seq: attempt.logBase, time: attempt.startedAt ?? job.createdAt };
  let damaged = false;
  for await (const text of splitLines(object.body)) {
    const parsed = parseLine(text);
    if (parsed === undefined && damaged) continue;
    damaged = parsed === undefined;
    const { seq, time } = last;
    const note = { seq: seq + 1, time, stream: "system" as const, text: REST_UNREADABLE, attempt: attempt.attempt };
    const line = parsed ?? note;
    last = line;
    if (line.seq > after) yield line;
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
  for await (const line of readStored(ctx, of, 0)) {
    const omitted = omittedLines(line);
    collected.lines = line.seq - attempt.logBase + Math.max(0, omitted - 1);
    if (omitted > 0 || saysUnreadable(line)) collected.truncated = true;
    else collected.bytes += Buffer.byteLength(line.text) + 1;
  }
  return collected;
}
