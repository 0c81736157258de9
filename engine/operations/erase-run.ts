import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import type { JobId } from "../ids.ts";
import { eraseJob, type JobItems, readJobItems } from "../ledger/erase.ts";
import { logObject } from "../ledger/keys.ts";
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
    const found = await readJobItems(ctx.ledger, jobId);
    if (found === undefined) throw new LongshoreError("NOT_FOUND", `there is no run ${jobId}`);
    if (!isErasable(found.job)) throw new LongshoreError("CONFLICT", `the job is still active: ${found.job.status}`);
    if (await erase(ctx, found)) return;
  }
}

/**
 * As `eraseRun`, of a job as a list gave it, which may be late.
 * @returns false when it was changed since, or erased by somebody else.
 */
export async function eraseFinished(ctx: EngineContext, { jobId, version }: JobRecord): Promise<boolean> {
  const found = await readJobItems(ctx.ledger, jobId);
  if (found === undefined || found.job.version !== version || !isErasable(found.job)) return false;
  return await erase(ctx, found);
}

async function erase(ctx: EngineContext, found: JobItems): Promise<boolean> {
  const { objects } = ctx;
  const { jobId, attempt } = found.job;
  // To list is dear where there is nothing, and a job that asked for no artifacts has none.
  if (found.spec === undefined || found.spec.artifacts !== undefined) {
    for await (const { key } of objects.list(artifactsPrefix(jobId))) await objects.delete(key);
  }
  for (let n = 1; n <= attempt; n++) await objects.delete(logObject(jobId, n));
  await eraseRecord(ctx, jobId);
  return await eraseJob(ctx.ledger, found);
}
