import type { RuntimeLine } from "../../../engine/ports/runtime.ts";
import type { World } from "./world.ts";

/** A log on the runtime that a test writes, and what is read of it. */
export interface GrowingLog {
  /** Lines so far. */
  readonly length: number;
  write(count: number, text?: (n: number) => string): void;
  /** The attempt has ended: whoever follows hears no more. */
  end(): void;
  /** The runtime has nothing of it any more, and whoever follows hears no more. */
  remove(): void;
  /** Breaks what is open with an error. */
  fail(error: Error): void;
  /** Readings that follow, of all that were opened, and those that are open now. */
  readonly opened: { follows: number; reads: number; open: number };
  /** How far the reading that follows has come. */
  readonly read: number;
}

const BATCH = 100;

const lineOf = (n: number, text = `line ${n}`): RuntimeLine => ({
  n,
  time: "2026-03-04T05:06:08.000Z",
  stream: n % 3 === 0 ? "stderr" : "stdout",
  text,
});

/** Gives the stub of a world a log that grows when the test says so. */
export function growingLog(world: World): GrowingLog {
  let lines: RuntimeLine[] = [];
  let isOver = false;
  let failure: Error | undefined;
  let bell = Promise.withResolvers<void>();
  let read = 0;
  const opened = { follows: 0, reads: 0, open: 0 };
  const ring = () => {
    bell.resolve();
    bell = Promise.withResolvers();
  };
  world.runtime.logs = async function* (_ref, { follow = false, after = 0, signal }) {
    if (follow) opened.follows += 1;
    else opened.reads += 1;
    opened.open += 1;
    const aborted = Promise.withResolvers<void>();
    const onAbort = () => aborted.resolve();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      for (let n = after; ; ) {
        signal?.throwIfAborted();
        if (failure !== undefined) throw failure;
        const batch = lines.slice(n, n + BATCH);
        n += batch.length;
        if (follow) read = n;
        if (batch.length > 0) yield batch;
        else if (!follow || isOver) return;
        else await Promise.race([bell.promise, aborted.promise]);
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      opened.open -= 1;
    }
  };
  return {
    get length() {
      return lines.length;
    },
    write(count, text) {
      for (let i = 0; i < count; i++) lines.push(lineOf(lines.length + 1, text?.(lines.length + 1)));
      ring();
    },
    end() {
      isOver = true;
      ring();
    },
    remove() {
      lines = [];
      isOver = true;
      ring();
    },
    fail(error) {
      failure = error;
      ring();
    },
    opened,
    get read() {
      return read;
    },
  };
}
