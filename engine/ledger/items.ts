import type { Change, Item, Key } from "../ports/table.ts";
import { DRIVING, isTerminal } from "../states.ts";
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

/**
 * The events of one commit, in order, in as few items as may be: each costs as much as any other write. An item has the key
 * and the attributes of its last event; those before it are in `earlier`, as far as they differ from it. One that drives
 * the lifecycle is always the last of its item: a feed is filtered by what stands there.
 */
export function eventChanges(events: EventRecord[]): Change[] {
  const groups: EventRecord[][] = [];
  for (const event of events) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    if (group === undefined || last === undefined || DRIVING.has(last.type)) groups.push([event]);
    else group.push(event);
  }
  return groups.map((group): Change => {
    const last = group.at(-1) as EventRecord;
    const earlier = group.slice(0, -1).map((event) => difference(event, last));
    const item = { ...eventKey(last.jobId, last.seq), ...last, ...(earlier.length === 0 ? {} : { earlier }) };
    return { kind: "put", item, guard: { exists: false } };
  });
}

/** The events that an item holds, in order. */
export function eventsOf(item: Item): EventRecord[] {
  const { earlier = [], ...last } = recordOf<EventRecord & { earlier?: Partial<EventRecord>[] }>(item);
  return [...earlier.map((event) => ({ ...last, ...event })), last];
}

function difference(event: EventRecord, last: EventRecord): Partial<EventRecord> {
  const own = Object.entries(event).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(last[name as keyof EventRecord]),
  );
  return Object.fromEntries(own);
}

/** The record inside an item: what the table needs for itself is taken off. */
export function recordOf<T>(item: Item): T {
  const { pk: _pk, sk: _sk, index1: _index1, index2: _index2, ttl: _ttl, ...record } = item;
  return record as T;
}
