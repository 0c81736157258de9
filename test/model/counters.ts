import { concurrencyKey, laneKey, queueKey, slotsKey } from "../../engine/ledger/keys.ts";
import { type LedgerLimits, shardBound } from "../../engine/ledger/ledger.ts";
import type { JobRecord } from "../../engine/ledger/records.ts";
import type { Item, Key } from "../../engine/ports/table.ts";
import type { MemoryTable } from "../lab/memory-table.ts";

/** What one job adds to a counter. */
interface Share {
  key: Key;
  counts: Record<string, number>;
}

/** The counters of queue, slots, keys and lanes, counted once more from the jobs, commit by commit. */
export interface Counters {
  isCounter(pk: string): boolean;
  /** The staged jobs of a batch count in the queue from here on. */
  batchAccepted(batch: Item, touch: (key: Key) => void): void;
  jobChanged(before: JobRecord | undefined, after: JobRecord | undefined, touch: (key: Key) => void): void;
  /** What is wrong with one of these counters, if anything is. */
  compare(keys: Iterable<Key>, table: MemoryTable): string | undefined;
}

const COUNTER = /^(QUEUE|SLOTS|CONCURRENCY|LANES)#/;

export function createCounters(limits: LedgerLimits): Counters {
  const expected = new Map<string, Record<string, number>>();
  const batches = new Map<string, number>();

  function count({ key, counts }: Share, sign: 1 | -1): void {
    const id = `${key.pk} ${key.sk}`;
    const so = expected.get(id) ?? {};
    for (const [name, n] of Object.entries(counts)) so[name] = (so[name] ?? 0) + sign * n;
    expected.set(id, so);
  }

  function sharesOf(job: JobRecord): Share[] {
    if (job.stagedIn !== undefined) {
      const shard = batches.get(job.stagedIn);
      return shard === undefined ? [] : [{ key: queueKey(shard), counts: { count: 1 } }];
    }
    const shares: Share[] = [];
    const { runtime, lane, queueShard, slotShard } = job;
    if (queueShard !== null) {
      shares.push({ key: queueKey(queueShard), counts: { count: 1 } });
      const sinceSum = Math.floor(Date.parse(job.createdAt) / 1000);
      if (!job.parked) shares.push({ key: laneKey(runtime, lane, queueShard), counts: { waiting: 1, sinceSum } });
    }
    if (slotShard !== null) {
      shares.push({ key: slotsKey(runtime, slotShard), counts: { count: 1 } });
      shares.push({ key: laneKey(runtime, lane, slotShard), counts: { running: 1 } });
      if (job.concurrencyKey !== null) shares.push({ key: concurrencyKey(job.concurrencyKey), counts: { count: 1 } });
    }
    return shares;
  }

  function boundOf({ pk }: Key): number {
    const [kind, name = "", shard] = pk.split("#");
    if (kind === "CONCURRENCY") return limits.maxPerKey(name);
    if (kind === "SLOTS") return shardBound(limits.maxConcurrent(name), Number(shard), limits.shards);
    return Number.POSITIVE_INFINITY;
  }

  return {
    isCounter: (pk) => COUNTER.test(pk),
    batchAccepted(batch, touch) {
      const shard = batch.queueShard as number;
      const [first = ""] = batch.jobIds as string[];
      batches.set(first, shard);
      const key = queueKey(shard);
      touch(key);
      count({ key, counts: { count: (batch.jobIds as string[]).length } }, 1);
    },
    jobChanged(before, after, touch) {
      for (const [job, sign] of [
        [before, -1],
        [after, 1],
      ] as const) {
        for (const share of job === undefined ? [] : sharesOf(job)) {
          touch(share.key);
          count(share, sign);
        }
      }
    },
    compare(keys, table) {
      for (const key of keys) {
        const item = table.peek(key);
        for (const [name, n] of Object.entries(expected.get(`${key.pk} ${key.sk}`) ?? { count: 0 })) {
          const stored = Number(item?.[name] ?? 0);
          if (stored !== n) return `the counter ${key.pk} ${key.sk} says ${name} ${stored}, the jobs say ${n}`;
          if (name === "count" && n > boundOf(key))
            return `the counter ${key.pk} is ${n}, its bound is ${boundOf(key)}`;
        }
      }
      return undefined;
    },
  };
}
