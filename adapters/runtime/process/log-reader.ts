import { type FileHandle, open } from "node:fs/promises";
import { LongshoreError } from "../../../engine/errors.ts";
import type { RuntimeLine } from "../../../engine/ports/runtime.ts";
import { createLogParser } from "./log-file.ts";
import { errorCode, isAbsent } from "./records.ts";

const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;
const DAMAGED = "this line of the log is damaged and could not be read";
/** What this process or the machine is short of now, and may have again later. */
const SHORTAGES = ["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"];

/** Reads an attempt's log as it grows; several may read one file at their own pace. */
export interface LogReader {
  /** The whole lines that were written since the last call, in batches, without those up to `after`. */
  more(): AsyncIterable<RuntimeLine[]>;
  close(): Promise<void>;
}

/**
 * Opens the log; undefined when there is none. A reader that is open outlives the removal of the file. In the place of
 * a damaged line stands a `system` line: the lines behind it keep their numbers.
 * @throws LongshoreError, also while it reads: RUNTIME_UNAVAILABLE when it may go well later, else UNKNOWN.
 */
export async function openLogReader(path: string, after: number): Promise<LogReader | undefined> {
  const file = await reading(() => opened(path));
  if (file === undefined) return undefined;
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const parse = createLogParser();
  /** What was read of the line that has no end yet: joined once, when the end is there. */
  let pieces: Buffer[] = [];
  let position = 0;
  let n = 0;
  /** Of the line before; what has none before it is as old as the file. */
  let time = await reading(async () => (await file.stat()).birthtime.toISOString());

  function linesOf(bytes: Buffer): RuntimeLine[] {
    const lines: RuntimeLine[] = [];
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      const whole = bytes.subarray(0, end);
      const text = (pieces.length === 0 ? whole : Buffer.concat([...pieces, whole])).toString("utf8");
      pieces = [];
      let from = 0;
      for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
        n += 1;
        if (n > after) {
          const line = parse(n, text.slice(from, at)) ?? { n, time, stream: "system", text: DAMAGED };
          time = line.time;
          lines.push(line);
        }
        from = at + 1;
      }
    }
    // A copy: the chunk is read into again.
    if (end < bytes.length) pieces.push(Buffer.from(bytes.subarray(end)));
    return lines;
  }

  return {
    async *more() {
      for (;;) {
        const { bytesRead } = await reading(() => file.read(chunk, 0, CHUNK_BYTES, position));
        if (bytesRead === 0) return;
        position += bytesRead;
        const lines = linesOf(chunk.subarray(0, bytesRead));
        if (lines.length > 0) yield lines;
      }
    },
    close: async () => await file.close(),
  };
}

async function opened(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Runs a call of the file system; its failure says the system's code and no path. */
async function reading<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    const providerCode = errorCode(cause) ?? null;
    const code = SHORTAGES.includes(providerCode ?? "") ? "RUNTIME_UNAVAILABLE" : "UNKNOWN";
    throw new LongshoreError(code, `process: the log cannot be read (${providerCode})`, { cause, providerCode });
  }
}
