import type { EngineContext } from "../context.ts";
import { advance } from "../ledger/advance.ts";
import type { Life } from "../ledger/records.ts";
import type { Occurrence } from "../occurrences.ts";

export interface Recorder {
  add(occurrence: Occurrence): void;
  /** Commits what was added. @throws what a commit threw. */
  flush(): Promise<void>;
  /**
   * Hands over what is not committed yet, so that it can share a commit with what comes next, and the job as it was
   * when this recorder committed last. @throws as `flush`.
   */
  take(): Promise<{ reports: Occurrence[]; known: Life }>;
  /** Forgets what is not committed yet: whoever launches the attempt again reports it again. */
  drop(): void;
}

/**
 * Records what a launch reports, in order, without making the launch wait. A report is committed at the next turn of the
 * event loop, or after the home's `progressDelayMs`: what comes at once, or while a commit is under way, shares one.
 */
export function createRecorder(ctx: EngineContext, life: Life): Recorder {
  let known = life;
  let pending: Occurrence[] = [];
  let committing: Promise<void> = Promise.resolve();
  let cancel: (() => void) | undefined;
  const schedule = () => {
    if (ctx.progressDelayMs === undefined) {
      const immediate = setImmediate(commit);
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(commit, ctx.progressDelayMs);
    return () => clearTimeout(timer);
  };
  const take = () => {
    cancel?.();
    cancel = undefined;
    const batch = pending;
    pending = [];
    return batch;
  };
  const commit = () => {
    committing = committing.then(async () => {
      const batch = take();
      if (batch.length === 0) return;
      known = (await advance(ctx.ledger, known.job.jobId, { move: batch, known })).life;
    });
    // Whoever flushes or takes hears of a failure; without this it would also count as unhandled.
    committing.catch(() => undefined);
    return committing;
  };
  return {
    add(occurrence) {
      pending.push(occurrence);
      cancel ??= schedule();
    },
    flush: commit,
    async take() {
      await committing;
      return { reports: take(), known };
    },
    drop: () => void take(),
  };
}
