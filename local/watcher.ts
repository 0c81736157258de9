import { setTimeout as delay } from "node:timers/promises";
import type { EngineContext } from "../engine/context.ts";
import { asLongshoreError } from "../engine/errors.ts";
import { observeExit } from "../engine/operations/observe.ts";
import { expireInBackground } from "../engine/operations/stop.ts";

type Watched = Parameters<EngineContext["watch"]>[0];

/** Between two tries to record an end that is known, while the store takes nothing. */
const AGAIN_MS = 1_000;

export interface Watcher {
  /** Sees to the end of an attempt: once, however often it is asked. */
  watch(ctx: EngineContext, attempt: Watched): void;
  /** Stops watching; jobs go on. Resolves when nothing of it runs any more. */
  close(): Promise<void>;
}

/**
 * Waits for attempts to end, pushed by their runtimes, and stops those whose deadline passes: one promise and one timer
 * each, and no polling. What it fails at, the reconciler does.
 */
export function createWatcher(): Watcher {
  const watched = new Map<string, Promise<void>>();
  const closing = new AbortController();

  async function waitForEnd(ctx: EngineContext, attempt: Watched): Promise<void> {
    const status = await ctx.runtimes.get(attempt.runtime).wait(attempt.externalRef, closing.signal);
    for (;;) {
      try {
        return await observeExit(ctx, attempt, { status });
      } catch (error) {
        // A full disk: the end is known, and nobody else would record it before the reconciler's next sweep but one.
        if (asLongshoreError(error).code !== "UNAVAILABLE") throw error;
        ctx.logger.warn({ jobId: attempt.jobId, error }, "an attempt's end cannot be recorded yet");
        await delay(AGAIN_MS, undefined, { signal: closing.signal });
      }
    }
  }

  async function follow(ctx: EngineContext, attempt: Watched): Promise<void> {
    const leftMs = Math.max(0, Date.parse(attempt.deadlineAt) - ctx.clock());
    const deadline = setTimeout(() => expireInBackground(ctx, attempt), leftMs);
    try {
      await waitForEnd(ctx, attempt);
    } catch (error) {
      if (closing.signal.aborted) return;
      ctx.logger.error({ jobId: attempt.jobId, error }, "an attempt's end could not be observed");
    } finally {
      clearTimeout(deadline);
    }
  }

  return {
    watch(ctx, attempt) {
      const key = `${attempt.jobId}#${attempt.attempt}`;
      if (closing.signal.aborted || watched.has(key)) return;
      watched.set(
        key,
        follow(ctx, attempt).finally(() => watched.delete(key)),
      );
    },
    async close() {
      closing.abort();
      await Promise.all(watched.values());
    },
  };
}
