import { LongshoreError } from "../errors.ts";
import type { Item, Page } from "../ports/table.ts";
import type { JobSpec } from "../spec/schema.ts";
import { unexpired } from "./expiry.ts";
import { eventsOf, recordOf } from "./items.ts";
import {
  ACTIVE_PARTITION,
  attemptKey,
  batchKey,
  concurrencyKey,
  EVENT_PREFIX,
  jobKey,
  masksKey,
  sealedKey,
  slotsKey,
  specKey,
  waitingPartition,
} from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { AttemptRecord, EventRecord, JobRecord, Life } from "./records.ts";
import { currentAttempt } from "./under-way.ts";

const PAGE = 1000;
/** Small enough that reading one does not hold up everything else on a table that answers at once. */
export const PLACE_PAGE = 250;

/** The job, or undefined when there is none or its batch was never accepted. */
export async function readJob({ table }: Ledger, jobId: string): Promise<JobRecord | undefined> {
  const item = await table.get(jobKey(jobId));
  if (item === undefined) return undefined;
  const job = recordOf<JobRecord>(item);
  if (job.stagedIn !== undefined && (await table.get(batchKey(job.stagedIn))) === undefined) return undefined;
  return job;
}

async function readAttempt({ table }: Ledger, jobId: string, attempt: number): Promise<AttemptRecord | null> {
  const item = await table.get(attemptKey(jobId, attempt));
  return item === undefined ? null : recordOf<AttemptRecord>(item);
}

/** The job and its current attempt. */
export async function readLife(ledger: Ledger, jobId: string): Promise<Life | undefined> {
  const job = await readJob(ledger, jobId);
  if (job === undefined) return undefined;
  return { job, attempt: currentAttempt(job, await readAttempt(ledger, jobId, job.attempt)) };
}

/** Every attempt of a job, in order. */
export async function readAttempts({ table }: Ledger, jobId: string): Promise<AttemptRecord[]> {
  // The job first: what an attempt's item says later than that is the whole of it.
  const job = await table.get(jobKey(jobId));
  if (job === undefined) return [];
  const page = await table.query({ pk: `JOB#${jobId}`, sk: { prefix: "ATTEMPT#" }, limit: PAGE });
  return page.items.map((item) => {
    const stored = recordOf<AttemptRecord>(item);
    return currentAttempt(recordOf<JobRecord>(job), stored) ?? stored;
  });
}

/** Events of a job with a seq above `after`, in order. */
export async function readEvents(
  { table }: Ledger,
  jobId: string,
  { after, limit }: { after: number; limit: number },
): Promise<EventRecord[]> {
  const from = `${EVENT_PREFIX}${String(after).padStart(8, "0")}`;
  // An item has the key of its last event: the first one found may begin before.
  const page = await table.query({ pk: `JOB#${jobId}`, sk: { prefix: EVENT_PREFIX, after: from }, limit });
  return page.items
    .flatMap(eventsOf)
    .filter(({ seq }) => seq > after)
    .slice(0, limit);
}

/** The redacted spec, as people may see it. */
export async function readSpec({ table }: Ledger, jobId: string): Promise<JobSpec | undefined> {
  const item = await table.get(specKey(jobId));
  return item?.spec as JobSpec | undefined;
}

/** The sealed full spec; undefined once its retention is over. */
export async function readSealed(ledger: Ledger, jobId: string): Promise<Uint8Array | undefined> {
  return bytesOf(unexpired(ledger, await ledger.table.get(sealedKey(jobId))));
}

/**
 * The sealed values to mask in an attempt's log; undefined when there are none. As long as the item is there they are
 * masked, expired or not: what was not removed yet can only hide more.
 * @throws LongshoreError UNKNOWN when there were some and the item is damaged: nothing may be shown unmasked then.
 */
export async function readMasks({ table }: Ledger, jobId: string, attempt: number): Promise<Uint8Array | undefined> {
  const item = await table.get(masksKey(jobId, attempt));
  if (item !== undefined && typeof item.data !== "string") {
    throw new LongshoreError("UNKNOWN", "the item with the values to mask is damaged");
  }
  return bytesOf(item);
}

function bytesOf(item: Item | undefined): Uint8Array | undefined {
  const data = item?.data;
  return typeof data === "string" ? Buffer.from(data, "base64") : undefined;
}

/**
 * Jobs of a lane that wait for a slot: by priority, then by age; without those that wait behind their concurrency key.
 * The index may lag; only a commit decides.
 */
export function readWaiting(
  { table }: Ledger,
  { runtime, lane }: { runtime: string; lane: string },
  page: { limit: number; cursor?: string },
): Promise<Page> {
  return table.query({ index: "index2", pk: waitingPartition(runtime, lane), ...page });
}

/**
 * Every job that Longshore still has work with, in the order of their ids, in pages of PLACE_PAGE; the last one is shorter.
 * @param after only those behind this id; default all.
 */
export function readActive(ledger: Ledger, after?: string): AsyncGenerator<JobRecord[]> {
  return readPlace(ledger, ACTIVE_PARTITION, after);
}

/** Every job in one place of the index of places: those that are active, wait in a lane, or wait for their keys; in pages. */
export async function* readPlace({ table }: Ledger, place: string, after?: string): AsyncGenerator<JobRecord[]> {
  const sk = after === undefined ? {} : { sk: { after } };
  let cursor: string | undefined;
  do {
    const query = { index: "index2" as const, pk: place, ...sk, limit: PLACE_PAGE };
    const page: Page = await table.query(cursor === undefined ? query : { ...query, cursor });
    yield page.items.map((item) => recordOf<JobRecord>(item));
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** Slots of a runtime that are in use, over all shards. */
export async function slotsInUse(ledger: Ledger, runtime: string): Promise<number> {
  return (await slotsByShard(ledger, runtime)).reduce((sum, inUse) => sum + inUse, 0);
}

/** Slots of a runtime that are in use, for each shard. */
export async function slotsByShard({ table, limits }: Ledger, runtime: string): Promise<number[]> {
  const shards = Array.from({ length: limits.shards }, (_, shard) => table.get(slotsKey(runtime, shard)));
  return (await Promise.all(shards)).map(count);
}

/** Jobs with this concurrency key that hold a slot. */
export async function keyInUse({ table }: Ledger, key: string): Promise<number> {
  return count(await table.get(concurrencyKey(key)));
}

function count(item: Item | undefined): number {
  return typeof item?.count === "number" ? item.count : 0;
}
