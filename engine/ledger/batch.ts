import { LongshoreError } from "../errors.ts";
import { type Change, ConflictError, type Page } from "../ports/table.ts";
import { eventChanges, jobItem, recordOf } from "./items.ts";
import { batchKey, jobKey, sealedKey, specKey, UNPUBLISHED_PARTITION, unpublishedKey } from "./keys.ts";
import { laneChanges } from "./lanes.ts";
import type { Ledger } from "./ledger.ts";
import type { EventRecord, JobRecord } from "./records.ts";

/** Four changes each, and a lane's counter each at most: a full commit. */
const JOBS_PER_COMMIT = 20;

/** The SUBMITTED event of a job that was just accepted. */
export function submittedEvent(job: JobRecord): EventRecord {
  const { jobId, createdAt: at, attempt, status, phase, runtime } = job;
  const data = { name: job.name, runtime: job.runtime, submittedBy: job.submittedBy, specHash: job.specHash };
  const key = job.concurrencyKey === null ? {} : { concurrencyKey: job.concurrencyKey };
  return { jobId, seq: 1, type: "SUBMITTED", at, attempt, status, phase, runtime, ...key, data };
}

/**
 * Publishes all jobs of an accepted batch, and notes that it was done. Idempotent.
 * @param jobIds the batch's, in its order.
 */
export async function publishBatch(ledger: Ledger, jobIds: string[]): Promise<void> {
  await publishStaged(ledger, jobIds);
  await ledger.table.commit([{ kind: "delete", key: unpublishedKey(jobIds[0] ?? "") }]);
}

/** Publishes what was accepted and not published: its submitter died, and the change feed has lost the record. */
export async function publishAccepted(ledger: Ledger): Promise<void> {
  for await (const { jobIds } of readUnpublished(ledger)) await publishBatch(ledger, jobIds);
}

/** The accepted jobs that are not published yet, by their ids, each with the shard of the queue that it counts on. */
export async function readStagedJobs(ledger: Ledger): Promise<Map<string, number>> {
  const staged = new Map<string, number>();
  for await (const { jobIds, queueShard } of readUnpublished(ledger)) {
    const items = await Promise.all(jobIds.map((jobId) => ledger.table.get(jobKey(jobId))));
    for (const item of items) if (item?.stagedIn !== undefined) staged.set(String(item.jobId), queueShard);
  }
  return staged;
}

async function* readUnpublished({ table }: Ledger): AsyncGenerator<{ jobIds: string[]; queueShard: number }> {
  let cursor: string | undefined;
  do {
    const query = { index: "index2" as const, pk: UNPUBLISHED_PARTITION };
    const page: Page = await table.query(cursor === undefined ? query : { ...query, cursor });
    for (const { jobIds, queueShard } of page.items)
      yield { jobIds: jobIds as string[], queueShard: queueShard as number };
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/**
 * Makes the staged jobs of an accepted batch visible: index entries, first event, no expiry. Idempotent.
 *
 * The race that it wins: the submitter, the change feed and a reader may all do it for the same job; the guard on
 * `stagedIn` lets one of them write the first event.
 */
export async function publishStaged(ledger: Ledger, jobIds: string[]): Promise<void> {
  for (let at = 0; at < jobIds.length; at += JOBS_PER_COMMIT) {
    const chunk = jobIds.slice(at, at + JOBS_PER_COMMIT);
    const staged = await Promise.all(chunk.map((jobId) => readStaged(ledger, jobId)));
    try {
      await ledger.table.commit(publishChanges(ledger, staged));
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      // Somebody published some of them meanwhile: the others go one by one.
      for (const jobId of chunk) await publishOne(ledger, jobId);
    }
  }
}

async function publishOne(ledger: Ledger, jobId: string): Promise<void> {
  const staged = await readStaged(ledger, jobId);
  try {
    await ledger.table.commit(publishChanges(ledger, [staged]));
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const item = await ledger.table.get(jobKey(jobId));
    if (item !== undefined && recordOf<JobRecord>(item).stagedIn !== undefined) throw error;
  }
}

interface Staged {
  job: JobRecord;
  stagedIn: string;
}

/** The job as it will be, or null when it is published already, or has even been erased since. */
async function readStaged(ledger: Ledger, jobId: string): Promise<Staged | null> {
  const item = await ledger.table.get(jobKey(jobId));
  if (item === undefined) return null;
  const { stagedIn, ...job } = recordOf<JobRecord>(item);
  if (stagedIn === undefined) return null;
  const batch = await ledger.table.get(batchKey(stagedIn));
  if (batch === undefined) throw new LongshoreError("CONFLICT", "the batch of this job was never accepted");
  return { job: { ...job, queueShard: batch.queueShard as number }, stagedIn };
}

function publishChanges(ledger: Ledger, all: (Staged | null)[]): Change[] {
  const staged = all.filter((one) => one !== null);
  const jobs = staged.flatMap(({ job, stagedIn }): Change[] => [
    { kind: "put", item: jobItem(job), guard: { equals: { stagedIn } } },
    { kind: "patch", key: specKey(job.jobId), remove: ["ttl"] },
    { kind: "patch", key: sealedKey(job.jobId), remove: ["ttl"] },
    ...eventChanges([submittedEvent(job)]),
  ]);
  // Only now: a job that no pass can find does not wait in its lane yet.
  const lanes = laneChanges(
    ledger,
    staged.map(({ job }) => ({ after: job })),
  );
  return [...jobs, ...lanes];
}
