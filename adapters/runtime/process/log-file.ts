import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import type { RuntimeLine } from "../../../engine/ports/runtime.ts";
import { errorCode } from "./records.ts";

/** The room beside twice the spec's budget: for the numbers and times of the lines. */
const ROOM_BYTES = 64 * 1024;
const LETTERS = { stdout: "o", stderr: "e", system: "s" } as const;
const STREAMS: Readonly<Record<string, RuntimeLine["stream"]>> = { o: "stdout", e: "stderr", s: "system" };

/**
 * The attempt's log on the disk, one line each: the stream's letter, the time in milliseconds since the epoch, a
 * space, the text. A line's number is its place in the file, from 1, so it has no gaps and never changes.
 */
export interface LogFile {
  append(stream: RuntimeLine["stream"], texts: readonly string[]): void;
  /** Syncs and closes. Idempotent. */
  close(): void;
}

/**
 * Opens the log for the one who writes it. It keeps at most `2 × maxBytes` and 64 KiB, then one `system` line that
 * says so; what comes after is dropped. A disk that takes nothing more ends the log, not the job: the file then ends
 * with its last whole line.
 */
export function openLogFile(path: string, maxBytes: number, now: () => number = Date.now): LogFile {
  const limit = maxBytes * 2 + ROOM_BYTES;
  const fd = openSync(path, "ax", 0o600);
  let written = 0;
  let state: "open" | "full" | "closed" = "open";

  function write(text: string): void {
    const bytes = Buffer.from(text);
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      written += bytes.length;
    } catch (error) {
      if (!["ENOSPC", "EDQUOT", "EFBIG", "EIO"].includes(errorCode(error) ?? "")) throw error;
      state = "full";
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
      state = "closed";
      try {
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** One line of the file as a line of output; undefined for what is none. */
export function parseLogLine(n: number, line: string): RuntimeLine | undefined {
  const stream = STREAMS[line.slice(0, 1)];
  const space = line.indexOf(" ");
  const time = new Date(Number(line.slice(1, space)));
  if (stream === undefined || space < 2 || Number.isNaN(time.getTime())) return undefined;
  return { n, time: time.toISOString(), stream, text: line.slice(space + 1) };
}
