import type { EngineContext } from "../context.ts";
import type { AttemptRecord, JobRecord } from "../ledger/records.ts";
import { attemptLines } from "./attempt-log.ts";
import type { WindowLimits } from "./line-window.ts";
import type { LogLine } from "./log-line.ts";
import { createSharedLog, type LogReader, type SharedLog } from "./shared-log.ts";

export interface LiveOptions {
  /** Lines of an attempt that are kept for its readers; default 1,000. */
  maxLines?: number;
  /** What these count against a budget at most, bytes; default 4 MiB. */
  maxBytes?: number;
}

/** An attempt whose log is followed, as it was read last. */
export interface AttemptOf {
  job: JobRecord;
  attempt: AttemptRecord;
}

export interface LiveStats {
  /** Logs that are open on their runtimes to be followed: one for each attempt that has readers. */
  streams: number;
  readers: number;
  /** Readers that are so far behind that each reads for himself at the moment. */
  behind: number;
  /** What is kept for all of them. */
  lines: number;
  bytes: number;
}

/** The logs of attempts that go on, each followed once for all its readers in this process. */
export interface LiveLogs {
  /**
   * The lines of an attempt with a seq above `after`, and those to come, in batches, until the runtime says no more or
   * `signal` aborts. It ends early too, where what a reader has missed is gone from the runtime: it is stored then, or
   * about to be. Returns what `attemptLines` returns.
   * @throws what `attemptLines` throws.
   */
  follow(
    of: AttemptOf,
    query: { after: number; signal: AbortSignal },
  ): AsyncGenerator<LogLine[], LogLine | undefined, void>;
  stats(): LiveStats;
}

const BATCH: WindowLimits = { maxLines: 250, maxBytes: 256 * 1024 };
const WINDOW: WindowLimits = { maxLines: 1000, maxBytes: 4 * 1024 * 1024 };

/**
 * Follows logs so that one reading of a runtime's log serves all its readers: the newest lines are kept in a window. Who
 * comes late, or falls further behind than the window reaches, reads the runtime's log for himself until he meets the
 * window: he takes the memory of one batch. A line has the same seq from either, which is how the two are joined: none is
 * lost, none comes twice. When the last reader has left, the runtime's log is let go.
 */
export function createLiveLogs(ctx: EngineContext, options: LiveOptions = {}): LiveLogs {
  const window = { ...WINDOW, ...options };
  const open = new Map<string, SharedLog>();
  let behind = 0;

  /** An attempt's lines from its runtime, by their seqs. */
  const lines = (of: AttemptOf, after: number, rest: { follow: boolean; signal: AbortSignal }) =>
    attemptLines(ctx, of, { ...rest, after: Math.max(0, after - of.attempt.logBase) });

  function shared(of: AttemptOf, after: number): SharedLog {
    const key = `${of.job.jobId}#${of.attempt.attempt}`;
    const found = open.get(key);
    if (found !== undefined) return found;
    const made: SharedLog = createSharedLog((from, signal) => lines(of, from, { follow: true, signal }), after, {
      window,
      batch: BATCH,
      onOver() {
        if (open.get(key) === made) open.delete(key);
      },
    });
    open.set(key, made);
    return made;
  }

  /** Reads what is there by now, until the reader has come to what is kept. */
  async function* catchUp(of: AttemptOf, reader: LogReader, signal: AbortSignal) {
    let note: LogLine | undefined;
    async function* batches() {
      note = yield* lines(of, reader.position, { follow: false, signal });
    }
    behind += 1;
    try {
      for await (const batch of batches()) {
        reader.position = batch.at(-1)?.seq ?? reader.position;
        yield batch;
        if (reader.isMet()) return undefined;
      }
      return note;
    } finally {
      behind -= 1;
    }
  }

  async function* follow(
    of: AttemptOf,
    { after, signal }: { after: number; signal: AbortSignal },
  ): AsyncGenerator<LogLine[], LogLine | undefined, void> {
    if (of.attempt.externalRef === null || signal.aborted) return undefined;
    const reader = shared(of, after).join(after);
    signal.addEventListener("abort", reader.wake, { once: true });
    try {
      while (!signal.aborted) {
        const batch = reader.take();
        const { outcome, position } = reader;
        if (batch === undefined) {
          const note = yield* catchUp(of, reader, signal);
          // What cannot be read on is gone from the runtime: where it went the ledger knows.
          if (note !== undefined || reader.position === position) return note;
        } else if (batch.length > 0) yield batch;
        else if (outcome === undefined) await reader.news();
        else if ("error" in outcome) throw outcome.error;
        else return outcome.note !== undefined && outcome.note.seq > position ? outcome.note : undefined;
      }
      return undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    } finally {
      signal.removeEventListener("abort", reader.wake);
      reader.leave();
    }
  }

  return {
    follow,
    stats() {
      const all = [...open.values()];
      const sum = (of: (log: SharedLog) => number) => all.reduce((total, log) => total + of(log), 0);
      return {
        streams: all.length,
        readers: sum((log) => log.readers),
        behind,
        lines: sum((log) => log.lines),
        bytes: sum((log) => log.bytes),
      };
    },
  };
}
