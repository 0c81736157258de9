import { LongshoreError } from "../../../engine/errors.ts";
import type { RuntimeLine } from "../../../engine/ports/runtime.ts";
import type { Changes } from "./changes.ts";
import type { LogReader } from "./log-reader.ts";

interface Subject {
  name: string;
  /** The file or directory whose changes are news. */
  path: string;
  signal?: AbortSignal | undefined;
}

/** Waiting for what lies on the disk to change. */
export interface News {
  /**
   * Resolves with what `look` finds, as soon as it finds something: it looks now and after each change.
   * @throws the signal's reason; LongshoreError RUNTIME_UNAVAILABLE when the adapter is disposed of.
   */
  until<T>(subject: Subject, look: () => Promise<T | undefined>): Promise<T>;
  /** The lines as they come, in batches, until the attempt has ended and the last one is out. */
  follow(
    reader: LogReader,
    at: { name: string; log: string; records: string; signal: AbortSignal | undefined },
    hasEnded: () => Promise<boolean>,
  ): AsyncGenerator<RuntimeLine[]>;
  /** @throws LongshoreError RUNTIME_UNAVAILABLE after `close`. */
  checkOpen(): void;
  close(): void;
}

export function createNews(changes: Changes): News {
  const closing = new AbortController();

  /** A subscription, as a loop wants it: `next` resolves on a change since the last `next` had resolved. */
  function listen(name: string, paths: readonly string[], signal: AbortSignal | undefined) {
    let changed = Promise.withResolvers<void>();
    const wake = (): void => changed.resolve();
    const ends = paths.map((path) => changes.subscribe(name, path, wake));
    signal?.addEventListener("abort", wake);
    closing.signal.addEventListener("abort", wake);
    return {
      async next(): Promise<void> {
        await changed.promise;
        changed = Promise.withResolvers<void>();
      },
      check(): void {
        signal?.throwIfAborted();
        closing.signal.throwIfAborted();
      },
      [Symbol.dispose](): void {
        for (const end of ends) end();
        signal?.removeEventListener("abort", wake);
        closing.signal.removeEventListener("abort", wake);
      },
    };
  }

  return {
    async until({ name, path, signal }, look) {
      signal?.throwIfAborted();
      // Heard before looked: a change between the two is not missed.
      using news = listen(name, [path], signal);
      for (;;) {
        const found = await look();
        news.check();
        if (found !== undefined) return found;
        await news.next();
        news.check();
      }
    },
    async *follow(reader, { name, log, records, signal }, hasEnded) {
      using news = listen(name, [log, records], signal);
      for (;;) {
        // Asked before the reading: the record comes after the last line, so a reading after it has everything.
        const last = await hasEnded();
        for await (const lines of reader.more()) {
          news.check();
          yield lines;
        }
        news.check();
        if (last) return;
        await news.next();
      }
    },
    checkOpen: () => closing.signal.throwIfAborted(),
    close() {
      const gone = new LongshoreError("RUNTIME_UNAVAILABLE", "process: the adapter has been disposed of");
      if (!closing.signal.aborted) closing.abort(gone);
    },
  };
}
