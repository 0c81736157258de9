import type { EngineContext } from "../context.ts";
import { logObject } from "../ledger/keys.ts";
import type { JobRecord } from "../ledger/records.ts";
import { splitLines } from "./lines.ts";
import type { LogLine } from "./log-line.ts";
import { parseLine } from "./stored-log.ts";

/** From the end of a stored log, bytes: a line that is longer is not among the last ones. */
const END_BYTES = 32 * 1024;
/** Of one line, characters. */
const MAX_TEXT = 1000;

/**
 * The last lines of the last attempt of a finished job, as they are kept; none when nothing is. Of a long log only its end
 * is read, and of a long line only the beginning is given.
 */
export async function lastLines(ctx: EngineContext, job: JobRecord, count: number): Promise<LogLine[]> {
  const key = logObject(job.jobId, job.attempt);
  const found = await ctx.objects.head(key);
  if (found === undefined || found.sizeBytes === 0) return [];
  const start = Math.max(0, found.sizeBytes - END_BYTES);
  const object = await ctx.objects.get(key, { start });
  if (object === undefined) return [];
  const lines: LogLine[] = [];
  let isCut = start > 0;
  for await (const text of splitLines(object.body)) {
    const line = isCut ? undefined : parseLine(text);
    isCut = false;
    if (line !== undefined) lines.push({ ...line, text: shortened(line.text) });
  }
  return lines.slice(-count);
}

function shortened(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT).toWellFormed()}…`;
}
