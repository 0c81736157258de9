import type { Logger } from "../engine/ports/logger.ts";

export interface Background {
  run(name: string, work: () => Promise<void>): void;
  /** Resolves when everything that was begun has ended, or after `limitMs`. */
  settle(limitMs: number): Promise<void>;
}

/** Work that nobody waits for. A failure is logged; the reconciler repeats what matters. */
export function createBackground(logger: Logger): Background {
  const running = new Set<Promise<void>>();
  return {
    run(name, work) {
      const done = work()
        .catch((error: unknown) => logger.warn({ work: name, err: error }, "background work failed"))
        .finally(() => running.delete(done));
      running.add(done);
    },
    async settle(limitMs) {
      const limit = Promise.withResolvers<void>();
      const timer = setTimeout(limit.resolve, limitMs);
      await Promise.race([Promise.all(running), limit.promise]);
      clearTimeout(timer);
    },
  };
}
