import { createLineWindow, type WindowLimits } from "./line-window.ts";
import type { LogLine } from "./log-line.ts";

/** Opens a log behind a seq; what it returns is the line that stands for what cannot be read. */
export type LogSource = (after: number, signal: AbortSignal) => AsyncGenerator<LogLine[], LogLine | undefined, void>;

/** How the reading of a log ended. */
export type Outcome = { note: LogLine | undefined } | { error: unknown };

/** One who reads a shared log. */
export interface LogReader {
  /** The seq of the last line that he has; he sets it where he has read on by himself. */
  position: number;
  /** The lines behind his position, which moves on; none when nothing is new, undefined when some of them are not here. */
  take(): LogLine[] | undefined;
  /** Whether all that follows his position is here, or has yet to come. */
  isMet(): boolean;
  /** Set when no line will come any more but those that are here. */
  readonly outcome: Outcome | undefined;
  /** Resolves when there is something new, or when he is woken. */
  news(): Promise<void>;
  wake(): void;
  /** When nobody is left the log is let go. Idempotent. */
  leave(): void;
}

/** A log that is read once for many. */
export interface SharedLog {
  join(position: number): LogReader;
  readonly readers: number;
  /** What is kept of it. */
  readonly lines: number;
  readonly bytes: number;
}

export interface SharedLogOptions {
  /** What is kept for readers. */
  window: WindowLimits;
  /** What a reader takes at a time. */
  batch: WindowLimits;
  /** Called once, when the reading has ended or nobody is left. */
  onOver(): void;
}

interface Seat {
  position: number;
  wake(): void;
}

/**
 * A log that is read when somebody has joined, from his position on. The reading is no further ahead of the foremost
 * reader than about half the window: whoever takes what comes loses nothing, and who is slow holds up nobody.
 */
export function createSharedLog(source: LogSource, from: number, options: SharedLogOptions): SharedLog {
  const limits = options.window;
  const stepLines = Math.ceil(limits.maxLines / 4);
  const stepBytes = Math.ceil(limits.maxBytes / 4);
  const seats = new Set<Seat>();
  let window = createLineWindow(from, limits);
  let stop: AbortController | undefined;
  let outcome: Outcome | undefined;
  let goOn = (): void => undefined;

  const wakeAll = () => {
    for (const seat of seats) seat.wake();
  };

  function start(): void {
    const mine = new AbortController();
    stop = mine;
    const ended = (how: Outcome) => {
      // Who let the log go has no use for how that went.
      if (mine.signal.aborted) return;
      outcome = how;
      options.onOver();
      wakeAll();
    };
    read(mine.signal).then(
      (note) => ended({ note }),
      (error: unknown) => ended({ error }),
    );
  }

  function letGo(): void {
    stop?.abort();
    goOn();
  }

  async function read(signal: AbortSignal): Promise<LogLine | undefined> {
    let note: LogLine | undefined;
    async function* batches() {
      note = yield* source(window.last, signal);
    }
    for await (const batch of batches()) {
      let [lines, bytes] = [0, 0];
      for (const line of batch) {
        if (lines >= stepLines || bytes >= stepBytes) {
          await room(signal);
          if (signal.aborted) return undefined;
          [lines, bytes] = [0, 0];
        }
        bytes += window.push(line);
        lines += 1;
      }
      wakeAll();
      await room(signal);
      if (signal.aborted) return undefined;
    }
    return note;
  }

  /** Resolves when the foremost reader is near enough, or when the log is let go. */
  async function room(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let foremost = 0;
      for (const { position } of seats) foremost = Math.max(foremost, position);
      const ahead = window.lag(foremost);
      if (ahead.lines <= limits.maxLines / 2 && ahead.bytes <= limits.maxBytes / 2) return;
      const taken = Promise.withResolvers<void>();
      goOn = taken.resolve;
      wakeAll();
      await taken.promise;
    }
  }

  function join(position: number): LogReader {
    let bell: PromiseWithResolvers<void> | undefined;
    const reader: LogReader = {
      position,
      take() {
        const lines = window.after(reader.position, options.batch);
        const last = lines?.at(-1);
        if (last !== undefined) {
          reader.position = last.seq;
          goOn();
        }
        return lines;
      },
      isMet: () => reader.position >= window.floor,
      get outcome() {
        return outcome;
      },
      async news() {
        bell = Promise.withResolvers();
        await bell.promise;
      },
      wake: () => bell?.resolve(),
      leave() {
        if (!seats.delete(reader)) return;
        // The one who was foremost may have been the only one that was not too far behind.
        goOn();
        if (seats.size > 0 || outcome !== undefined) return;
        letGo();
        options.onOver();
      },
    };
    seats.add(reader);
    goOn();
    if (stop === undefined) start();
    else if (position < window.floor && window.lines === 0 && outcome === undefined) {
      // It was opened for somebody who waits for what comes later; so far nobody has been given anything.
      letGo();
      window = createLineWindow(position, limits);
      start();
    }
    return reader;
  }

  return {
    join,
    get readers() {
      return seats.size;
    },
    get lines() {
      return window.lines;
    },
    get bytes() {
      return window.bytes;
    },
  };
}
