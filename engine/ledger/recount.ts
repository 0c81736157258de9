import { type Change, ConflictError, type Item, type Key } from "../ports/table.ts";
import { nextTurn } from "../turn.ts";
import { readStagedJobs } from "./batch.ts";
import {
  ACTIVE_PARTITION,
  concurrencyKey,
  laneKey,
  parkedPartition,
  queueKey,
  slotsKey,
  waitingPartition,
} from "./keys.ts";
import { LANE_COUNTS, laneShares, readLaneItems } from "./lanes.ts";
import type { Ledger } from "./ledger.ts";
import { readPlace } from "./read.ts";
import type { JobRecord } from "./records.ts";

/** A counter that did not say what the jobs say. */
export interface Correction {
  /** `QUEUE#0`, `SLOTS#docker#0`, `CONCURRENCY#db-main`, `LANES#docker#0 default`. */
  counter: string;
  /** Which of its numbers. */
  name: string;
  was: number;
  is: number;
}

/** The first look judges, the second confirms; the others are for counters that changed while they were looked at. */
const MAX_LOOKS = 4;
/** From this look on nothing else gets its turn in between, so that it ends however busy the counters are. */
const UNDISTURBED_LOOK = 3;
/** That would keep everything else waiting for too long when there are more jobs than this: about 50 ms. */
const MAX_UNDISTURBED_JOBS = 2000;

type Numbers = Record<string, number>;

/** What the jobs add up to for one counter. */
interface Sum {
  key: Key;
  numbers: Numbers;
  /** Whether a look with this scope has read the counter. */
  isIn(scope: Scope): boolean;
}

/** One counter after a look: how far it is off, by number, and how often it changed while the jobs were read. */
interface Reading {
  key: Key;
  numbers: Numbers;
  off: Numbers;
  corrections: number;
  changes: number;
  disturbed: boolean;
}

/**
 * Counts every counter again from the jobs (queue, slots, concurrency keys, lanes) and corrects those that are wrong.
 * Its work grows with the jobs that wait or run.
 *
 * The race that it wins: jobs move while they are counted. Every commit that changes a counter also counts up its
 * `changes`, so a counter is judged only when it stood still from before the jobs were read until after. How far it is
 * off cannot change by what jobs do, since a commit changes the job and its counter together: so the difference is
 * added, not the sum set, and what happens between the look and the correction stays counted. The guard on
 * `corrections` lets one of two that saw the same difference through.
 *
 * @param runtimes every runtime whose jobs the ledger may hold: one left out would make the queue look too full.
 * @returns what was corrected, and whether every counter could be judged.
 */
export async function recount(
  ledger: Ledger,
  runtimes: readonly string[],
): Promise<{ corrections: Correction[]; settled: boolean }> {
  const corrections: Correction[] = [];
  const suspects = new Map<string, string>();
  let scope: Scope = { runtimes: new Set(runtimes), keys: new Set(), undisturbed: false };
  let mayHoldUp = false;
  for (let look = 1; look <= MAX_LOOKS; look++) {
    await nextTurn();
    const seen = await readAll(ledger, { ...scope, undisturbed: look >= UNDISTURBED_LOOK && mayHoldUp });
    // Unless something is certainly wrong, what many jobs are busy with can wait until they are less so.
    mayHoldUp ||= seen.jobs <= MAX_UNDISTURBED_JOBS || seen.readings.some(isCertainlyOff);
    let open = seen.scope.keys.size > scope.keys.size || seen.scope.runtimes.size > scope.runtimes.size;
    scope = seen.scope;
    for (const reading of seen.readings) {
      if (reading.disturbed) open = true;
      const wrong = Object.entries(reading.off).filter(([, n]) => n !== 0);
      if (reading.disturbed || wrong.length === 0) continue;
      const { pk, sk } = reading.key;
      const finding = JSON.stringify(wrong);
      // An index may lag behind the counters: what is seen once is not believed.
      if (suspects.get(`${pk} ${sk}`) === finding) corrections.push(...(await correct(ledger, reading)));
      else {
        suspects.set(`${pk} ${sk}`, finding);
        open = true;
      }
    }
    if (!open) return { corrections, settled: true };
  }
  return { corrections, settled: false };
}

/** Off by more than what changed while it was looked at can explain. */
function isCertainlyOff({ off, changes, disturbed }: Reading): boolean {
  const counts = Object.entries(off).filter(([name]) => name !== "sinceSum");
  return disturbed && counts.some(([, n]) => Math.abs(n) > changes);
}

async function correct({ table }: Ledger, reading: Reading): Promise<Correction[]> {
  const { key, off, numbers, corrections } = reading;
  const wrong = Object.entries(off).filter(([, n]) => n !== 0);
  // Those that are right too: an item that was made here must have all of them.
  const add = Object.fromEntries(Object.entries(off).map(([name, n]) => [name, 0 - n]));
  const guard = { atMost: { corrections } };
  const change: Change = { kind: "patch", key, add: { ...add, changes: 1, corrections: 1 }, guard };
  try {
    await table.commit([change]);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    return [];
  }
  const counter = key.sk === "COUNT" ? key.pk : `${key.pk} ${key.sk}`;
  return wrong.map(([name, n]) => ({ counter, name, was: numbers[name] ?? 0, is: (numbers[name] ?? 0) - n }));
}

/** Whose counters are read: what a look finds on jobs beyond it, the next one reads. */
interface Scope {
  runtimes: ReadonlySet<string>;
  keys: ReadonlySet<string>;
  /** Nothing else gets its turn while the jobs are read, where the table answers at once. */
  undisturbed: boolean;
}

/** One look: the counters, the jobs, and the counters again. */
async function readAll(ledger: Ledger, scope: Scope): Promise<{ readings: Reading[]; scope: Scope; jobs: number }> {
  const before = await readCounters(ledger, scope);
  // Before the others: one that is published meanwhile is found among them, or counts as it was.
  const staged = await readStagedJobs(ledger);
  const sums = new Map<string, Sum>();
  let count = 0;
  const found = { runtimes: new Set(scope.runtimes), keys: new Set(scope.keys) };
  const places = [
    ACTIVE_PARTITION,
    ...[...scope.runtimes].map(parkedPartition),
    ...before.lanes.map(({ runtime, lane }) => waitingPartition(runtime, lane)),
  ];
  for (const place of places) {
    for await (const jobs of readPlace(ledger, place)) {
      count += jobs.length;
      for (const job of jobs) {
        staged.delete(job.jobId);
        tally(sums, job);
        found.runtimes.add(job.runtime);
        if (job.concurrencyKey !== null) found.keys.add(job.concurrencyKey);
      }
      if (!scope.undisturbed) await nextTurn();
    }
  }
  for (const shard of staged.values()) addTo(sums, { key: queueKey(shard), numbers: { count: 1 }, isIn: () => true });
  const after = await readCounters(ledger, scope);
  const ids = new Set([...before.items.keys(), ...after.items.keys(), ...sums.keys()]);
  const readings = [...ids].flatMap((id): Reading[] => {
    const [was, is, sum] = [before.items.get(id), after.items.get(id), sums.get(id)];
    const key = sum?.key ?? was?.key ?? is?.key;
    if (key === undefined || (sum !== undefined && !sum.isIn(scope))) return [];
    return [compare({ key, was: was?.item, is: is?.item, sum: sum?.numbers })];
  });
  return { readings: withMoves(readings), scope: { ...scope, ...found }, jobs: count };
}

/**
 * A job that goes behind its concurrency key or comes back changes its lane's counter and not the queue's, and may have
 * been read in both places or in none.
 */
function withMoves(readings: Reading[]): Reading[] {
  if (!readings.some(({ key, disturbed }) => disturbed && key.pk.startsWith("LANES#"))) return readings;
  return readings.map((reading) => (reading.key.pk.startsWith("QUEUE#") ? { ...reading, disturbed: true } : reading));
}

function compare(look: { key: Key; was: Item | undefined; is: Item | undefined; sum: Numbers | undefined }): Reading {
  const { key, was, is, sum } = look;
  const names = key.sk === "COUNT" ? ["count"] : LANE_COUNTS;
  const numbers = numbersOf(is, names);
  const off = Object.fromEntries(names.map((name) => [name, (numbers[name] ?? 0) - (sum?.[name] ?? 0)]));
  const watched = [...names, "changes", "corrections"];
  const disturbed = JSON.stringify(numbersOf(was, watched)) !== JSON.stringify(numbersOf(is, watched));
  const changes = Number(is?.changes ?? 0) - Number(was?.changes ?? 0);
  return { key, numbers, off, corrections: Number(is?.corrections ?? 0), changes, disturbed };
}

function numbersOf(item: Item | undefined, names: readonly string[]): Numbers {
  return Object.fromEntries(names.map((name) => [name, Number(item?.[name] ?? 0)]));
}

interface Counters {
  items: Map<string, { key: Key; item: Item | undefined }>;
  /** The lanes that have a counter. */
  lanes: { runtime: string; lane: string }[];
}

/** Every counter, from the base table; of the concurrency keys those of the scope. */
async function readCounters(ledger: Ledger, { runtimes, keys }: Scope): Promise<Counters> {
  const items: Counters["items"] = new Map();
  const lanes = new Map<string, { runtime: string; lane: string }>();
  const note = ({ pk, sk }: Key, item: Item | undefined) => items.set(`${pk} ${sk}`, { key: { pk, sk }, item });
  const get = async (key: Key) => note(key, await ledger.table.get(key));
  for (let shard = 0; shard < ledger.limits.shards; shard++) {
    await get(queueKey(shard));
    for (const runtime of runtimes) {
      await get(slotsKey(runtime, shard));
      for (const item of await readLaneItems(ledger, runtime, shard)) {
        note(item, item);
        lanes.set(waitingPartition(runtime, item.sk), { runtime, lane: item.sk });
      }
    }
  }
  for (const key of keys) await get(concurrencyKey(key));
  return { items, lanes: [...lanes.values()] };
}

/** What one job counts for: the same that the commits that brought it there have added. */
function tally(sums: Map<string, Sum>, job: JobRecord): void {
  const { runtime, concurrencyKey: name } = job;
  const ofRuntime = (scope: Scope) => scope.runtimes.has(runtime);
  const add = (key: Key, numbers: Numbers, isIn = ofRuntime) => addTo(sums, { key, numbers, isIn });
  if (job.queueShard !== null) add(queueKey(job.queueShard), { count: 1 }, () => true);
  if (job.slotShard !== null) {
    add(slotsKey(runtime, job.slotShard), { count: 1 });
    if (name !== null) add(concurrencyKey(name), { count: 1 }, (scope) => scope.keys.has(name));
  }
  for (const { shard, ...counts } of laneShares(job)) add(laneKey(runtime, job.lane, shard), { ...counts });
}

function addTo(sums: Map<string, Sum>, { key, numbers, isIn }: Sum): void {
  const id = `${key.pk} ${key.sk}`;
  const sum = sums.get(id) ?? { key, numbers: {}, isIn };
  for (const [name, n] of Object.entries(numbers)) sum.numbers[name] = (sum.numbers[name] ?? 0) + n;
  sums.set(id, sum);
}
