import type { EngineContext } from "../context.ts";
import type { AttemptRecord, JobRecord, LogTail } from "../ledger/records.ts";
import { attemptLines } from "./attempt-log.ts";
import { budgetBytes, type LogLine, omissionLine } from "./log-line.ts";
import { countStored, storeLog } from "./stored-log.ts";
import { createTail } from "./tail.ts";

export interface Collected {
  /** Lines that the attempt wrote, also those that were cut. */
  lines: number;
  /** Bytes of text stored, newlines included. */
  bytes: number;
  /** Something is missing: it was too much, or it could not be read. */
  truncated: boolean;
  /** What is to rest in the ledger; where it is all of the log, nothing was stored elsewhere. */
  tail?: LogTail;
}

/** The end of a log that is kept in memory while its middle is cut; the rest of the budget goes to the beginning. */
const MAX_TAIL_BYTES = 4 * 1024 * 1024;

/**
 * Stores what an attempt wrote, masked, inside the byte budget: where it is too much, its beginning and its end are
 * kept and a system line stands for the middle. A log that can never be read to its end is stored as far as it goes,
 * and a system line ends it. What was stored is never collected again: its container may be gone since. A log that is
 * short enough is not stored but given back, to rest in the ledger.
 * @throws LongshoreError UNAVAILABLE or RUNTIME_UNAVAILABLE when it may be done later; nothing is stored then.
 */
export async function collectLogs(
  ctx: EngineContext,
  { job, attempt }: { job: JobRecord; attempt: AttemptRecord },
  maxBytes: number,
): Promise<Collected> {
  if (attempt.externalRef === null) return { lines: 0, bytes: 0, truncated: false };
  const before = await countStored(ctx, { job, attempt });
  if (before !== undefined) return before;
  const collected: Collected = { lines: 0, bytes: 0, truncated: false };
  let note: LogLine | undefined;
  async function* read(): AsyncGenerator<LogLine[]> {
    note = yield* attemptLines(ctx, { job, attempt }, {});
  }
  async function* kept(): AsyncGenerator<LogLine[]> {
    yield* withinBudget(read(), maxBytes, { collected, logBase: attempt.logBase });
    if (note === undefined) return;
    collected.lines += 1;
    collected.truncated = true;
    yield [note];
  }
  const tail = await storeLog(ctx, { job, attempt }, kept());
  return tail === undefined ? collected : { ...collected, tail };
}

async function* withinBudget(
  batches: AsyncIterable<LogLine[]>,
  maxBytes: number,
  { collected, logBase }: { collected: Collected; logBase: number },
): AsyncGenerator<LogLine[]> {
  const tailBudget = Math.min(Math.floor(maxBytes / 2), MAX_TAIL_BYTES);
  const headBudget = maxBytes - tailBudget;
  const tail = createTail<LogLine>({ maxBytes: tailBudget, sizeOf: budgetBytes });
  let headBytes = 0;
  let inHead = true;
  const take = (line: LogLine) => {
    collected.bytes += Buffer.byteLength(line.text) + 1;
    return line;
  };
  for await (const lines of batches) {
    const head: LogLine[] = [];
    for (const line of lines) {
      collected.lines = line.seq - logBase;
      const size = budgetBytes(line);
      inHead &&= headBytes + size <= headBudget;
      if (!inHead) tail.push(line);
      else {
        headBytes += size;
        head.push(take(line));
      }
    }
    if (head.length > 0) yield head;
  }
  if (tail.firstDropped !== undefined) {
    collected.truncated = true;
    yield [omissionLine(tail.firstDropped, tail.dropped, maxBytes)];
  }
  const last = Array.from(tail.items(), take);
  if (last.length > 0) yield last;
}
