import type { Logger } from "../engine/ports/logger.ts";

export interface Background {
  run(name: string, work: () => Promise<void>): void;
  /** Resolves when everything that was begun has ended. */
  settled(): Promise<void>;
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
    async settled() {
      await Promise.all(running);
    },
  };
}

/** Waits for the work, but no longer than this: what is left undone then, the next start of the home does. */
export async function atMost(limitMs: number, work: Promise<void>): Promise<void> {
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(limit.resolve, limitMs);
  await Promise.race([work, limit.promise]);
  clearTimeout(timer);
}
