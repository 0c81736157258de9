import { SHUTDOWN } from "../../engine/abort.ts";
import type { Inflight } from "../../engine/context.ts";
import type { JobId } from "../../engine/ids.ts";
import type { Logger } from "../../engine/ports/logger.ts";

/** What one process does beside answering, all of which has to be over when it answers: it may be frozen then. */
export interface Work {
  /** Runs work of a name, one at a time; `settled` waits for it. A failure is logged: the reconciler repeats it. */
  background(name: string, work: () => Promise<void>): void;
  inflight: Inflight;
  /** Aborts when the time of the present invocation is nearly over. */
  signal(): AbortSignal;
  /** An invocation begins that has so much time, milliseconds. */
  begin(remainingMs: number): void;
  /** Resolves when all that was begun has ended, or the invocation's time is nearly over. */
  settled(): Promise<void>;
  /** The invocation is over. */
  end(): void;
}

/** Left to tell the answer, of a long invocation and of a short one. */
const RESERVE_MS = 5_000;
const LEAST_SHARE = 0.8;

/** How long an invocation may work of the time that it has left, milliseconds. */
export function budgetMs(remainingMs: number): number {
  return Math.max(remainingMs - RESERVE_MS, remainingMs * LEAST_SHARE);
}

/** The work of one Lambda process, which has one invocation at a time. */
export function createWork(logger: Logger): Work {
  const running = new Map<string, Promise<void>>();
  const launches = new Map<JobId, AbortController>();
  let expiry = new AbortController();
  let timer: NodeJS.Timeout | undefined;

  const inflight: Inflight = {
    begin(jobId) {
      const controller = new AbortController();
      launches.set(jobId, controller);
      const end = () => {
        if (launches.get(jobId) === controller) launches.delete(jobId);
      };
      // A launch that is cut off here goes on with the next try of the lifecycle.
      return { signal: AbortSignal.any([controller.signal, expiry.signal]), end };
    },
    abort(jobId, reason) {
      const launch = launches.get(jobId);
      launch?.abort(reason);
      return launch !== undefined;
    },
    isLaunching: (jobId) => launches.has(jobId),
    // Whoever looks at a job asks another process.
    progress: () => undefined,
  };

  return {
    background(name, work) {
      if (running.has(name)) return;
      const done = work()
        .catch((error: unknown) => logger.warn({ work: name, error }, "background work failed"))
        .finally(() => running.delete(name));
      running.set(name, done);
    },
    inflight,
    signal: () => expiry.signal,
    begin(remainingMs) {
      expiry = new AbortController();
      const own = expiry;
      timer = setTimeout(() => own.abort(SHUTDOWN), budgetMs(remainingMs));
    },
    async settled() {
      const expired = Promise.withResolvers<void>();
      const onAbort = () => expired.resolve();
      const { signal } = expiry;
      if (signal.aborted) return;
      signal.addEventListener("abort", onAbort, { once: true });
      // What ends may have begun something else.
      while (running.size > 0 && !signal.aborted) await Promise.race([Promise.all(running.values()), expired.promise]);
      signal.removeEventListener("abort", onAbort);
      if (running.size > 0) logger.warn({ left: [...running.keys()] }, "background work was left undone");
    },
    end: () => clearTimeout(timer),
  };
}
