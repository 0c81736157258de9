import type { Logger } from "../engine/ports/logger.ts";

export interface SweeperOptions {
  everySeconds: number;
  /** One sweep; jobs that were touched at or after `touchedBefore` (ms since the epoch) are left alone. */
  sweep(touchedBefore: number): Promise<void>;
  logger: Logger;
}

export interface Sweeper {
  start(): void;
  /** Sweeps now, or joins the sweep that is under way. Never throws: the next one tries again. */
  sweep(touchedBefore: number): Promise<void>;
  close(): Promise<void>;
}

/** A job that somebody touched this recently is being worked on. */
const QUIET_MS = 30_000;

/** The one timer of the home: sweeps every few seconds, never two at once. */
export function createSweeper({ everySeconds, sweep, logger }: SweeperOptions): Sweeper {
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> | null = null;

  function sweepOnce(touchedBefore: number): Promise<void> {
    current ??= sweep(touchedBefore)
      .catch((error: unknown) => logger.error({ error }, "a sweep failed"))
      .finally(() => {
        current = null;
      });
    return current;
  }

  return {
    start() {
      timer = setInterval(() => void sweepOnce(Date.now() - QUIET_MS), everySeconds * 1000);
    },
    sweep: sweepOnce,
    async close() {
      clearInterval(timer);
      await current;
    },
  };
}
