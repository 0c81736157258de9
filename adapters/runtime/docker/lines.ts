import { LongshoreError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/ports/clock.ts";
import type { RuntimeLine } from "../../../engine/ports/runtime.ts";

/** The most bytes of one line; what is longer goes on in the next. */
export const MAX_LINE_BYTES = 1024 * 1024;
const HEADER_BYTES = 8;
/** The engine's own messages have 16 KiB; anything near this is no frame but garbage. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;
/** The third is the engine's own: what kept it from reading its log. */
const STREAMS = { 1: "stdout", 2: "stderr", 3: "system" } as const;
/** The engine's own words name files of its machine. */
const NOT_READ = "Docker could not read its log here: lines may be missing";
const NEWLINE = 0x0a;
const RETURN = 0x0d;

type Stream = "stdout" | "stderr";

/**
 * One message of the json-file driver: at most 16 KiB of a line; only the last of a line ends with a newline. One of
 * `system` is an error of the engine, as a sentence without a time.
 */
interface Message {
  stream: RuntimeLine["stream"];
  payload: Buffer;
}

/**
 * Takes the engine's multiplexed log apart: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerAttach
 * Holds one frame at most.
 * @throws LongshoreError UNKNOWN for bytes that are no frames.
 */
export async function* readFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Message, void, undefined> {
  let chunks: Uint8Array[] = [];
  let size = 0;
  let wanted = HEADER_BYTES;
  let stream: Message["stream"] | undefined;
  for await (const chunk of source) {
    chunks.push(chunk);
    size += chunk.length;
    if (size < wanted) continue;
    let buffer: Buffer = Buffer.concat(chunks, size);
    while (buffer.length >= wanted) {
      const part = buffer.subarray(0, wanted);
      buffer = buffer.subarray(wanted);
      if (stream === undefined) {
        ({ stream, wanted } = header(part));
      } else {
        yield { stream, payload: part };
        stream = undefined;
        wanted = HEADER_BYTES;
      }
    }
    chunks = [buffer];
    size = buffer.length;
  }
  if (size > 0 || stream !== undefined) throw garbage("the log was cut off inside a message");
}

function header(bytes: Buffer): Pick<Message, "stream"> & { wanted: number } {
  const stream = STREAMS[bytes[0] as 1 | 2 | 3];
  const wanted = bytes.readUInt32BE(4);
  if (stream === undefined || bytes[1] !== 0 || bytes[2] !== 0 || bytes[3] !== 0 || wanted > MAX_FRAME_BYTES) {
    throw garbage("the log is not in Docker's format");
  }
  return { stream, wanted };
}

function garbage(message: string): LongshoreError {
  return new LongshoreError("UNKNOWN", message);
}

interface Pending {
  parts: Buffer[];
  bytes: number;
  time: string;
}

/** Puts messages together to numbered lines. Numbers depend on the log alone, so reading again gives them again. */
export interface LineJoiner {
  /** The lines that the message completes. */
  push(message: Message): RuntimeLine[];
  /** What was left without a newline when the container ended. */
  end(): RuntimeLine[];
}

/**
 * A joiner for one reading of a log from its beginning. Errors of the engine that follow each other are one line, so
 * that how often it tried again changes no number; it has the time of what came before, or else the present one.
 */
export function createLineJoiner(now: Clock = Date.now): LineJoiner {
  let n = 0;
  let lastTime: string | undefined;
  let isBroken = false;
  // Insertion order: what began first is numbered first at the end.
  const pending = new Map<Stream, Pending>();
  const line = (stream: Stream, { parts, bytes, time }: Pending): RuntimeLine => {
    n += 1;
    return { n, time, stream, text: Buffer.concat(parts, bytes).toString("utf8") };
  };
  return {
    push({ stream, payload }) {
      if (stream === "system") {
        if (isBroken) return [];
        isBroken = true;
        n += 1;
        return [{ n, time: lastTime ?? new Date(now()).toISOString(), stream, text: NOT_READ }];
      }
      const { time, body } = stamped(payload);
      lastTime = time;
      isBroken = false;
      const lines: RuntimeLine[] = [];
      const complete = body.at(-1) === NEWLINE;
      const current: Pending = pending.get(stream) ?? { parts: [], bytes: 0, time };
      const text = complete ? body.subarray(0, -1) : body;
      current.parts.push(text);
      current.bytes += text.length;
      if (complete) dropReturn(current);
      while (current.bytes > MAX_LINE_BYTES) {
        const all = Buffer.concat(current.parts, current.bytes);
        const cut = characterStart(all, MAX_LINE_BYTES);
        lines.push(line(stream, { parts: [all.subarray(0, cut)], bytes: cut, time: current.time }));
        current.parts = [all.subarray(cut)];
        current.bytes -= cut;
        current.time = time;
      }
      if (complete) {
        lines.push(line(stream, current));
        pending.delete(stream);
      } else {
        pending.set(stream, current);
      }
      return lines;
    },
    end() {
      const lines = [...pending].map(([stream, rest]) => line(stream, rest));
      pending.clear();
      return lines;
    },
  };
}

/** The time that `timestamps=1` puts before every message, and what follows it. */
function stamped(payload: Buffer): { time: string; body: Buffer } {
  const space = payload.indexOf(0x20);
  const ms = space < 0 ? Number.NaN : Date.parse(payload.toString("latin1", 0, space));
  if (Number.isNaN(ms)) throw garbage("a message of the log has no time");
  return { time: new Date(ms).toISOString(), body: payload.subarray(space + 1) };
}

/** `\r\n` ends a line as `\n` does; the return may stand in the message before. */
function dropReturn(pending: Pending): void {
  for (let index = pending.parts.length - 1; index >= 0; index -= 1) {
    const part = pending.parts[index];
    if (part === undefined || part.length === 0) continue;
    if (part.at(-1) !== RETURN) return;
    pending.parts[index] = part.subarray(0, -1);
    pending.bytes -= 1;
    return;
  }
}

/** The last place at or before `limit` where a UTF-8 character begins; `limit` when the bytes are no UTF-8 anyway. */
function characterStart(bytes: Buffer, limit: number): number {
  for (let at = limit; at > limit - 4; at -= 1) {
    if (((bytes[at] ?? 0) & 0xc0) !== 0x80) return at;
  }
  return limit;
}
