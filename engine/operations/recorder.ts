import type { EngineContext } from "../context.ts";
import type { JobId } from "../ids.ts";
import { advance } from "../ledger/advance.ts";
import type { Occurrence } from "../occurrences.ts";

export interface Recorder {
  add(occurrence: Occurrence): void;
  /** Resolves when everything that was added is committed. @throws what a commit threw. */
  flush(): Promise<void>;
}

/** Records what a launch reports, in order, without making the launch wait; what comes meanwhile shares a commit. */
export function createRecorder(ctx: EngineContext, jobId: JobId): Recorder {
  let pending: Occurrence[] = [];
  let tail: Promise<void> = Promise.resolve();
  const commit = async () => {
    const batch = pending;
    pending = [];
    if (batch.length > 0) await advance(ctx.ledger, jobId, batch);
  };
  return {
    add(occurrence) {
      pending.push(occurrence);
      tail = tail.then(commit);
      // `flush` is where a failed commit surfaces; without this it would also count as unhandled.
      tail.catch(() => undefined);
    },
    flush: () => tail,
  };
}
