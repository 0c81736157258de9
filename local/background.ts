import type { Logger } from "../engine/ports/logger.ts";

export interface Background {
  /** Begins the work, unless work of this name is under way. */
  run(name: string, work: () => Promise<void>): void;
  /** Resolves when everything that was begun has ended. */
  settled(): Promise<void>;
}

/** Work that nobody waits for. A failure is logged; the reconciler repeats what matters. */
export function createBackground(logger: Logger): Background {
  const running = new Map<string, Promise<void>>();
  return {
    run(name, work) {
      if (running.has(name)) return;
      const done = work()
        .catch((error: unknown) => logger.warn({ work: name, error }, "background work failed"))
        .finally(() => running.delete(name));
      running.set(name, done);
    },
    async settled() {
      await Promise.all(running.values());
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
