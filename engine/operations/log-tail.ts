import type { EngineContext } from "../context.ts";
import { readAttempts } from "../ledger/read.ts";
import type { AttemptRecord, JobRecord, LogTail } from "../ledger/records.ts";
import type { LogLine } from "./log-line.ts";

/** What the tail of a log may take in its attempt's item, bytes of JSON. */
const MAX_TAIL_BYTES = 2048;
/** What a line takes there besides its text at least, and what the tail takes besides its lines at most. */
const LEAST_LINE_BYTES = 12;
const FRAME_BYTES = 80;
/** More lines than these cannot be in a tail. */
const MOST_LINES = Math.floor(MAX_TAIL_BYTES / LEAST_LINE_BYTES);

const LETTERS = { stdout: "o", stderr: "e", system: "s" } as const;
const STREAMS = { o: "stdout", e: "stderr", s: "system" } as const;

/** The newest lines of a log that is being read. */
export interface Newest {
  push(lines: readonly LogLine[]): void;
  /** Whether all lines so far are in it. */
  isWhole(): boolean;
  /** What the attempt's item is to hold of the log; undefined for a log without a line. */
  tail(): LogTail | undefined;
}

/** Gathers the newest lines of an attempt's log, as many as may rest in the ledger. */
export function createNewest({ logBase }: Pick<AttemptRecord, "logBase">): Newest {
  let newest: LogLine[] = [];
  let isWhole = true;
  return {
    push(lines) {
      const last = lines.slice(-MOST_LINES);
      const large = last.findLastIndex(({ text }) => text.length > MAX_TAIL_BYTES);
      const all = large >= 0 ? last.slice(large + 1) : [...newest, ...last];
      newest = all.slice(-MOST_LINES);
      isWhole &&= large < 0 && all.length === newest.length && last.length === lines.length && fits(newest);
    },
    isWhole: () => isWhole,
    tail() {
      let first = newest.length;
      for (let bytes = FRAME_BYTES; first > 0; first -= 1) {
        bytes += sizeOf(newest[first - 1] as LogLine);
        if (bytes > MAX_TAIL_BYTES) break;
      }
      const from = newest[first]?.time;
      if (from === undefined) return undefined;
      const fromMs = Date.parse(from);
      const lines = newest.slice(first).map(({ seq, time, stream, text }): LogTail["lines"][number] => {
        return [seq - logBase, Date.parse(time) - fromMs, LETTERS[stream], text];
      });
      return { from, lines, whole: isWhole };
    },
  };
}

function fits(lines: readonly LogLine[]): boolean {
  return lines.reduce((bytes, line) => bytes + sizeOf(line), FRAME_BYTES) <= MAX_TAIL_BYTES;
}

/** Bytes of a line in a tail, not less than it takes: two numbers, its letter, the marks between them. */
function sizeOf({ text }: LogLine): number {
  return Buffer.byteLength(JSON.stringify(text)) + LEAST_LINE_BYTES + 16;
}

/** The lines of an attempt's log that rest in the ledger; none for an attempt whose item holds no tail. */
function tailLines({ attempt, logBase, logTail }: AttemptRecord): LogLine[] {
  if (logTail === undefined) return [];
  const fromMs = Date.parse(logTail.from);
  return logTail.lines.map(([n, ms, letter, text]) => {
    const time = new Date(fromMs + ms).toISOString();
    return { seq: logBase + n, time, stream: STREAMS[letter], text, attempt };
  });
}

/** An attempt's lines with a seq above `after`, where the ledger holds all of them. */
export function linesInLedger(attempt: AttemptRecord, after: number): LogLine[] | undefined {
  if (attempt.logTail === undefined) return undefined;
  const lines = tailLines(attempt);
  const isCovered = attempt.logTail.whole || after + 1 >= (lines[0]?.seq ?? Infinity);
  return isCovered ? lines.filter(({ seq }) => seq > after) : undefined;
}

/**
 * The newest `count` lines of a job with a seq above `after`, if the ledger holds them: its attempts are collected, and
 * their tails reach back so far. Undefined: they must be read from where they are.
 */
export async function newestLines(
  ctx: EngineContext,
  { jobId }: JobRecord,
  { count, after }: { count: number; after: number },
): Promise<LogLine[] | undefined> {
  const newest: LogLine[] = [];
  const attempts = await readAttempts(ctx.ledger, jobId);
  if (attempts.some(({ logLines, externalRef }) => logLines === null && externalRef !== null)) return undefined;
  for (const attempt of attempts.toReversed()) {
    if (newest.length >= count || attempt.logBase + (attempt.logLines ?? 0) <= after) break;
    if (!attempt.logLines) continue;
    newest.unshift(...tailLines(attempt).filter(({ seq }) => seq > after));
    const isEnough = newest.length >= count || linesInLedger(attempt, after) !== undefined;
    if (!isEnough) return undefined;
  }
  return count === 0 ? [] : newest.slice(-count);
}
