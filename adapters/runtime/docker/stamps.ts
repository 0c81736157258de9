import { garbage } from "./frames.ts";

const SPACE = 0x20;
const POINT = 0x2e;
const ZERO = 0x30;
const LETTER_Z = 0x5a;
/** `2026-01-02T03:04:05`, then `.678901234Z`: the engine writes nine digits, always, and UTC. */
const SECONDS_BYTES = 19;
const STAMP_BYTES = 30;

/** Reads the times that `timestamps=1` puts before every message. Most have the second of the one before. */
export interface StampReader {
  /**
   * Reads the time at `start`; gives the place behind it and its space.
   * @throws LongshoreError UNKNOWN when there is no time.
   */
  read(bytes: Buffer, start: number, end: number): number;
  /** The time read last, RFC 3339 in milliseconds; undefined before the first. */
  last(): string | undefined;
}

export function createStampReader(): StampReader {
  /** The bytes of the second that was read last, and what its milliseconds are as text, as far as they were asked for. */
  const second = Buffer.alloc(SECONDS_BYTES);
  let prefix = "";
  let times: (string | undefined)[] = [];
  let last: string | undefined;

  function isSameSecond(bytes: Buffer, start: number): boolean {
    // From the end: there it differs first.
    for (let at = SECONDS_BYTES - 1; at >= 0; at -= 1) if (bytes[start + at] !== second[at]) return false;
    return prefix !== "";
  }

  function slowly(bytes: Buffer, start: number, end: number): number {
    const space = bytes.subarray(start, end).indexOf(SPACE);
    const ms = space < 0 ? Number.NaN : Date.parse(bytes.toString("latin1", start, start + space));
    if (Number.isNaN(ms)) throw garbage("a message of the log has no time");
    last = new Date(ms).toISOString();
    if (space === STAMP_BYTES && bytes.toString("latin1", start, start + SECONDS_BYTES) === last.slice(0, -5)) {
      bytes.copy(second, 0, start, start + SECONDS_BYTES);
      prefix = last.slice(0, -4);
      times = [];
    }
    return start + space + 1;
  }

  return {
    read(bytes, start, end) {
      if (end - start <= STAMP_BYTES || !isSameSecond(bytes, start)) return slowly(bytes, start, end);
      const ms = fraction(bytes, start + SECONDS_BYTES);
      if (ms < 0) return slowly(bytes, start, end);
      let time = times[ms];
      if (time === undefined) {
        time = `${prefix}${String(ms).padStart(3, "0")}Z`;
        times[ms] = time;
      }
      last = time;
      return start + STAMP_BYTES + 1;
    },
    last: () => last,
  };
}

/** The milliseconds of `.678901234Z `; -1 for anything else. */
function fraction(bytes: Buffer, at: number): number {
  if (bytes[at] !== POINT || bytes[at + 10] !== LETTER_Z || bytes[at + 11] !== SPACE) return -1;
  let ms = 0;
  for (let digit = 1; digit <= 9; digit += 1) {
    const value = (bytes[at + digit] as number) - ZERO;
    if (value < 0 || value > 9) return -1;
    if (digit <= 3) ms = ms * 10 + value;
  }
  return ms;
}
