import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import type { JobId } from "../ids.ts";
import { eventsOf } from "../ledger/items.ts";
import { readJob } from "../ledger/read.ts";
import type { EventRecord } from "../ledger/records.ts";
import type { FeedRecord } from "../ports/table.ts";
import { isErasable } from "../retention.ts";
import { RUN_FILES, type RunFile, renderRun, runObject } from "../runs/files.ts";
import { type EventType, isTerminal } from "../states.ts";
import { isBatchRecord } from "./drive.ts";
import { receiptOf } from "./run-record.ts";

/** Jobs recorded at once. */
const AT_ONCE = 4;
/** A job that changes again and again while it is recorded is left to the record of its next event. */
const MAX_TRIES = 5;

/** What may come after a job's end. */
const AFTER_THE_END: ReadonlySet<EventType> = new Set(["CLEANED_UP", "ORPHAN_DETECTED"]);

function maybeLast({ type, status }: EventRecord): boolean {
  return isTerminal(status) && (type === status || AFTER_THE_END.has(type));
}

/**
 * Stores the records of the jobs that a part of the change feed tells the end of: nothing in the ledger has to say that they
 * are missing, for whoever reads the feed comes to each end at least once. Idempotent: the same job gives the same bytes.
 * One whose resource has yet to be removed is recorded with the event that it is gone.
 * @returns the positions of the feed's records whose jobs could not be recorded for now.
 */
export async function recordRuns(
  ctx: EngineContext,
  records: readonly FeedRecord[],
  files: readonly RunFile[] = RUN_FILES,
): Promise<number[]> {
  const ended = new Map<JobId, number[]>();
  for (const { position, item } of records) {
    if (isBatchRecord(item)) continue;
    for (const event of eventsOf(item)) {
      if (maybeLast(event)) ended.set(event.jobId, [...(ended.get(event.jobId) ?? []), position]);
    }
  }
  const failed: number[] = [];
  const waiting = [...ended];
  const worker = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      const [jobId, positions] = one;
      if (!(await recorded(ctx, jobId, files))) failed.push(...positions);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, waiting.length) }, worker));
  return failed;
}

/** False when it may be possible later; what is never possible is told in the log, and the API shows the job all the same. */
async function recorded(ctx: EngineContext, jobId: JobId, files: readonly RunFile[]): Promise<boolean> {
  try {
    await recordRun(ctx, jobId, files);
    return true;
  } catch (error) {
    const passes = error instanceof LongshoreError && error.code === "UNAVAILABLE";
    const code = error instanceof LongshoreError ? error.code : error instanceof Error ? error.name : typeof error;
    // Its message may hold paths.
    ctx.logger[passes ? "warn" : "error"]({ jobId, code }, "the record of a run could not be stored");
    return !passes;
  }
}

/** Stores the record of a job, unless it is not finished, not cleaned up or erased. */
export async function recordRun(ctx: EngineContext, jobId: JobId, files: readonly RunFile[]): Promise<void> {
  let job = await readJob(ctx.ledger, jobId);
  for (let tries = 1; job !== undefined && isErasable(job) && tries <= MAX_TRIES; tries++) {
    const receipt = await receiptOf(ctx, job);
    await Promise.all(
      files.map((file) => ctx.objects.put(runObject(jobId, file), Buffer.from(renderRun(receipt, file)))),
    );
    const now = await readJob(ctx.ledger, jobId);
    if (now?.version === job.version) return;
    job = now;
    // Erased while it was recorded: nothing would ever come to what was stored.
    if (now === undefined) await eraseRecord(ctx, jobId);
  }
}

/** Removes what `recordRun` stored. Idempotent. */
export async function eraseRecord({ objects }: EngineContext, jobId: JobId): Promise<void> {
  await Promise.all(RUN_FILES.map((file) => objects.delete(runObject(jobId, file))));
}
