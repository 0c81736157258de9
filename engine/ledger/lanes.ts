import { type Change, ConflictError, type Item, type Key, type Page } from "../ports/table.ts";
import { DEFAULT_LANE } from "../spec/limits.ts";
import { laneKey, lanesPartition, waitingPartition } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { JobRecord } from "./records.ts";

/** A job as it was and as it will be; no `before` for one that becomes visible. */
export interface LaneMove {
  before?: JobRecord;
  after: JobRecord;
}

/** How one lane of a runtime stands, over all shards. */
export interface Lane {
  lane: string;
  /** Jobs that could be admitted now, as far as their concurrency keys go. */
  waiting: number;
  /** Jobs that hold a slot. */
  running: number;
  /** When a job of the lane was admitted last, ms since the epoch; 0 when none was lately. */
  servedAtMs: number;
  /** The mean of when the waiting jobs were submitted, seconds since the epoch. */
  waitingSinceSeconds: number;
}

export interface LaneCounts {
  waiting: number;
  running: number;
  /** The sum of the submission times of those that wait, whole seconds: a sum can be kept by adding alone. */
  sinceSum: number;
}

export const LANE_COUNTS = ["waiting", "running", "sinceSum"] as const;

const PAGE = 1000;
/** A lane that nobody used for this long is forgotten. Not at once: a lane that is used again needs no new item. */
const IDLE_MS = 60_000;
/** Lanes forgotten per look: what is left is for the next one. */
const MAX_FORGOTTEN = 20;

/**
 * The changes of the lanes' counters that follow from jobs that change. The counters are nothing but a sum over the
 * jobs, so that they can be counted again from them; only `servedAt` and `touchedAt` are more, and decide nothing but
 * an order. No key twice: changes of one counter are added up.
 */
export function laneChanges({ clock }: Ledger, moves: LaneMove[]): Change[] {
  const patches = new Map<string, { key: Key; add: LaneCounts }>();
  const countAll = (job: JobRecord, sign: 1 | -1): void => {
    for (const { shard, ...counts } of laneShares(job)) {
      const key = laneKey(job.runtime, job.lane, shard);
      const id = `${key.pk} ${key.sk}`;
      const patch = patches.get(id) ?? { key, add: { waiting: 0, running: 0, sinceSum: 0 } };
      for (const name of LANE_COUNTS) patch.add[name] += sign * counts[name];
      patches.set(id, patch);
    }
  };
  for (const { before, after } of moves) {
    if (before !== undefined) countAll(before, -1);
    countAll(after, 1);
  }
  const nowMs = clock();
  return [...patches.values()].flatMap(({ key, add }) => {
    if (Object.values(add).every((n) => n === 0)) return [];
    const set = add.running > 0 ? { touchedAt: nowMs, servedAt: nowMs } : { touchedAt: nowMs };
    return [{ kind: "patch" as const, key, add: { ...add, changes: 1 }, set }];
  });
}

/** What a job counts for in its lane, and on which shards. One behind its concurrency key counts for nothing. */
export function laneShares({
  queueShard,
  slotShard,
  parked,
  createdAt,
}: JobRecord): (LaneCounts & { shard: number })[] {
  const sinceSum = Math.floor(Date.parse(createdAt) / 1000);
  const waits = queueShard === null || parked ? [] : [{ shard: queueShard, waiting: 1, running: 0, sinceSum }];
  const runs = slotShard === null ? [] : [{ shard: slotShard, waiting: 0, running: 1, sinceSum: 0 }];
  return [...waits, ...runs];
}

/** The lanes of a runtime in which jobs wait or run, read from the base table, so that none is missed. */
export async function readLanes(ledger: Ledger, runtime: string): Promise<Lane[]> {
  const shards = Array.from({ length: ledger.limits.shards }, (_, shard) => readLaneItems(ledger, runtime, shard));
  const items = (await Promise.all(shards)).flat();
  await forgetIdle(ledger, runtime, items);
  const lanes = new Map<string, Lane & { sinceSum: number }>();
  for (const { sk: name, waiting, running, sinceSum, servedAt } of items) {
    const lane = lanes.get(name) ?? {
      lane: name,
      waiting: 0,
      running: 0,
      servedAtMs: 0,
      waitingSinceSeconds: 0,
      sinceSum: 0,
    };
    lane.waiting += Number(waiting);
    lane.running += Number(running);
    lane.sinceSum += Number(sinceSum);
    lane.servedAtMs = Math.max(lane.servedAtMs, Number(servedAt ?? 0));
    lanes.set(name, lane);
  }
  return [...lanes.values()]
    .filter(({ waiting, running }) => waiting > 0 || running > 0)
    .map(({ sinceSum, ...lane }) => ({ ...lane, waitingSinceSeconds: sinceSum / Math.max(1, lane.waiting) }));
}

/** The counters of the lanes of a runtime on one shard. */
export async function readLaneItems({ table }: Ledger, runtime: string, shard: number): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const query = { pk: lanesPartition(runtime, shard), limit: PAGE };
    const page: Page = await table.query(cursor === undefined ? query : { ...query, cursor });
    items.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return items;
}

/**
 * Removes the counters of named lanes that are empty and were not used for a while. Not on their own word: jobs in a lane that
 * nobody knows of would never be found, and a counter that is wrong can be counted again.
 *
 * The race that it loses on purpose: a job that comes to the lane meanwhile touches the counter, and the guard keeps it.
 */
async function forgetIdle({ table, clock }: Ledger, runtime: string, items: Item[]): Promise<void> {
  const before = clock() - IDLE_MS;
  // Whose lane nobody chose will be back: one item a shard, not worth a write for each pause between two jobs.
  const chosen = items.filter(({ sk }) => sk !== DEFAULT_LANE);
  const idle = chosen.filter(({ waiting, running, touchedAt }) => !waiting && !running && Number(touchedAt) < before);
  await Promise.all(
    idle.slice(0, MAX_FORGOTTEN).map(async ({ pk, sk, touchedAt }) => {
      const inIt = await table.query({ index: "index2", pk: waitingPartition(runtime, sk), limit: 1 });
      if (inIt.items.length > 0) return;
      const guard = { equals: { waiting: 0, running: 0, touchedAt: Number(touchedAt) } };
      try {
        await table.commit([{ kind: "delete", key: { pk, sk }, guard }]);
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
    }),
  );
}
