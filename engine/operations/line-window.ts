import { budgetBytes, type LogLine } from "./log-line.ts";

export interface WindowLimits {
  maxLines: number;
  /** One line is kept however large it is. */
  maxBytes: number;
}

/** The newest lines of a log that is being followed, for readers of different pace. */
export interface LineWindow {
  /** Lines up to this seq are not here (any more). */
  readonly floor: number;
  /** The seq of the newest line; `floor` as long as there was none. */
  readonly last: number;
  readonly lines: number;
  /** What the lines count against a budget. */
  readonly bytes: number;
  /** Takes the next line; returns what it counts against a budget, bytes. */
  push(line: LogLine): number;
  /** The lines behind a seq, as many as limits allow and one at least; undefined when some of them are not here. */
  after(seq: number, limits: WindowLimits): LogLine[] | undefined;
  /** How much is here behind a seq. */
  lag(seq: number): { lines: number; bytes: number };
}

/** Dropped places are cut off only when they are many, and more than what is kept: constant time a line. */
const MIN_CUT = 1024;

interface Place {
  line: LogLine;
  /** Bytes of all lines so far, this one with them. */
  upTo: number;
}

/** A window that begins behind the line `from`. */
export function createLineWindow(from: number, { maxLines, maxBytes }: WindowLimits): LineWindow {
  let places: (Place | undefined)[] = [];
  let head = 0;
  let floor = from;
  let last = from;
  let total = 0;
  let dropped = 0;

  const at = (index: number) => places[index] as Place;
  const upToBefore = (index: number) => (index === head ? dropped : at(index - 1).upTo);
  /** Where the first line behind a seq is. */
  function indexAfter(seq: number): number {
    let [low, high] = [head, places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (at(middle).line.seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    get floor() {
      return floor;
    },
    get last() {
      return last;
    },
    get lines() {
      return places.length - head;
    },
    get bytes() {
      return total - dropped;
    },
    push(line) {
      const size = budgetBytes(line);
      total += size;
      places.push({ line, upTo: total });
      last = line.seq;
      for (let kept = places.length - head; kept > maxLines || (total - dropped > maxBytes && kept > 1); kept -= 1) {
        ({
          upTo: dropped,
          line: { seq: floor },
        } = at(head));
        places[head] = undefined;
        head += 1;
      }
      if (head > MIN_CUT && head * 2 > places.length) {
        places = places.slice(head);
        head = 0;
      }
      return size;
    },
    after(seq, limits) {
      if (seq < floor) return undefined;
      const lines: LogLine[] = [];
      const first = indexAfter(seq);
      const before = upToBefore(first);
      for (let index = first; index < places.length; index += 1) {
        const { line, upTo } = at(index);
        if (lines.length > 0 && (lines.length === limits.maxLines || upTo - before > limits.maxBytes)) break;
        lines.push(line);
      }
      return lines;
    },
    lag(seq) {
      const first = indexAfter(seq);
      return { lines: places.length - first, bytes: total - upToBefore(first) };
    },
  };
}
