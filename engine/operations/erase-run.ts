import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import type { JobId } from "../ids.ts";
import { eraseJob } from "../ledger/erase.ts";
import { logObject } from "../ledger/keys.ts";
import { readJob, readSpec } from "../ledger/read.ts";
import type { JobRecord } from "../ledger/records.ts";
import { isErasable } from "../retention.ts";
import { eraseRecord } from "./record-runs.ts";

/** Below it the artifacts of a job are. */
const artifactsPrefix = (jobId: string) => `artifacts/${jobId}/`;

/**
 * Erases a run: its record, logs and artifacts first, then all that the ledger has of the job, its dead letter and its
 * sealed spec with it. Broken off at any point it is still listed, and can be erased again.
 * @throws LongshoreError NOT_FOUND; CONFLICT while the job is active or its resource has yet to be removed.
 */
export async function eraseRun(ctx: EngineContext, jobId: JobId): Promise<void> {
  for (;;) {
    const job = await readJob(ctx.ledger, jobId);
    if (job === undefined) throw new LongshoreError("NOT_FOUND", `there is no run ${jobId}`);
    if (!isErasable(job)) throw new LongshoreError("CONFLICT", `the job is still active: ${job.status}`);
    if (await eraseFinished(ctx, job)) return;
  }
}

/**
 * As `eraseRun`, of a job as a list gave it.
 * @returns false when it was changed meanwhile: nothing is known of it then but that it is there.
 */
export async function eraseFinished(ctx: EngineContext, job: JobRecord): Promise<boolean> {
  // A list may be late: what is erased can never be brought back.
  const now = await readJob(ctx.ledger, job.jobId);
  if (now === undefined) return true;
  if (now.version !== job.version || !isErasable(now)) return false;
  await eraseObjects(ctx, now);
  return await eraseJob(ctx.ledger, now);
}

async function eraseObjects(ctx: EngineContext, { jobId, attempt }: JobRecord): Promise<void> {
  const { objects } = ctx;
  const spec = await readSpec(ctx.ledger, jobId);
  // To list is dear where there is nothing, and a job that asked for no artifacts has none.
  if (spec === undefined || spec.artifacts !== undefined) {
    for await (const { key } of objects.list(artifactsPrefix(jobId))) await objects.delete(key);
  }
  const logs = Array.from({ length: attempt }, (_, before) => logObject(jobId, before + 1));
  for (const key of logs) await objects.delete(key);
  await eraseRecord(ctx, jobId);
}
