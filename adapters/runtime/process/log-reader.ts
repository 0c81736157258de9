import { type FileHandle, open } from "node:fs/promises";
import type { RuntimeLine } from "../../../engine/ports/runtime.ts";
import { parseLogLine } from "./log-file.ts";
import { isAbsent } from "./records.ts";

const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** Reads an attempt's log as it grows; several may read one file at their own pace. */
export interface LogReader {
  /** The whole lines that were written since the last call, without those up to `after`. */
  more(): AsyncIterable<RuntimeLine>;
  close(): Promise<void>;
}

/** Opens the log; undefined when there is none. A reader that is open outlives the removal of the file. */
export async function openLogReader(path: string, after: number): Promise<LogReader | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  const chunk = Buffer.alloc(CHUNK_BYTES);
  /** What was read of the line that has no end yet: joined once, when the end is there. */
  let pieces: Buffer[] = [];
  let position = 0;
  let n = 0;

  function* linesOf(bytes: Buffer): Generator<RuntimeLine> {
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
      n += 1;
      if (n > after) {
        const raw = Buffer.concat([...pieces, bytes.subarray(from, at)]).toString("utf8");
        const line = parseLogLine(n, raw);
        if (line === undefined) throw new Error(`line ${n} of the attempt's log is damaged`);
        yield line;
      }
      pieces = [];
      from = at + 1;
    }
    // A copy: the chunk is read into again.
    if (from < bytes.length) pieces.push(Buffer.from(bytes.subarray(from)));
  }

  return {
    async *more() {
      for (;;) {
        const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        // Whole before it is yielded: a consumer that stops in between must not lose the rest of the chunk.
        yield* [...linesOf(chunk.subarray(0, bytesRead))];
      }
    },
    close: async () => await file.close(),
  };
}
