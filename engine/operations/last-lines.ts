import type { EngineContext } from "../context.ts";
import { logObject } from "../ledger/keys.ts";
import { readAttempts } from "../ledger/read.ts";
import type { JobRecord } from "../ledger/records.ts";
import type { LogLine } from "./log-line.ts";
import { readLogs } from "./read-logs.ts";

/** Of a log that is longer only the end is read, bytes: a line that is longer than that is not among the last ones. */
const END_BYTES = 32 * 1024;
/** Of one line, characters. */
const MAX_TEXT = 1000;

/**
 * The last lines of the last attempt of a finished job, as they are kept; none when nothing is. Of a long line only the
 * beginning is given.
 */
export async function lastLines(ctx: EngineContext, job: JobRecord, count: number): Promise<LogLine[]> {
  const attempt = (await readAttempts(ctx.ledger, job.jobId)).find((one) => one.attempt === job.attempt);
  // What was never collected is with its runtime, if anywhere.
  if (!attempt?.logLines) return [];
  const lines = (await endOfObject(ctx, job)) ?? [];
  const after = attempt.logBase + Math.max(0, attempt.logLines - count);
  if (lines.length === 0) {
    for await (const read of readLogs(ctx, job, { after })) lines.push(...read);
  }
  return lines.slice(-count).map((line) => ({ ...line, text: shortened(line.text) }));
}

/** The last lines of a long log; undefined for one that is better read as a whole. */
async function endOfObject({ objects }: EngineContext, job: JobRecord): Promise<LogLine[] | undefined> {
  const key = logObject(job.jobId, job.attempt);
  const sizeBytes = (await objects.head(key))?.sizeBytes ?? 0;
  if (sizeBytes <= END_BYTES) return undefined;
  const object = await objects.get(key, { start: sizeBytes - END_BYTES });
  if (object === undefined) return undefined;
  const text = Buffer.concat(await Array.fromAsync(object.body)).toString("utf8");
  // The first one is cut at its beginning.
  return text.split("\n").slice(1).flatMap(parsed);
}

/** A stored line; none for what is damaged. */
function parsed(text: string): LogLine[] {
  try {
    const line = JSON.parse(text) as LogLine | null;
    return typeof line?.seq === "number" && typeof line.text === "string" ? [line] : [];
  } catch {
    return [];
  }
}

function shortened(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT).toWellFormed()}…`;
}
