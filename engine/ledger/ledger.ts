import type { Clock } from "../ports/clock.ts";
import type { Table } from "../ports/table.ts";

/** Bounds that the ledger keeps in its conditional writes. */
export interface LedgerLimits {
  /** Jobs waiting at most. */
  maxQueued: number;
  /** Jobs at once on a runtime. */
  maxConcurrent(runtime: string): number;
  /** Jobs at once with one concurrency key. */
  maxPerKey(key: string): number;
  /** How many counters share each bound: 1 on one machine, more where one partition could get too hot. */
  shards: number;
  /** How long a sealed spec is kept after its job has ended, seconds. */
  sealedRetentionSeconds: number;
}

/** What every conditional write of the ledger works with. */
export interface Ledger {
  table: Table;
  limits: LedgerLimits;
  clock: Clock;
}

/** The part of a bound that one shard keeps: the shards' parts add up to exactly the bound. */
export function shardBound(bound: number, shard: number, shards: number): number {
  return Math.floor(bound / shards) + (shard < bound % shards ? 1 : 0);
}
