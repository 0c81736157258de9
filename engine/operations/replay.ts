import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import { deadLetterIdOf, type JobId } from "../ids.ts";
import { readDeadLetter, replayMark } from "../ledger/dead-letters.ts";
import type { DeadLetterRecord, JobRecord } from "../ledger/records.ts";
import { ConflictError } from "../ports/table.ts";
import { submitAgain } from "./control.ts";
import type { SubmitOptions } from "./submit.ts";

/**
 * The dead letter of a job.
 * @throws LongshoreError NOT_FOUND.
 */
export async function deadLetterOfJob({ ledger }: EngineContext, jobId: JobId): Promise<DeadLetterRecord> {
  const letter = await readDeadLetter(ledger, jobId);
  if (letter === undefined) throw new LongshoreError("NOT_FOUND", `there is no dead letter ${deadLetterIdOf(jobId)}`);
  return letter;
}

/**
 * Submits the spec of a job that failed for good again, as a new job with `retryOf`, and marks its dead letter with it:
 * once, however many ask. The same idempotency key gives the first job again.
 * @throws LongshoreError NOT_FOUND; CONFLICT when it was replayed before or the sealed spec was erased; QUEUE_FULL.
 */
export async function replayDeadLetter(ctx: EngineContext, jobId: JobId, options: SubmitOptions): Promise<JobRecord> {
  const letter = await deadLetterOfJob(ctx, jobId);
  // With a key the first job may be what is asked for, once more.
  if (letter.replayed && options.idempotencyKey === undefined) throw replayedBefore(letter);
  const along = (replayedAs: JobId) => [replayMark(jobId, replayedAs)];
  try {
    const job = await submitAgain(ctx, jobId, { ...options, along });
    if (options.idempotencyKey !== undefined) await checkIsReplay(ctx, jobId, job);
    return job;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const now = await deadLetterOfJob(ctx, jobId);
    throw now.replayed ? replayedBefore(now) : error;
  }
}

/** The same spec may have been submitted under the same key by another call, which left the dead letter as it was. */
async function checkIsReplay(ctx: EngineContext, jobId: JobId, job: JobRecord): Promise<void> {
  const { replayedAs } = await deadLetterOfJob(ctx, jobId);
  if (replayedAs === job.jobId) return;
  throw new LongshoreError("CONFLICT", "this Idempotency-Key was used for another call before");
}

function replayedBefore({ id, replayedAs }: DeadLetterRecord): LongshoreError {
  return new LongshoreError("CONFLICT", `the dead letter ${id} was replayed as ${replayedAs}`);
}
