import type { JobId } from "../engine/ids.ts";
import type { ChangeFeed } from "../engine/ports/table.ts";
import type { Changes } from "../functions/stream.ts";

export interface LocalChanges extends Changes {
  /** Wakes every subscriber for the last time. */
  close(): void;
}

/** Wakes the readers of streams on every commit that added events: each looks for itself whether it was its job. */
export function createChanges(feed: ChangeFeed): LocalChanges {
  const subscribers = new Set<() => void>();
  const wakeAll = () => {
    for (const wake of subscribers) wake();
  };
  const unsubscribe = feed.subscribe(wakeAll);
  return {
    subscribe(_jobId: JobId) {
      let pending = Promise.withResolvers<void>();
      const wake = () => pending.resolve();
      subscribers.add(wake);
      return {
        async next(signal) {
          signal.addEventListener("abort", wake, { once: true });
          if (signal.aborted) wake();
          await pending.promise;
          signal.removeEventListener("abort", wake);
          pending = Promise.withResolvers<void>();
        },
        end: () => subscribers.delete(wake),
      };
    },
    close() {
      unsubscribe();
      wakeAll();
    },
  };
}
