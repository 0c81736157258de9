import type { Clock } from "../../../engine/ports/clock.ts";
import type { RuntimeLine } from "../../../engine/ports/runtime.ts";
import { createFrameReader } from "./frames.ts";
import { createStampReader } from "./stamps.ts";

/** The most bytes of one line; what is longer goes on in the next. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** So much of the rest is waited for before a piece of a longer line is given: a secret value may reach into it. */
const AHEAD_BYTES = MAX_LINE_BYTES;
/** The engine's own words name files of its machine. */
const NOT_READ = "Docker could not read its log here: lines may be missing";
const NEWLINE = 0x0a;
const RETURN = 0x0d;

type Stream = "stdout" | "stderr";

/** What came of a line so far; a message of the json-file driver has at most 16 KiB, and only a line's last a newline. */
interface Pending {
  parts: Buffer[];
  bytes: number;
  time: string;
  /** The piece of the same line that was given before. */
  before?: string;
}

/** Puts the engine's log together to numbered lines. Numbers depend on the log alone, so reading again gives them again. */
export interface LineReader {
  /** The lines that the bytes complete, as far as they are a log. */
  push(chunk: Uint8Array): RuntimeLine[];
  /**
   * To be called when those lines have been taken: however the bytes come, it is the same lines that come before it.
   * @throws LongshoreError UNKNOWN when what followed them is no log.
   */
  check(): void;
  /**
   * What was left without a newline when the container ended.
   * @throws LongshoreError UNKNOWN when the bytes ended inside a message.
   */
  end(): RuntimeLine[];
}

/**
 * A reader for one reading of a log from its beginning. Errors of the engine that follow each other are one line, so
 * that how often it tried again changes no number; it has the time of what came before, or else the present one.
 */
export function createLineReader(now: Clock = Date.now): LineReader {
  let n = 0;
  let lines: RuntimeLine[] = [];
  let isBroken = false;
  let failure: { error: unknown } | undefined;
  const stamps = createStampReader();
  // Insertion order: what began first is numbered first at the end.
  const pending = new Map<Stream, Pending>();

  function add(stream: RuntimeLine["stream"], time: string, text: string): void {
    n += 1;
    lines.push({ n, time, stream, text });
  }

  /** A piece of a line that is not whole, or not for one message. */
  function join(stream: Stream, piece: Buffer, { time, isLast }: { time: string; isLast: boolean }): void {
    const current: Pending = pending.get(stream) ?? { parts: [], bytes: 0, time };
    // A copy: what is kept would keep all of its chunk.
    current.parts.push(Buffer.from(piece));
    current.bytes += piece.length;
    if (!isLast) {
      pending.set(stream, current);
      while (current.bytes > MAX_LINE_BYTES + AHEAD_BYTES) addPiece(stream, current, time);
      return;
    }
    dropReturn(current);
    addRest(stream, current, time);
  }

  /** @param time of what follows the piece. */
  function addPiece(stream: Stream, line: Pending, time: string): void {
    const all = Buffer.concat(line.parts, line.bytes);
    const cut = characterStart(all, MAX_LINE_BYTES);
    const text = all.toString("utf8", 0, cut);
    const around = { before: line.before ?? "", after: all.toString("utf8", cut, cut + AHEAD_BYTES) };
    n += 1;
    lines.push({ n, time: line.time, stream, text, around });
    line.parts = [all.subarray(cut)];
    line.bytes -= cut;
    line.time = time;
    line.before = text;
  }

  /** A line that has its end. */
  function addRest(stream: Stream, line: Pending, time: string): void {
    while (line.bytes > MAX_LINE_BYTES) addPiece(stream, line, time);
    add(stream, line.time, Buffer.concat(line.parts, line.bytes).toString("utf8"));
    if (line.before !== undefined) (lines.at(-1) as RuntimeLine).around = { before: line.before, after: "" };
    pending.delete(stream);
  }

  const frames = createFrameReader(({ stream, bytes, start, end }) => {
    if (stream === "system") {
      if (isBroken) return;
      isBroken = true;
      return add(stream, stamps.last() ?? new Date(now()).toISOString(), NOT_READ);
    }
    isBroken = false;
    const from = stamps.read(bytes, start, end);
    const time = stamps.last() as string;
    const isLast = end > from && bytes[end - 1] === NEWLINE;
    const to = isLast ? end - 1 : end;
    if (!isLast || to - from > MAX_LINE_BYTES || pending.has(stream)) {
      return join(stream, bytes.subarray(from, to), { time, isLast });
    }
    add(stream, time, bytes.toString("utf8", from, to > from && bytes[to - 1] === RETURN ? to - 1 : to));
  });

  const taken = (): RuntimeLine[] => {
    const all = lines;
    lines = [];
    return all;
  };
  return {
    push(chunk) {
      try {
        frames.push(chunk);
      } catch (error) {
        failure = { error };
      }
      return taken();
    },
    check() {
      if (failure !== undefined) throw failure.error;
    },
    end() {
      frames.end();
      for (const [stream, rest] of [...pending]) addRest(stream, rest, rest.time);
      return taken();
    },
  };
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
