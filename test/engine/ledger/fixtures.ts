import { createSqliteTable, type SqliteTable } from "../../../adapters/table/sqlite/index.ts";
import { type JobId, mintedAt, mintJobId } from "../../../engine/ids.ts";
import { accept, type Submission } from "../../../engine/ledger/accept.ts";
import { submittedEvent } from "../../../engine/ledger/batch.ts";
import { recordOf } from "../../../engine/ledger/items.ts";
import { concurrencyKey, LIST_SHARDS, listPartition, queueKey, slotsKey } from "../../../engine/ledger/keys.ts";
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
  return items.map((item) => recordOf<EventRecord>(item));
}

export interface Counters {
  queue: number[];
  slots: Record<string, number[]>;
  keys: Record<string, number>;
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
  };
}
