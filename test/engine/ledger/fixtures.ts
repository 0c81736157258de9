import { createSqliteTable, type SqliteTable } from "../../../adapters/table/sqlite/index.ts";
import { type JobId, mintedAt, mintJobId } from "../../../engine/ids.ts";
import { accept, type Submission } from "../../../engine/ledger/accept.ts";
import { submittedEvent } from "../../../engine/ledger/batch.ts";
import { eventsOf, recordOf } from "../../../engine/ledger/items.ts";
import {
  concurrencyKey,
  LIST_SHARDS,
  lanesPartition,
  listPartition,
  queueKey,
  slotsKey,
} from "../../../engine/ledger/keys.ts";
import type { Ledger, LedgerLimits } from "../../../engine/ledger/ledger.ts";
import type { EventRecord, JobRecord } from "../../../engine/ledger/records.ts";
import type { Item, Table } from "../../../engine/ports/table.ts";
import { parseJobSpec } from "../../../engine/spec/parse.ts";
import { newJob } from "../lives.ts";

export const START = Date.parse("2026-03-04T05:06:07.000Z");

export interface TestLedger extends Ledger {
  table: Table;
  sqlite: SqliteTable;
  /** Milliseconds; set it to move the clock. */
  nowMs: number;
}

export interface LedgerOptions extends Partial<LedgerLimits> {
  file?: string;
  /** Puts something between the ledger and its table. */
  wrap?: (table: SqliteTable) => Table;
}

/** A ledger on a real table, in memory unless a file is given, with a clock that stands still. */
export function openLedger({ file = ":memory:", wrap = (table) => table, ...limits }: LedgerOptions = {}): TestLedger {
  const sqlite = createSqliteTable({ file });
  const ledger: TestLedger = {
    sqlite,
    table: wrap(sqlite),
    nowMs: START,
    clock: () => ledger.nowMs,
    limits: {
      maxQueued: 1000,
      maxConcurrent: () => 1000,
      maxPerKey: () => 1,
      shards: 1,
      sealedRetentionSeconds: 86_400,
      ...limits,
    },
  };
  return ledger;
}

const spec = parseJobSpec({ name: "nightly", runtime: "stub" });

/** A submission as `submit` makes it. */
export function submission(ledger: Ledger, patch: Partial<JobRecord> = {}): Submission {
  const jobId = patch.jobId ?? mintJobId(ledger.clock());
  const job = newJob({ ...patch, jobId, createdAt: mintedAt(jobId) });
  return { job, redacted: spec, sealed: Buffer.from("sealed"), submitted: submittedEvent(job) };
}

/** Where the jobs of these tests wait. */
export const STUB_LINE = { runtime: "stub", lane: "default" };

/** Accepts one job and gives its id. */
export async function acceptJob(ledger: Ledger, patch: Partial<JobRecord> = {}): Promise<JobId> {
  const one = submission(ledger, patch);
  await accept(ledger, [one], null);
  return one.job.jobId;
}

/** All items under a key, over as many pages as there are. */
async function everyItem(table: Table, query: Parameters<Table["query"]>[0]): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const page = await table.query(cursor === undefined ? query : { ...query, cursor });
    items.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return items;
}

/** Every job that a list of this month could show, straight from its index. */
export async function everyJob(table: Table, month = "2026-03"): Promise<JobRecord[]> {
  const shards = Array.from({ length: LIST_SHARDS }, (_, shard) =>
    everyItem(table, { index: "index1", pk: listPartition(month, shard) }),
  );
  return (await Promise.all(shards)).flat().map((item) => recordOf<JobRecord>(item));
}

export async function everyEvent(table: Table, jobId: string): Promise<EventRecord[]> {
  const items = await everyItem(table, { pk: `JOB#${jobId}`, sk: { prefix: "EVENT#" } });
  return items.flatMap(eventsOf);
}

export interface Counters {
  queue: number[];
  slots: Record<string, number[]>;
  keys: Record<string, number>;
  /** By runtime and lane, those in which somebody waits or runs; by shard. */
  lanes: Record<string, LaneCounters[]>;
}

export interface LaneCounters {
  waiting: number;
  running: number;
  sinceSum: number;
}

const NO_LANE: LaneCounters = { waiting: 0, running: 0, sinceSum: 0 };

function used(lanes: Record<string, LaneCounters[]>): Record<string, LaneCounters[]> {
  const inUse = (shards: LaneCounters[]) => shards.some((one) => Object.values(one).some((n) => n !== 0));
  return Object.fromEntries(Object.entries(lanes).filter(([, shards]) => inUse(shards)));
}

async function storedLanes(ledger: Ledger, runtimes: string[]): Promise<Record<string, LaneCounters[]>> {
  const lanes: Record<string, LaneCounters[]> = {};
  for (const runtime of runtimes) {
    for (let shard = 0; shard < ledger.limits.shards; shard++) {
      for (const { sk, waiting, running, sinceSum } of await everyItem(ledger.table, {
        pk: lanesPartition(runtime, shard),
      })) {
        lanes[`${runtime}/${sk}`] ??= Array.from({ length: ledger.limits.shards }, () => NO_LANE);
        const counters = { waiting: Number(waiting), running: Number(running), sinceSum: Number(sinceSum) };
        (lanes[`${runtime}/${sk}`] as LaneCounters[])[shard] = counters;
      }
    }
  }
  return used(lanes);
}

function recountedLanes(jobs: JobRecord[], shards: number[], runtimes: string[]): Record<string, LaneCounters[]> {
  const lanes: Record<string, LaneCounters[]> = {};
  for (const job of jobs.filter(({ runtime }) => runtimes.includes(runtime))) {
    lanes[`${job.runtime}/${job.lane}`] ??= shards.map(() => ({ ...NO_LANE }));
    const counters = lanes[`${job.runtime}/${job.lane}`] as LaneCounters[];
    const waits = job.queueShard === null || job.parked ? undefined : counters[job.queueShard];
    if (waits !== undefined) {
      waits.waiting++;
      waits.sinceSum += Math.floor(Date.parse(job.createdAt) / 1000);
    }
    const runs = job.slotShard === null ? undefined : counters[job.slotShard];
    if (runs !== undefined) runs.running++;
  }
  return used(lanes);
}

/** The counters as they are stored. */
export async function storedCounters(ledger: Ledger, runtimes: string[], keys: string[]): Promise<Counters> {
  const shards = Array.from({ length: ledger.limits.shards }, (_, shard) => shard);
  const countOf = async (key: { pk: string; sk: string }) => Number((await ledger.table.get(key))?.count ?? 0);
  const of = async <T>(names: string[], read: (name: string) => Promise<T>) =>
    Object.fromEntries(await Promise.all(names.map(async (name) => [name, await read(name)] as const)));
  return {
    queue: await Promise.all(shards.map((shard) => countOf(queueKey(shard)))),
    slots: await of(runtimes, (runtime) => Promise.all(shards.map((shard) => countOf(slotsKey(runtime, shard))))),
    keys: await of(keys, (key) => countOf(concurrencyKey(key))),
    lanes: await storedLanes(ledger, runtimes),
  };
}

/** The same counters, counted from the jobs. */
export function recounted(jobs: JobRecord[], ledger: Ledger, names: { runtimes: string[]; keys: string[] }): Counters {
  const shards = Array.from({ length: ledger.limits.shards }, (_, shard) => shard);
  const count = (matches: (job: JobRecord) => boolean) => jobs.filter(matches).length;
  return {
    queue: shards.map((shard) => count((job) => job.queueShard === shard)),
    slots: Object.fromEntries(
      names.runtimes.map((runtime) => [
        runtime,
        shards.map((shard) => count((job) => job.runtime === runtime && job.slotShard === shard)),
      ]),
    ),
    keys: Object.fromEntries(
      names.keys.map((key) => [key, count((job) => job.concurrencyKey === key && job.slotShard !== null)]),
    ),
    lanes: recountedLanes(jobs, shards, names.runtimes),
  };
}
