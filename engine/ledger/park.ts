import { type Change, ConflictError, type Item } from "../ports/table.ts";
import { jobItem, recordOf } from "./items.ts";
import { behind, concurrencyKey, parkedPartition, parkedPrefix } from "./keys.ts";
import { laneChanges } from "./lanes.ts";
import type { Ledger } from "./ledger.ts";
import { keyInUse } from "./read.ts";
import type { JobRecord } from "./records.ts";

/** With the key's counter, and the lanes' counters on all shards, this stays inside one commit. */
const JOBS_PER_COMMIT = 40;

/**
 * Puts waiting jobs behind their full concurrency key, where no pass of admission meets them again until `unpark`.
 * Jobs that changed meanwhile, and all when the key has room by now, stay where they are: false.
 *
 * The race that it wins: the key is freed at the same time. The guard on the key's counter lets a job be parked only
 * while the key is full, so that whoever frees the key afterwards finds it parked.
 */
export async function park(ledger: Ledger, jobs: JobRecord[], key: string): Promise<boolean> {
  const inUse = await keyInUse(ledger, key);
  if (inUse < ledger.limits.maxPerKey(key)) return false;
  const stillFull: Change[] =
    inUse === 0 ? [] : [{ kind: "check", key: concurrencyKey(key), guard: { equals: { count: inUse } } }];
  let all = true;
  for (let at = 0; at < jobs.length; at += JOBS_PER_COMMIT) {
    all = (await move(ledger, jobs.slice(at, at + JOBS_PER_COMMIT), { parked: true, with: stillFull })) && all;
  }
  return all;
}

/**
 * Brings the first of those back that wait behind a concurrency key on a runtime, of each lane as many as the key has
 * room for: which lane's turn it is, admission decides. Doing it twice, or for a key that is full again, is harmless.
 * @returns how many came back.
 */
export async function unpark(ledger: Ledger, runtime: string, key: string): Promise<number> {
  const room = ledger.limits.maxPerKey(key) - (await keyInUse(ledger, key));
  if (room <= 0) return 0;
  const prefix = parkedPrefix(key);
  let count = 0;
  for (let after = prefix; ; ) {
    const sk = { prefix, after };
    const page = await ledger.table.query({ index: "index2", pk: parkedPartition(runtime), sk, limit: 1 });
    const [first] = page.items;
    if (first === undefined) return count;
    const { lane } = recordOf<JobRecord>(first);
    count += await unparkLane(ledger, runtime, { prefix: `${prefix}${lane}#`, limit: Math.min(room, JOBS_PER_COMMIT) });
    after = behind(`${prefix}${lane}#`);
  }
}

async function unparkLane(
  ledger: Ledger,
  runtime: string,
  { prefix, limit }: { prefix: string; limit: number },
): Promise<number> {
  const page = await ledger.table.query({ index: "index2", pk: parkedPartition(runtime), sk: { prefix }, limit });
  const jobs = page.items.map((item) => recordOf<JobRecord>(item));
  if (await move(ledger, jobs, { parked: false, with: [] })) return jobs.length;
  // One of them changed: it must not keep the others back.
  const moved = await Promise.all(jobs.map((job) => move(ledger, [job], { parked: false, with: [] })));
  return moved.filter((done) => done).length;
}

/** The concurrency keys behind which jobs of a runtime wait: one read a key, however many wait there. */
export async function* parkedKeys({ table }: Ledger, runtime: string): AsyncGenerator<string> {
  let sk: { after: string } | undefined;
  for (;;) {
    const query = { index: "index2" as const, pk: parkedPartition(runtime), limit: 1 };
    const [first]: Item[] = (await table.query(sk === undefined ? query : { ...query, sk })).items;
    if (first === undefined) return;
    const key = recordOf<JobRecord>(first).concurrencyKey ?? "";
    yield key;
    sk = { after: behind(parkedPrefix(key)) };
  }
}

async function move(ledger: Ledger, jobs: JobRecord[], to: { parked: boolean; with: Change[] }): Promise<boolean> {
  const moves = jobs.map((before) => ({
    before,
    after: { ...before, parked: to.parked, version: before.version + 1 },
  }));
  const puts = moves.map(({ before, after }): Change => {
    return { kind: "put", item: jobItem(after), guard: { equals: { version: before.version } } };
  });
  try {
    await ledger.table.commit([...to.with, ...puts, ...laneChanges(ledger, moves)]);
    return true;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    return false;
  }
}
