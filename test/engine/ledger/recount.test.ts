import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type JobId, mintJobId } from "../../../engine/ids.ts";
import { accept } from "../../../engine/ledger/accept.ts";
import { advance } from "../../../engine/ledger/advance.ts";
import { publishAccepted, publishStaged } from "../../../engine/ledger/batch.ts";
import { jobItem } from "../../../engine/ledger/items.ts";
import { concurrencyKey, laneKey, queueKey, slotsKey } from "../../../engine/ledger/keys.ts";
import { laneChanges, readLanes } from "../../../engine/ledger/lanes.ts";
import { park } from "../../../engine/ledger/park.ts";
import { readLife } from "../../../engine/ledger/read.ts";
import type { JobRecord } from "../../../engine/ledger/records.ts";
import { recount } from "../../../engine/ledger/recount.ts";
import type { Key, Query, Table } from "../../../engine/ports/table.ts";
import { acceptJob, everyJob, openLedger, recounted, storedCounters, submission, type TestLedger } from "./fixtures.ts";

const RUNTIMES = ["stub", "other"];
const KEYS = ["k", "l"];
const SHARDS = 2;
let ledger: TestLedger;
/** Called before each query that the ledger makes, so that a test can let something happen in between. */
let beforeQuery: (query: Query) => Promise<void>;

beforeEach(() => {
  beforeQuery = async () => undefined;
  const wrap = (inner: Table): Table => ({
    get: (key) => inner.get(key),
    commit: (changes) => inner.commit(changes),
    close: () => inner.close(),
    async query(query) {
      await beforeQuery(query);
      return await inner.query(query);
    },
  });
  ledger = openLedger({ wrap, maxQueued: 10_000, shards: SHARDS, maxPerKey: () => 2 });
});
afterEach(() => ledger.sqlite.close());

const admit = (jobId: JobId, slotShard = 0) => advance(ledger, jobId, { type: "ADMIT", attempt: 1, slotShard });
const jobOf = async (jobId: JobId) => (await readLife(ledger, jobId))?.job as JobRecord;

/** Jobs in every place where one can be: waiting, parked, with a slot, ended; on two runtimes, lanes and shards. */
async function populate(): Promise<void> {
  for (let n = 0; n < 40; n++) {
    const jobId = await acceptJob(ledger, {
      runtime: RUNTIMES[n % 2] as string,
      lane: n % 3 === 0 ? "batch" : "default",
      concurrencyKey: n % 5 === 0 ? (KEYS[n % 2] as string) : null,
    });
    if (n % 4 === 0) await admit(jobId, n % SHARDS).catch(() => undefined);
    if (n % 7 === 0) await advance(ledger, jobId, { type: "CANCEL", by: "me" });
  }
  const waiting = (await everyJob(ledger.table)).filter((job) => job.queueShard !== null && job.concurrencyKey === "k");
  await park(ledger, waiting, "k");
}

const asStored = () => storedCounters(ledger, RUNTIMES, KEYS);
const asCounted = async () => recounted(await everyJob(ledger.table), ledger, { runtimes: RUNTIMES, keys: KEYS });
const falsify = (key: Key, add: Record<string, number>) => ledger.sqlite.commit([{ kind: "patch", key, add }]);
const count = () => recount(ledger, RUNTIMES);

/** An id whose job counts on the shard. */
function idOnShard(shard: number): JobId {
  for (;;) {
    const jobId = mintJobId(ledger.nowMs);
    if (jobId.charCodeAt(jobId.length - 1) % SHARDS === shard) return jobId;
  }
}

/** A counter of each sort, with what is wrong about it. */
const FAULTS: [string, Key, Record<string, number>][] = [
  ["queue", queueKey(0), { count: 3 }],
  ["queue", queueKey(1), { count: -2 }],
  ["slots", slotsKey("stub", 0), { count: 5 }],
  ["slots", slotsKey("stub", 1), { count: -1 }],
  ["slots of a shard that nobody uses", slotsKey("other", 1), { count: 2 }],
  ["concurrency key", concurrencyKey("k"), { count: 1 }],
  ["concurrency key", concurrencyKey("l"), { count: -1 }],
  ["lane, waiting", laneKey("stub", "default", 0), { waiting: 2, sinceSum: 12_345 }],
  ["lane, running", laneKey("other", "batch", 1), { running: -1 }],
  ["lane that nobody uses", laneKey("stub", "nobody", 0), { waiting: 1 }],
];

describe("recount", () => {
  test("of an empty ledger finds nothing", async () => {
    expect(await count()).toEqual({ corrections: [], settled: true });
  });

  test("of counters that are right writes nothing", async () => {
    await populate();
    const before = await asStored();
    expect(before).toEqual(await asCounted());
    expect(await count()).toEqual({ corrections: [], settled: true });
    expect(await asStored()).toEqual(before);
  });

  test.each(FAULTS)("corrects a wrong counter: %s %j %j", async (_what, key, wrong) => {
    await populate();
    await falsify(key, wrong);
    expect(await asStored()).not.toEqual(await asCounted());
    const { corrections, settled } = await count();
    expect(settled).toBe(true);
    const counter = key.sk === "COUNT" ? key.pk : `${key.pk} ${key.sk}`;
    expect(corrections.map(({ was, is, ...rest }) => ({ ...rest, by: was - is }))).toEqual(
      Object.entries(wrong).map(([name, by]) => ({ counter, name, by })),
    );
    expect(await asStored()).toEqual(await asCounted());
    expect(await count()).toEqual({ corrections: [], settled: true });
  });

  test("corrects all of them at once", async () => {
    await populate();
    for (const [, key, wrong] of FAULTS) await falsify(key, wrong);
    expect((await count()).settled).toBe(true);
    expect(await asStored()).toEqual(await asCounted());
  });

  test("makes counters again that were removed", async () => {
    await populate();
    const keys = [queueKey(0), queueKey(1), slotsKey("stub", 0), concurrencyKey("k")];
    await ledger.sqlite.commit(keys.map((key) => ({ kind: "delete" as const, key })));
    await count();
    expect(await asStored()).toEqual(await asCounted());
  });

  test("counts jobs of a runtime that is not offered any more", async () => {
    await populate();
    await acceptJob(ledger, { runtime: "gone" });
    await admit(await acceptJob(ledger, { runtime: "gone" }));
    expect(await recount(ledger, [...RUNTIMES, "gone"])).toEqual({ corrections: [], settled: true });
  });
});

describe("recount of an accepted batch whose submitter died before its jobs were published", () => {
  async function acceptedUnpublished() {
    const all = Array.from({ length: 30 }, () => submission(ledger, { runtime: "stub" }));
    const dies: typeof ledger.table.commit = async (changes) => {
      if (changes.some((change) => change.kind === "put" && change.guard?.equals?.stagedIn !== undefined))
        throw new Error("the process died");
      await ledger.table.commit(changes);
    };
    const table = { ...ledger.table, commit: dies };
    await expect(accept({ ...ledger, table }, all, null)).rejects.toThrow("the process died");
    return all.map(({ job }) => job.jobId);
  }
  const queued = async () => (await asStored()).queue.reduce((sum, n) => sum + n, 0);

  test("leaves them their places in the queue", async () => {
    await populate();
    const before = await queued();
    await acceptedUnpublished();
    expect(await count()).toEqual({ corrections: [], settled: true });
    expect(await queued()).toBe(before + 30);
  });

  test("counts each once that is published meanwhile", async () => {
    const jobIds = await acceptedUnpublished();
    beforeQuery = async ({ pk }) => {
      if (pk === "ACTIVE") await publishStaged(ledger, jobIds.slice(0, 10));
      if (pk.startsWith("WAITING#")) await publishStaged(ledger, jobIds.slice(10, 20));
    };
    expect((await count()).corrections).toEqual([]);
    beforeQuery = async () => undefined;
    await publishAccepted(ledger);
    expect(await asStored()).toEqual(await asCounted());
    expect(await queued()).toBe(30);
  });
});

describe("recount while jobs move", () => {
  test("corrects what was wrong and nothing else, whatever happens in between", async () => {
    await populate();
    for (const [, key, wrong] of FAULTS) await falsify(key, wrong);
    let moves = 0;
    const admitted: JobId[] = [];
    beforeQuery = async ({ index }) => {
      if (index !== "index2" || moves >= 30) return;
      moves++;
      const one = await acceptJob(ledger, { runtime: "stub" });
      if (moves % 2 === 0) {
        await admit(one, moves % SHARDS);
        admitted.push(one);
      }
      if (moves % 5 === 0)
        await advance(ledger, admitted.shift() as JobId, { type: "STOP", attempt: 1, reason: "cancel" });
      if (moves % 3 === 0) await advance(ledger, one, { type: "CANCEL", by: "me" });
    };
    for (let n = 0; n < 20 && !(await count()).settled; n++);
    expect(moves).toBe(30);
    expect(await asStored()).toEqual(await asCounted());
  });

  test("believes nothing of a counter that changed, even if it came back to where it was", async () => {
    const shard = 0;
    const comes = (lane: string) => acceptJob(ledger, { lane, jobId: idOnShard(shard) });
    await comes("batch");
    const others = await Promise.all(Array.from({ length: 10 }, () => comes("default")));
    let looks = 0;
    beforeQuery = async ({ pk }) => {
      if (pk !== "WAITING#stub#default") return;
      looks++;
      // One goes that was not read yet, and another comes where everything has been read: neither is counted, in no
      // look, and the queue's counter says the same before and after.
      await advance(ledger, others.shift() as JobId, { type: "CANCEL", by: "me" });
      await comes("batch");
    };
    const { corrections } = await count();
    beforeQuery = async () => undefined;
    expect(looks).toBeGreaterThan(1);
    expect(corrections).toEqual([]);
    expect(await asStored()).toEqual(await asCounted());
  });

  test("counts a job once in the queue that comes back from behind its key meanwhile, look after look", async () => {
    const jobId = await acceptJob(ledger, { runtime: "stub", concurrencyKey: "k" });
    const put = async (parked: boolean) => {
      const before = await jobOf(jobId);
      if (before.parked === parked) return;
      const after = { ...before, parked, version: before.version + 1 };
      const item = { kind: "put" as const, item: jobItem(after), guard: { equals: { version: before.version } } };
      await ledger.sqlite.commit([item, ...laneChanges(ledger, [{ before, after }])]);
    };
    const stored = (await asStored()).queue;
    beforeQuery = async ({ pk }) => {
      if (pk === "ACTIVE") await put(true);
      if (pk.startsWith("WAITING#stub")) await put(false);
    };
    expect((await count()).corrections).toEqual([]);
    expect((await asStored()).queue).toEqual(stored);
  });

  test("believes nothing that only one look has seen: an index may lag", async () => {
    await populate();
    const { table } = ledger;
    let lags = true;
    const behind: Table = {
      ...table,
      async query(query) {
        const page = await table.query(query);
        if (query.pk !== "WAITING#stub#default" || !lags) return page;
        lags = false;
        return { items: page.items.slice(1) };
      },
    };
    expect(await recount({ ...ledger, table: behind }, RUNTIMES)).toEqual({ corrections: [], settled: true });
    expect(lags).toBe(false);
    expect(await asStored()).toEqual(await asCounted());
  });

  test("a correction is made once by two that have seen the same", async () => {
    await populate();
    await falsify(slotsKey("stub", 0), { count: 5 });
    const both = await Promise.all([count(), count()]);
    expect(both.flatMap(({ corrections }) => corrections)).toHaveLength(1);
    expect(await asStored()).toEqual(await asCounted());
  });

  test("a correction that comes late, after another one made it, does nothing", async () => {
    await populate();
    await falsify(slotsKey("stub", 0), { count: 5 });
    // The first stands still just before it writes, and a second one is done meanwhile.
    const { table } = ledger;
    const paused = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const slow = {
      ...ledger,
      table: {
        ...table,
        commit: async (changes: Parameters<Table["commit"]>[0]) => {
          arrived.resolve();
          await paused.promise;
          await table.commit(changes);
        },
      },
    };
    const first = recount(slow, RUNTIMES);
    await arrived.promise;
    expect((await count()).corrections).toHaveLength(1);
    paused.resolve();
    expect((await first).corrections).toEqual([]);
    expect(await asStored()).toEqual(await asCounted());
  });
});

test("a lane in which jobs wait is never forgotten, whatever its counter says", async () => {
  const jobId = await acceptJob(ledger, { lane: "batch" });
  const shard = (await jobOf(jobId)).queueShard ?? 0;
  const { createdAt } = await jobOf(jobId);
  await falsify(laneKey("stub", "batch", shard), { waiting: -1, sinceSum: -Math.floor(Date.parse(createdAt) / 1000) });
  ledger.nowMs += 3_600_000;
  expect(await readLanes(ledger, "stub")).toEqual([]);
  await count();
  expect(await readLanes(ledger, "stub")).toMatchObject([{ lane: "batch", waiting: 1 }]);
});

describe("recount of counters that never stand still", () => {
  /** Submits and cancels go on in turns of their own, as those of other requests do. */
  async function underLoad<T>(work: () => Promise<T>): Promise<T> {
    let goesOn = true;
    const load = (async () => {
      while (goesOn) await advance(ledger, await acceptJob(ledger), { type: "CANCEL", by: "me" });
    })();
    try {
      return await work();
    } finally {
      goesOn = false;
      await load;
    }
  }

  test("corrects them all the same", async () => {
    await populate();
    await falsify(queueKey(0), { count: 1 });
    const { corrections, settled } = await underLoad(count);
    expect({ settled, wrong: corrections.map(({ counter, was, is }) => [counter, was - is]) }).toEqual({
      settled: true,
      wrong: [["QUEUE#0", 1]],
    });
    expect(await asStored()).toEqual(await asCounted());
  });

  test("of very many jobs waits for a quieter time, unless it is certain that something is wrong", async () => {
    for (let n = 0; n < 105; n++) {
      await accept(
        ledger,
        Array.from({ length: 20 }, () => submission(ledger)),
        null,
      );
    }
    await falsify(queueKey(0), { count: 1 });
    expect(await underLoad(count)).toEqual({ corrections: [], settled: false });
    await falsify(queueKey(0), { count: 500 });
    expect((await underLoad(count)).corrections).toMatchObject([{ counter: "QUEUE#0", name: "count" }]);
    expect((await asStored()).queue).toEqual((await asCounted()).queue);
  });
});
