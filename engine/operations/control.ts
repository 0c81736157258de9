import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import type { JobId } from "../ids.ts";
import { advance } from "../ledger/advance.ts";
import { readJob, readSealed } from "../ledger/read.ts";
import type { JobRecord } from "../ledger/records.ts";
import { isRetryableByHand } from "../states.ts";
import { type SubmitOneOptions, type SubmitOptions, submitJob } from "./submit.ts";

/**
 * Asks for a job's end. A job of which nothing runs is CANCELLED at once; else the change feed stops its resource, and
 * only then the record ends.
 * @throws LongshoreError NOT_FOUND, or CONFLICT when the job has ended.
 */
export async function cancelJob(ctx: EngineContext, jobId: string, by: string): Promise<JobRecord> {
  const { life } = await advance(ctx.ledger, jobId, { type: "CANCEL", by });
  return life.job;
}

/**
 * Submits the spec of a job that failed, timed out or was cancelled again, as a new job with `retryOf`.
 * @throws LongshoreError NOT_FOUND; CONFLICT for a job in another status or whose sealed spec was erased; QUEUE_FULL.
 */
export async function retryJob(ctx: EngineContext, jobId: string, options: SubmitOptions): Promise<JobRecord> {
  const job = await readJob(ctx.ledger, jobId);
  if (job === undefined) throw new LongshoreError("NOT_FOUND", `there is no job ${jobId}`);
  if (!isRetryableByHand(job.status)) {
    throw new LongshoreError("CONFLICT", `a job that is ${job.status} cannot be retried`);
  }
  return await submitAgain(ctx, job.jobId, options);
}

/**
 * Submits the full spec of a job as a new one with `retryOf`.
 * @throws LongshoreError CONFLICT when the sealed spec was erased; as `submitJob`.
 */
export async function submitAgain(ctx: EngineContext, jobId: JobId, options: SubmitOneOptions): Promise<JobRecord> {
  const sealed = await readSealed(ctx.ledger, jobId);
  if (sealed === undefined)
    throw new LongshoreError("CONFLICT", "the job's full spec has been erased: submit it again");
  const spec = JSON.parse(Buffer.from(await ctx.sealer.open(sealed, jobId)).toString("utf8"));
  return await submitJob(ctx, spec, { ...options, retryOf: jobId });
}
