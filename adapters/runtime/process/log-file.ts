import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import type { RuntimeLine } from "../../../engine/ports/runtime.ts";
import { errorCode, isDiskShut } from "./records.ts";

/** The room beside twice the spec's budget: for the numbers and times of the lines. */
const ROOM_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
const LETTERS = { stdout: "o", stderr: "e", system: "s" } as const;
const STREAMS: Readonly<Record<string, RuntimeLine["stream"]>> = { o: "stdout", e: "stderr", s: "system" };

/**
 * The attempt's log on the disk, one line each: the stream's letter, the time in milliseconds since the epoch, a
 * space, the text. A line's number is its place in the file, from 1, so it has no gaps and never changes.
 */
export interface LogFile {
  append(stream: RuntimeLine["stream"], texts: readonly string[]): void;
  /**
   * Syncs and closes. Idempotent.
   * @throws Error of the file system, and stays open, while the disk does not take the line that says what is missing.
   */
  close(): void;
}

/**
 * Opens the log for the one who writes it. It keeps at most `2 × maxBytes` and 64 KiB, then one `system` line that
 * says so; what comes after is dropped. A disk that takes nothing more ends the log, not the job: what follows is
 * dropped, and `close` adds a `system` line that says so.
 */
export function openLogFile(path: string, maxBytes: number, now: () => number = Date.now): LogFile {
  const limit = maxBytes * 2 + ROOM_BYTES;
  const fd = openSync(path, "ax", 0o600);
  let written = 0;
  let state: "open" | "full" | "closed" = "open";
  /** What has to be written before the log may be closed. */
  let owed: Buffer = Buffer.alloc(0);

  function write(text: string): void {
    const bytes = Buffer.from(text);
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(fd, bytes, done);
      written += bytes.length;
    } catch (error) {
      const isForGood = errorCode(error) === "EFBIG";
      if (!isForGood && !isDiskShut(error)) throw error;
      state = "full";
      if (isForGood) return;
      // Never taken back: somebody may have read it. A line that is half there gets its end, so that the note is one.
      const isWhole = done === 0 || bytes[done - 1] === NEWLINE;
      owed = Buffer.from(`${isWhole ? "" : "\n"}s${now()} the rest of the output was dropped: the disk was full\n`);
    }
  }

  return {
    append(stream, texts) {
      if (state !== "open" || texts.length === 0) return;
      const head = `${LETTERS[stream]}${now()} `;
      let batch = "";
      let size = written;
      for (const text of texts) {
        const line = `${head}${text}\n`;
        size += Buffer.byteLength(line);
        if (size > limit) {
          const note = `the rest of the output was dropped: the log on the runtime is limited to ${limit} bytes`;
          write(`${batch}s${now()} ${note}\n`);
          state = "full";
          return;
        }
        batch += line;
      }
      write(batch);
    },
    close() {
      if (state === "closed") return;
      while (owed.length > 0) owed = owed.subarray(writeSync(fd, owed));
      state = "closed";
      try {
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** Makes lines of output of the file's lines; undefined for what is none. Give it those of one file, in their order. */
export function createLogParser(): (n: number, line: string) => RuntimeLine | undefined {
  // Many lines come at one moment, and its time is written once for all of them.
  let lastStamp = "";
  let lastTime = "";
  return (n, line) => {
    const stream = STREAMS[line.charAt(0)];
    const space = line.indexOf(" ");
    if (stream === undefined || space < 2) return undefined;
    const stamp = line.slice(1, space);
    if (stamp !== lastStamp) {
      const time = new Date(Number(stamp));
      if (Number.isNaN(time.getTime())) return undefined;
      lastStamp = stamp;
      lastTime = time.toISOString();
    }
    return { n, time: lastTime, stream, text: line.slice(space + 1) };
  };
}
