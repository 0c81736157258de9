import type { Change, Item, Key } from "../ports/table.ts";
import { isTerminal } from "../states.ts";
import {
  activeIndex,
  attemptKey,
  deadLetterIndex,
  deadLetterKey,
  eventKey,
  jobKey,
  listIndex,
  parkedIndex,
  waitingIndex,
} from "./keys.ts";
import type { AttemptRecord, DeadLetterRecord, EventRecord, JobRecord } from "./records.ts";

/** A job's item: the record with the index entries that follow from it. */
export function jobItem(job: JobRecord): Item {
  const item: Item = { ...jobKey(job.jobId), ...job };
  if (job.stagedIn !== undefined) return item;
  item.index1 = listIndex(job.jobId, job.createdAt);
  if (job.queueShard !== null) item.index2 = waitingPlace(job);
  else if (!isTerminal(job.status) || job.cleanupPending) item.index2 = activeIndex(job.jobId);
  return item;
}

function waitingPlace(job: JobRecord): Key {
  return job.parked && job.concurrencyKey !== null ? parkedIndex(job, job.concurrencyKey) : waitingIndex(job);
}

export function attemptItem(jobId: string, attempt: AttemptRecord): Item {
  return { ...attemptKey(jobId, attempt.attempt), ...attempt };
}

export function deadLetterItem(letter: DeadLetterRecord): Item {
  const index1 = deadLetterIndex(letter.id, letter.createdAt);
  return { ...deadLetterKey(letter.jobId), ...letter, index1 };
}

export function eventChange(event: EventRecord): Change {
  const item = { ...eventKey(event.jobId, event.seq), ...event };
  return { kind: "put", item, guard: { exists: false } };
}

/** The record inside an item: what the table needs for itself is taken off. */
export function recordOf<T>(item: Item): T {
  const { pk: _pk, sk: _sk, index1: _index1, index2: _index2, ttl: _ttl, ...record } = item;
  return record as T;
}
