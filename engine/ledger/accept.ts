import { LongshoreError } from "../errors.ts";
import { type Change, ConflictError, type Item, MAX_CHANGES } from "../ports/table.ts";
import type { JobSpec } from "../spec/schema.ts";
import { publishBatch } from "./batch.ts";
import { secondsUntilRoom } from "./drain.ts";
import { isExpired } from "./expiry.ts";
import { eventChanges, jobItem } from "./items.ts";
import { batchKey, idempotencyKey, queueKey, sealedKey, specKey, unpublishedIndex, unpublishedKey } from "./keys.ts";
import { laneChanges } from "./lanes.ts";
import { type Ledger, shardBound } from "./ledger.ts";
import type { EventRecord, JobRecord } from "./records.ts";

/** One job about to be accepted. */
export interface Submission {
  job: JobRecord;
  redacted: JobSpec;
  sealed: Uint8Array;
  submitted: EventRecord;
  /** What must be durable together with a job that is submitted alone. */
  along?: Change[];
}

/** A caller's own key for a submission, and the keyed hash of what was submitted under it. */
export interface Idempotency {
  caller: string;
  key: string;
  digest: string;
}

export type Acceptance = { accepted: true } | { accepted: false; jobIds: string[] };

const BATCH_SECONDS = 30 * 24 * 3600;
const IDEMPOTENCY_SECONDS = 7 * 24 * 3600;
/**
 * What was staged for a batch that was never accepted expires after this. What was accepted must be published before:
 * a home may be down for long between the one and the other.
 */
const STAGED_SECONDS = 7 * 24 * 3600;
const CHANGES_PER_JOB = 4;
/** The idempotency record and the queue's counter; the counters of the lanes come on top. */
const CHANGES_BESIDE = 2;

/**
 * Accepts all submissions or none, durably. More than one commit can hold are staged first, where nothing sees or
 * admits them; one last commit of the batch record accepts them all.
 *
 * The races that it wins: two submissions under one idempotency key (one is accepted, the other gets its jobs), and
 * many submissions for the last places of the queue (the counter's guard lets exactly as many through as fit).
 *
 * @throws LongshoreError QUEUE_FULL, or CONFLICT when the idempotency key came with another body before; ConflictError
 * when a guard of what comes along does not hold, whether the queue is full or not.
 */
export async function accept(
  ledger: Ledger,
  submissions: Submission[],
  idempotency: Idempotency | null,
): Promise<Acceptance> {
  const direct = fitsOneCommit(submissions);
  const batchId = submissions[0]?.job.jobId ?? "";
  if (!direct) await stage(ledger, submissions, batchId);
  for (const shard of shardsToTry(ledger, batchId)) {
    const reservation = reserve(ledger, submissions.length, shard);
    const remembered = idempotency === null ? [] : [remember(ledger, idempotency, submissions)];
    const changes = direct ? directChanges(ledger, submissions, shard) : batchRecords(ledger, submissions, shard);
    try {
      await ledger.table.commit([reservation, ...remembered, ...changes]);
      if (!direct)
        await publishBatch(
          ledger,
          submissions.map(({ job }) => job.jobId),
        );
      return { accepted: true };
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      if (idempotency !== null && error.failed.includes(1)) {
        return { accepted: false, jobIds: jobsUnder(error.items[1], idempotency) };
      }
      if (error.failed.some((position) => position !== 0)) throw error;
    }
  }
  throw await queueFull(ledger, submissions.length);
}

/**
 * Refuses jobs for which the queue has no room at this moment, before anything costly is done for them: a flood must not
 * take the time that the accepted jobs need. Whoever passes may still be refused: only `accept` decides. It looks where
 * one counter keeps the bound; to read several would cost more than it saves.
 * @throws LongshoreError QUEUE_FULL.
 */
export async function refuseWhenFull(ledger: Ledger, jobs: number): Promise<void> {
  const { maxQueued, shards } = ledger.limits;
  if (shards > 1) return;
  const waiting = Number((await ledger.table.get(queueKey(0)))?.count ?? 0);
  if (waiting + jobs > maxQueued) throw await queueFull(ledger, jobs);
}

async function queueFull(ledger: Ledger, jobs: number): Promise<LongshoreError> {
  const message = `the queue holds its limit of ${ledger.limits.maxQueued} waiting jobs`;
  return new LongshoreError("QUEUE_FULL", message, { retryAfterSeconds: await secondsUntilRoom(ledger, jobs) });
}

/**
 * The jobs that were accepted under an idempotency key before, or null for a key that is new. Only a hint for a new one:
 * which of two submissions is first, `accept` decides. A record whose time is over makes room for the next one.
 * @throws LongshoreError CONFLICT when the key came with another body.
 */
export async function acceptedBefore(ledger: Ledger, idempotency: Idempotency): Promise<string[] | null> {
  const item = await ledger.table.get(idempotencyKey(idempotency.caller, idempotency.key));
  if (item !== undefined && isExpired(ledger, item)) {
    await forget(ledger, item);
    return null;
  }
  return item === undefined ? null : jobsUnder(item, idempotency);
}

/** Where the table has not removed an expired record yet. One that was written anew meanwhile stays. */
async function forget({ table }: Ledger, { pk, sk, ttl = 0 }: Item): Promise<void> {
  try {
    await table.commit([{ kind: "delete", key: { pk, sk }, guard: { equals: { ttl } } }]);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
  }
}

/** A second shard is tried before a submission is refused. */
function shardsToTry({ limits }: Ledger, id: string): number[] {
  const first = id.charCodeAt(id.length - 1) % limits.shards;
  return limits.shards === 1 ? [0] : [first, (first + 1) % limits.shards];
}

function reserve({ limits }: Ledger, jobs: number, shard: number): Change {
  const bound = shardBound(limits.maxQueued, shard, limits.shards);
  return {
    kind: "patch",
    key: queueKey(shard),
    add: { count: jobs, changes: 1 },
    guard: { atMost: { count: bound - jobs } },
  };
}

function remember({ clock }: Ledger, { caller, key, digest }: Idempotency, submissions: Submission[]): Change {
  const jobIds = submissions.map(({ job }) => job.jobId);
  const ttl = Math.ceil(clock() / 1000) + IDEMPOTENCY_SECONDS;
  return { kind: "put", item: { ...idempotencyKey(caller, key), digest, jobIds, ttl }, guard: { exists: false } };
}

function jobsUnder(item: Item | undefined, { digest }: Idempotency): string[] {
  if (item?.digest !== digest) {
    throw new LongshoreError("CONFLICT", "this Idempotency-Key was used with another body before");
  }
  return item.jobIds as string[];
}

function fitsOneCommit(submissions: Submission[]): boolean {
  const lanes = new Set(submissions.map(({ job }) => `${job.runtime} ${job.lane}`)).size;
  return submissions.length * CHANGES_PER_JOB + lanes + CHANGES_BESIDE <= MAX_CHANGES;
}

function directChanges(ledger: Ledger, submissions: Submission[], shard: number): Change[] {
  const placed = submissions.map((submission) => onShard(submission, shard));
  const lanes = laneChanges(
    ledger,
    placed.map(({ job }) => ({ after: job })),
  );
  return [...placed.flatMap(jobChanges), ...lanes];
}

function onShard(submission: Submission, shard: number): Submission {
  return { ...submission, job: { ...submission.job, queueShard: shard } };
}

function jobChanges({ job, redacted, sealed, submitted, along = [] }: Submission): Change[] {
  const data = Buffer.from(sealed).toString("base64");
  return [
    { kind: "put", item: jobItem(job), guard: { exists: false } },
    { kind: "put", item: { ...specKey(job.jobId), spec: redacted } },
    { kind: "put", item: { ...sealedKey(job.jobId), data } },
    ...along,
    ...eventChanges([submitted]),
  ];
}

async function stage(ledger: Ledger, submissions: Submission[], batchId: string): Promise<void> {
  const ttl = Math.ceil(ledger.clock() / 1000) + STAGED_SECONDS;
  const perCommit = Math.floor(MAX_CHANGES / CHANGES_PER_JOB);
  for (let at = 0; at < submissions.length; at += perCommit) {
    const changes = submissions.slice(at, at + perCommit).flatMap((submission) => {
      const staged = { ...submission, job: { ...submission.job, stagedIn: batchId } };
      // Without its event the change feed does not see the job; without its index entries no list does.
      return jobChanges(staged).slice(0, -1);
    });
    for (const change of changes) if (change.kind === "put") change.item.ttl = ttl;
    await ledger.table.commit(changes);
  }
}

/** The record is needed until its jobs are published, which the change feed does soon after; the note until it was done. */
function batchRecords({ clock }: Ledger, submissions: Submission[], queueShard: number): Change[] {
  const jobIds = submissions.map(({ job }) => job.jobId);
  const ttl = Math.ceil(clock() / 1000) + BATCH_SECONDS;
  const batchId = submissions[0]?.job.jobId ?? "";
  const note = { ...unpublishedKey(batchId), jobIds, queueShard, index2: unpublishedIndex(batchId), ttl };
  return [
    { kind: "put", item: { ...batchKey(batchId), jobIds, queueShard, ttl }, guard: { exists: false } },
    { kind: "put", item: note },
  ];
}
