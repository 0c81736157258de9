import type { DeadLetterId, JobId } from "../ids.ts";
import type { Key } from "../ports/table.ts";
import type { JobRecord } from "./records.ts";

const pad = (n: number, width: number) => String(n).padStart(width, "0");

/** Lists are read from this many partitions a month, so that no submission rate meets one partition's limit. */
export const LIST_SHARDS = 4;
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const MAX_PRIORITY = 100;

export const jobKey = (jobId: string): Key => ({ pk: `JOB#${jobId}`, sk: "JOB" });
export const specKey = (jobId: string): Key => ({ pk: `JOB#${jobId}`, sk: "SPEC" });
/** The encrypted full spec: the only item that holds secret values of a spec. */
export const sealedKey = (jobId: string): Key => ({ pk: `JOB#${jobId}`, sk: "SEALED" });
/** The encrypted values to mask in an attempt's log; removed with the attempt's resource. */
export const masksKey = (jobId: string, attempt: number): Key => ({
  pk: `JOB#${jobId}`,
  sk: `MASKS#${pad(attempt, 4)}`,
});
export const attemptKey = (jobId: string, attempt: number): Key => ({
  pk: `JOB#${jobId}`,
  sk: `ATTEMPT#${pad(attempt, 4)}`,
});
export const deadLetterKey = (jobId: string): Key => ({ pk: `JOB#${jobId}`, sk: "DEAD_LETTER" });
export const EVENT_PREFIX = "EVENT#";
export const eventKey = (jobId: string, seq: number): Key => ({
  pk: `JOB#${jobId}`,
  sk: `${EVENT_PREFIX}${pad(seq, 8)}`,
});
export const idempotencyKey = (caller: string, key: string): Key => ({ pk: `IDEMPOTENCY#${caller}`, sk: `KEY#${key}` });
/** The record that accepts a staged batch. Its sort key makes it part of the change feed. */
export const batchKey = (batchId: string): Key => ({ pk: `BATCH#${batchId}`, sk: `${EVENT_PREFIX}ACCEPTED` });
/** That the jobs of an accepted batch have yet to be published; index2 leads the reconciler to it. */
export const unpublishedKey = (batchId: string): Key => ({ pk: `BATCH#${batchId}`, sk: "UNPUBLISHED" });
export const UNPUBLISHED_PARTITION = "UNPUBLISHED";
export const unpublishedIndex = (batchId: string): Key => ({ pk: UNPUBLISHED_PARTITION, sk: batchId });
export const queueKey = (shard: number): Key => ({ pk: `QUEUE#${shard}`, sk: "COUNT" });
export const slotsKey = (runtime: string, shard: number): Key => ({ pk: `SLOTS#${runtime}#${shard}`, sk: "COUNT" });
/** How many jobs of a lane wait and run; `shard` is the shard of the queue's bound or of the slots that they count on. */
export const laneKey = (runtime: string, lane: string, shard: number): Key => ({
  pk: lanesPartition(runtime, shard),
  sk: lane,
});
export const lanesPartition = (runtime: string, shard: number) => `LANES#${runtime}#${shard}`;
/** How many jobs left the queue in one stretch of time. */
export const drainKey = (shard: number, bucket: number): Key => ({ pk: drainPartition(shard), sk: pad(bucket, 12) });
export const drainPartition = (shard: number) => `DRAIN#${shard}`;
export const concurrencyKey = (key: string): Key => ({ pk: `CONCURRENCY#${key}`, sk: "COUNT" });
/** Whether a runtime answers, and since when it does not. */
export const circuitKey = (runtime: string): Key => ({ pk: `CIRCUIT#${runtime}`, sk: "CIRCUIT" });
/** The right of one process to do a periodic duty. */
export const leaseKey = (duty: string): Key => ({ pk: `LEASE#${duty}`, sk: "LEASE" });
/** How far the sweeps have come that share one round. */
export const roundKey: Key = { pk: "ROUND", sk: "ROUND" };
/** One item for each runtime that this home has ever offered. */
export const RUNTIMES_PARTITION = "RUNTIMES";
export const runtimeKey = (runtime: string): Key => ({ pk: RUNTIMES_PARTITION, sk: runtime });
/** When the counters are to be counted again. */
export const recountKey: Key = { pk: "RECOUNT", sk: "RECOUNT" };
/** A file that an attempt left; `id` stands for its name. */
export const artifactKey = (jobId: string, attempt: number, id: string): Key => {
  const { pk, sk } = artifactPrefix(jobId, attempt);
  return { pk, sk: `${sk}${id}` };
};
/** Where all of an attempt's begin. */
export const artifactPrefix = (jobId: string, attempt: number): Key => ({
  pk: `JOB#${jobId}`,
  sk: `ARTIFACT#${pad(attempt, 4)}#`,
});
/** How far the erasure of old runs has come, and when it is due again. */
export const retentionKey: Key = { pk: "RETENTION", sk: "RETENTION" };
export const homeKey: Key = { pk: "HOME", sk: "HOME" };
export const artifactObject = (jobId: string, attempt: number, id: string) =>
  `artifacts/${jobId}/${pad(attempt, 4)}/${id}`;
export const logObject = (jobId: string, attempt: number) => `logs/${jobId}/${pad(attempt, 4)}.jsonl`;

/** index1: every job by time, newest last, in a few partitions a month. */
export function listIndex(jobId: JobId, createdAt: string): Key {
  return { pk: listPartition(createdAt.slice(0, 7), listShard(jobId)), sk: jobId };
}

export const listPartition = (month: string, shard: number) => `JOBS#${month}#${shard}`;

/** index1 of a dead letter: by the time of the failure, which has nothing to do with the job's age. */
export function deadLetterIndex(id: DeadLetterId, createdAt: string): Key {
  return { pk: deadLetterPartition(createdAt.slice(0, 7), listShard(id)), sk: `${createdAt}_${id}` };
}

export const deadLetterPartition = (month: string, shard: number) => `DEAD_LETTERS#${month}#${shard}`;

/** By the last character of an id that ends with a ULID. */
function listShard(id: JobId | DeadLetterId): number {
  return CROCKFORD.indexOf(id.slice(-1)) % LIST_SHARDS;
}

type Waiting = Pick<JobRecord, "runtime" | "lane" | "priority" | "jobId">;

/** index2 of a job that waits for a slot: inside its lane by priority, then by age. */
export const waitingIndex = (job: Waiting): Key => ({ pk: waitingPartition(job.runtime, job.lane), sk: rank(job) });
export const waitingPartition = (runtime: string, lane: string) => `WAITING#${runtime}#${lane}`;
const rank = ({ priority, jobId }: Waiting) => `${pad(MAX_PRIORITY - priority, 3)}#${jobId}`;

/** index2 of a job that waits for its concurrency key: by key, lane, priority, age. */
export const parkedIndex = (job: Waiting, concurrencyKey: string): Key => ({
  pk: parkedPartition(job.runtime),
  sk: `${parkedPrefix(concurrencyKey)}${job.lane}#${rank(job)}`,
});
export const parkedPartition = (runtime: string) => `PARKED#${runtime}`;
/** A key is any text: encoded, so that its end can be told. */
export const parkedPrefix = (concurrencyKey: string) => `${encodeURIComponent(concurrencyKey)}#`;
/** Sorts behind whatever begins with the prefix in a parked job's index. */
export const behind = (prefix: string) => `${prefix}~`;

/** index2 of a job that Longshore still has work with: running, between attempts, or to be cleaned up. */
export const ACTIVE_PARTITION = "ACTIVE";
export const activeIndex = (jobId: JobId): Key => ({ pk: ACTIVE_PARTITION, sk: jobId });
