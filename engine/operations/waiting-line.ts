import type { Contender } from "../admission.ts";
import { recordOf } from "../ledger/items.ts";
import type { Lane } from "../ledger/lanes.ts";
import { type Ledger, shardBound } from "../ledger/ledger.ts";
import { readWaiting, slotsByShard } from "../ledger/read.ts";
import type { JobRecord } from "../ledger/records.ts";

/** Jobs read at once when those that could be used were not among the first. */
const PAGE = 100;

/** The jobs that wait in one lane, read as far as they are asked for. */
export interface Line extends Contender {
  /** The next jobs, at most `n`; none when nobody else waits. */
  take(n: number): Promise<JobRecord[]>;
  /** Jobs that were taken but found no slot: the first ones again. */
  putBack(jobs: JobRecord[]): void;
  /** Takes those that were read and have one of these concurrency keys. */
  stepAside(fullKeys: ReadonlySet<string>): JobRecord[];
  /** One of its jobs was admitted. */
  served(nowMs: number): void;
}

/** The line of a lane, as it is read in one pass of admission. */
export function createLine(ledger: Ledger, runtime: string, lane: Lane): Line {
  const ahead: JobRecord[] = [];
  let cursor: string | undefined;
  let reads = 0;
  let ended = false;

  async function read(n: number): Promise<void> {
    // The first read takes no more than are needed; where that was not enough, many may have to be passed by.
    const limit = reads++ === 0 ? Math.min(n, PAGE) : PAGE;
    const page = await readWaiting(
      ledger,
      { runtime, lane: lane.lane },
      cursor === undefined ? { limit } : { limit, cursor },
    );
    ahead.push(...page.items.map((item) => recordOf<JobRecord>(item)));
    cursor = page.cursor;
    ended = cursor === undefined;
  }

  return {
    waiting: lane.waiting,
    running: lane.running,
    servedAtMs: lane.servedAtMs,
    waitingSinceSeconds: lane.waitingSinceSeconds,
    async take(n) {
      if (ahead.length === 0 && !ended) await read(n);
      const jobs = ahead.splice(0, n);
      // What the counter says may be more than the index shows, or less: it is what can be read that counts.
      this.waiting = ahead.length === 0 && ended ? 0 : Math.max(1, this.waiting - jobs.length);
      return jobs;
    },
    putBack(jobs) {
      ahead.unshift(...jobs);
      this.waiting += jobs.length;
    },
    stepAside(fullKeys) {
      const aside = ahead.filter(({ concurrencyKey: key }) => key !== null && fullKeys.has(key));
      const rest = ahead.filter((job) => !aside.includes(job));
      ahead.splice(0, ahead.length, ...rest);
      return aside;
    },
    served(nowMs) {
      this.running++;
      this.servedAtMs = nowMs;
    },
  };
}

/** Slots that a pass may still fill, by shard. */
export interface FreeSlots {
  free(): number;
  /** A shard with a free slot, which then counts as taken: this one if it has any; null when there is none. */
  take(preferred: number | null): number | null;
  giveBack(shard: number): void;
  /** The shard turned out to be full. */
  exhausted(shard: number): void;
}

/** The free slots of a runtime, as they were when they were counted. */
export async function freeSlots(ledger: Ledger, runtime: string): Promise<FreeSlots> {
  const { maxConcurrent, shards } = ledger.limits;
  const inUse = await slotsByShard(ledger, runtime);
  const free = inUse.map((n, shard) => Math.max(0, shardBound(maxConcurrent(runtime), shard, shards) - n));
  return {
    free: () => free.reduce((sum, n) => sum + n, 0),
    take(preferred) {
      const shard = preferred !== null && (free[preferred] ?? 0) > 0 ? preferred : free.indexOf(Math.max(...free));
      const n = free[shard] ?? 0;
      if (n === 0) return null;
      free[shard] = n - 1;
      return shard;
    },
    giveBack(shard) {
      free[shard] = (free[shard] ?? 0) + 1;
    },
    exhausted(shard) {
      free[shard] = 0;
    },
  };
}
