import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accept } from "../../../engine/ledger/accept.ts";
import { advance } from "../../../engine/ledger/advance.ts";
import type { LedgerLimits } from "../../../engine/ledger/ledger.ts";
import { park } from "../../../engine/ledger/park.ts";
import type { JobRecord } from "../../../engine/ledger/records.ts";
import { admitWaiting, wakeParked } from "../../../engine/operations/admit.ts";
import { describeJob } from "../../../engine/operations/describe.ts";
import { drive } from "../../../engine/operations/drive.ts";
import { reconcile } from "../../../engine/operations/reconcile.ts";
import type { Change, Key, Table } from "../../../engine/ports/table.ts";
import { acceptJob, everyJob, recounted, storedCounters, submission } from "../ledger/fixtures.ts";
import { occurrences } from "../lives.ts";
import { lifeOf, openWorld, type World } from "./world.ts";

let world: World;
let seen = 0;
async function open(limits: Partial<LedgerLimits>): Promise<void> {
  await world.dispose();
  world = await openWorld(limits);
  seen = 0;
}
beforeEach(async () => {
  world = await openWorld();
  seen = 0;
});
afterEach(() => world.dispose());

const LANE_SIZE = 20;

/** Accepts many jobs, some a commit. */
async function acceptMany(count: number, patch: Partial<JobRecord>): Promise<void> {
  for (let at = 0; at < count; at += LANE_SIZE) {
    const size = Math.min(LANE_SIZE, count - at);
    await accept(
      world.ledger,
      Array.from({ length: size }, () => submission(world.ledger, patch)),
      null,
    );
  }
}

/** What the change feed has to tell since the last time, driven. */
async function pump(): Promise<void> {
  const records = await world.ledger.sqlite.feed.read(seen, 50_000);
  seen = records.at(-1)?.position ?? seen;
  await drive(
    world.ctx,
    records.map(({ item }) => item),
  );
}

const running = async () => (await everyJob(world.ledger.sqlite)).filter(({ slotShard }) => slotShard !== null);

/** Ends a job that holds a slot; a millisecond passes. */
async function end({ jobId, attempt }: Pick<JobRecord, "jobId" | "attempt">): Promise<void> {
  world.ledger.nowMs++;
  const { DISPATCH, START, EXIT, FINISH } = occurrences(attempt);
  for (const one of [DISPATCH, START, EXIT, FINISH]) await advance(world.ledger, jobId, one);
}

/** The names of the lanes in the order in which their jobs were admitted, one ending after the other. */
async function served(count: number): Promise<string[]> {
  const lanes: string[] = [];
  while (lanes.length < count) {
    const [job] = await running();
    if (job === undefined) break;
    lanes.push(job.lane);
    await end(job);
    await pump();
  }
  return lanes;
}

async function expectTrueCounters(keys: string[] = []): Promise<void> {
  const names = { runtimes: ["stub"], keys };
  const counted = recounted(await everyJob(world.ledger.sqlite), world.ledger, names);
  expect(await storedCounters({ ...world.ledger, table: world.ledger.sqlite }, names.runtimes, keys)).toEqual(counted);
}

describe("lanes", () => {
  test("with a thousand jobs do not starve one with a single one", async () => {
    await open({ maxConcurrent: () => 2, maxQueued: 2000 });
    await acceptMany(1000, { lane: "a" });
    await admitWaiting(world.ctx, "stub");
    expect((await running()).map(({ lane }) => lane)).toEqual(["a", "a"]);
    const single = await acceptJob(world.ledger, { lane: "b" });
    const [first] = await running();
    await end(first as JobRecord);
    await pump();
    expect((await lifeOf(world, single)).job.slotShard).toBe(0);
    await expectTrueCounters();
  });

  test("take turns on a single slot", async () => {
    await open({ maxConcurrent: () => 1 });
    await acceptMany(20, { lane: "a" });
    await acceptMany(6, { lane: "b" });
    await acceptMany(3, { lane: "c" });
    await pump();
    const order = await served(15);
    expect(order.slice(0, 9).toSorted().join("")).toBe("aaabbbccc");
    expect(order.slice(9, 15).toSorted().join("")).toBe("aaabbb");
  });

  test("of any number are each served before one is served twice", async () => {
    await open({ maxConcurrent: () => 7 });
    for (let n = 0; n < 40; n++) await acceptMany(1 + (n % 3) * 10, { lane: `lane-${n}` });
    await pump();
    expect(new Set((await running()).map(({ lane }) => lane)).size).toBe(7);
    const admitted = new Set<string>();
    for (let n = 0; n < 40 - 7 + 1; n++) {
      for (const { lane } of await running()) admitted.add(lane);
      const [job] = await running();
      await end(job as JobRecord);
      await pump();
    }
    expect(admitted.size).toBe(40);
  });

  test("keep to priority, then age, each by itself", async () => {
    await open({ maxConcurrent: () => 1 });
    const names: Record<string, string> = {};
    const all: [string, string, number][] = [
      ["a0", "a", 0],
      ["a9", "a", 9],
      ["b-5", "b", -5],
      ["b0", "b", 0],
      ["a9+", "a", 9],
    ];
    for (const [name, lane, priority] of all) names[await acceptJob(world.ledger, { lane, priority })] = name;
    const order: string[] = [];
    await pump();
    for (let [job] = await running(); job !== undefined; [job] = await running()) {
      order.push(names[job.jobId] ?? "");
      await end(job);
      await pump();
    }
    expect(order.filter((name) => name.startsWith("a"))).toEqual(["a9", "a9+", "a0"]);
    expect(order.filter((name) => name.startsWith("b"))).toEqual(["b0", "b-5"]);
    // Another lane's priority pushes nobody back.
    expect(order.indexOf("b0")).toBeLessThan(2);
  });

  test.each([1, 3])("use every slot of %i shards", async (shards) => {
    await open({ maxConcurrent: () => 7, shards });
    await acceptMany(30, { lane: "a" });
    await acceptMany(1, { lane: "b" });
    await admitWaiting(world.ctx, "stub");
    expect(await running()).toHaveLength(7);
    expect((await running()).filter(({ lane }) => lane === "b")).toHaveLength(1);
    await expectTrueCounters();
  });

  test("that nobody uses any more are forgotten but for the default one, and counted again when they are back", async () => {
    await acceptMany(1, { lane: "default" });
    await pump();
    await served(1);
    await acceptMany(1, { lane: "a" });
    await pump();
    expect(await served(1)).toEqual(["a"]);
    const lanes = async () => (await world.ledger.table.query({ pk: "LANES#stub#0" })).items.map(({ sk }) => sk);
    expect(await lanes()).toEqual(["a", "default"]);
    world.ledger.nowMs += 61_000;
    await admitWaiting(world.ctx, "stub");
    expect(await lanes()).toEqual(["default"]);
    await acceptMany(2, { lane: "a" });
    await pump();
    expect(await running()).toHaveLength(2);
    await expectTrueCounters();
  });
});

describe("jobs behind a concurrency key", () => {
  /** Counts what is read and committed by the work. */
  async function counting(work: () => Promise<unknown>): Promise<{ reads: number; items: number; commits: number }> {
    const { table } = world.ledger;
    const counted = { reads: 0, items: 0, commits: 0 };
    const counter: Table = {
      get(key) {
        counted.reads++;
        return table.get(key);
      },
      async query(query) {
        const page = await table.query(query);
        counted.reads++;
        counted.items += page.items.length;
        return page;
      },
      commit(changes) {
        counted.commits++;
        return table.commit(changes);
      },
      close: () => table.close(),
    };
    world.ledger.table = counter;
    try {
      await work();
    } finally {
      world.ledger.table = table;
    }
    return counted;
  }

  test("by the ten thousand are not looked at by every pass", async () => {
    await open({ maxConcurrent: () => 4, maxQueued: 20_000 });
    await acceptMany(10_000, { concurrencyKey: "db-main" });
    const others = [await acceptJob(world.ledger, { priority: -5 }), await acceptJob(world.ledger, { priority: -5 })];
    await admitWaiting(world.ctx, "stub");
    expect(await running()).toHaveLength(3);
    for (const jobId of others) expect((await lifeOf(world, jobId)).job.slotShard).toBe(0);
    expect((await counting(() => admitWaiting(world.ctx, "stub"))).items).toBeLessThan(5);
    const holder = (await running()).find(({ concurrencyKey }) => concurrencyKey !== null) as JobRecord;
    await end(holder);
    seen = (await world.ledger.sqlite.feed.read(0, 50_000)).at(-2)?.position ?? 0;
    const { reads, items, commits } = await counting(pump);
    expect({ reads: reads < 30, items: items < 30, commits: commits < 10 }).toEqual({
      reads: true,
      items: true,
      commits: true,
    });
    const next = (await running()).filter(({ concurrencyKey }) => concurrencyKey !== null);
    expect(next.map(({ jobId }) => jobId)).not.toEqual([holder.jobId]);
    expect(next).toHaveLength(1);
    await expectTrueCounters(["db-main"]);
  });

  test("run one after the other to the last, by priority, whatever their lanes", async () => {
    for (const [n, lane] of ["a", "a", "b", "a", "b"].entries()) {
      await acceptJob(world.ledger, { concurrencyKey: "k#1/é", lane, priority: n });
    }
    await pump();
    const order: number[] = [];
    for (let jobs = await running(); jobs.length > 0; jobs = await running()) {
      expect(jobs).toHaveLength(1);
      order.push(jobs[0]?.priority ?? 0);
      await end(jobs[0] as JobRecord);
      await pump();
      await expectTrueCounters(["k#1/é"]);
    }
    expect(order.filter((n) => n === 2 || n === 4)).toEqual([4, 2]);
    expect(order.filter((n) => n !== 2 && n !== 4)).toEqual([3, 1, 0]);
  });

  test("share it between their lanes", async () => {
    await acceptMany(20, { concurrencyKey: "k", lane: "a" });
    await pump();
    await acceptMany(2, { concurrencyKey: "k", lane: "b" });
    await pump();
    expect((await served(4)).toSorted().join("")).toBe("aabb");
    await expectTrueCounters(["k"]);
  });

  test("are not put there when the key is freed at the same moment", async () => {
    const [holder, late] = [
      await acceptJob(world.ledger, { concurrencyKey: "k" }),
      await acceptJob(world.ledger, { concurrencyKey: "k" }),
    ];
    await pump();
    await wakeParked(world.ctx, "stub");
    const { table } = world.ledger;
    const before = (await lifeOf(world, late)).job;
    const woken = { ...before, parked: false };
    // Between the look at the key and the commit, its holder ends.
    let freed = false;
    const racing = {
      ...world.ledger,
      table: {
        ...table,
        get: (key: Key) => table.get(key),
        async commit(changes: Change[]) {
          if (!freed) await end((await lifeOf(world, holder)).job);
          freed = true;
          await table.commit(changes);
        },
      },
    };
    expect(await park(racing, [woken], "k")).toBe(false);
    expect(freed).toBe(true);
    expect((await lifeOf(world, late)).job).toEqual(before);
  });

  test("are woken when the one that was to be next is cancelled", async () => {
    await open({ maxConcurrent: () => 2 });
    const ids = [];
    for (let n = 0; n < 4; n++) ids.push(await acceptJob(world.ledger, { concurrencyKey: "k" }));
    await pump();
    const [first = "", second = "", third = ""] = ids;
    // Two others take the slots, so that the key's next one waits for a slot and not for its key.
    await end(await lifeOf(world, first).then(({ job }) => job));
    await acceptMany(2, { lane: "b", priority: 100 });
    await admitWaiting(world.ctx, "stub");
    await pump();
    const waiting = (await everyJob(world.ledger.sqlite)).filter(({ queueShard }) => queueShard !== null);
    expect(waiting.filter(({ parked }) => !parked).map(({ jobId }) => jobId)).toEqual([second]);
    await advance(world.ledger, second, { type: "CANCEL", by: "me" });
    for (const job of await running()) await end(job);
    await pump();
    expect((await running()).map(({ jobId }) => jobId)).toEqual([third]);
    await expectTrueCounters(["k"]);
  });

  test("cancelled there leave no trace in the counters", async () => {
    const ids = [];
    for (let n = 0; n < 3; n++) ids.push(await acceptJob(world.ledger, { concurrencyKey: "k" }));
    await pump();
    expect((await lifeOf(world, ids[2] ?? "")).job.parked).toBe(true);
    for (const jobId of ids.slice(1)) await advance(world.ledger, jobId, { type: "CANCEL", by: "me" });
    expect((await lifeOf(world, ids[2] ?? "")).job).toMatchObject({ parked: false, queueShard: null });
    await expectTrueCounters(["k"]);
  });

  test("whose wake-up was lost are found by the reconciler", async () => {
    const ids = [];
    for (let n = 0; n < 3; n++) ids.push(await acceptJob(world.ledger, { concurrencyKey: "k" }));
    await pump();
    const [holder] = await running();
    await end(holder as JobRecord);
    // A pass alone does not see them.
    await admitWaiting(world.ctx, "stub");
    expect(await running()).toEqual([]);
    await reconcile(world.ctx, { touchedBefore: 0 });
    expect(await running()).toHaveLength(1);
  });

  test("woken for nothing go back behind their key, and no two of them run", async () => {
    for (let n = 0; n < 5; n++) await acceptJob(world.ledger, { concurrencyKey: "k", lane: `lane-${n}` });
    await Promise.all([admitWaiting(world.ctx, "stub"), admitWaiting(world.ctx, "stub")]);
    for (let round = 0; round < 5; round++) {
      const [holder, ...more] = await running();
      expect(more).toEqual([]);
      await end(holder as JobRecord);
      await Promise.all([
        wakeParked(world.ctx, "stub"),
        pump(),
        wakeParked(world.ctx, "stub", ["k"]),
        admitWaiting(world.ctx, "stub"),
      ]);
      await pump();
      await expectTrueCounters(["k"]);
    }
    expect(await running()).toEqual([]);
    expect((await everyJob(world.ledger.sqlite)).every(({ status }) => status === "SUCCEEDED")).toBe(true);
  });

  test("say so, and those that wait for a slot say that", async () => {
    await open({ maxConcurrent: () => 1 });
    await acceptJob(world.ledger, { concurrencyKey: "k" });
    await pump();
    const behind = await acceptJob(world.ledger, { concurrencyKey: "k" });
    const other = await acceptJob(world.ledger, { lane: "b" });
    await pump();
    const reason = async (jobId: string) =>
      (await describeJob(world.ctx, (await lifeOf(world, jobId)).job)).waitReason?.code;
    expect([await reason(behind), await reason(other)]).toEqual(["KEY_CONCURRENCY", "RUNTIME_CONCURRENCY"]);
  });
});

test.each([1, 2, 3, 4, 5, 6])(
  "200 submissions and admissions that die anywhere keep every counter and bound (%i)",
  async (seed) => {
    await open({ maxConcurrent: () => 9, maxQueued: 60, shards: 1 + (seed % 3) });
    const patch = (n: number): Partial<JobRecord> => ({
      lane: `lane-${n % 5}`,
      concurrencyKey: n % 3 === 0 ? `k${n % 2}` : null,
    });
    const jobs = Array.from({ length: 200 }, (_, n) => submission(world.ledger, patch(n)));
    for (let at = 0; at < jobs.length; at += 50) {
      world.crash.at(7 + ((seed * 31 + at) % 90), at % 100 === 0 ? "before" : "after");
      const submitting = jobs.slice(at, at + 50).map((one) => accept(world.ledger, [one], null));
      const admitting = [1, 2, 3].map(() => admitWaiting(world.ctx, "stub"));
      await Promise.allSettled([...submitting, ...admitting, pump()]);
      world.crash.revive();
      await expectTrueCounters(["k0", "k1"]);
      await admitWaiting(world.ctx, "stub");
      const stored = await everyJob(world.ledger.sqlite);
      expect(stored.filter(({ queueShard }) => queueShard !== null).length).toBeLessThanOrEqual(60);
      expect(stored.filter(({ slotShard }) => slotShard !== null).length).toBeLessThanOrEqual(9);
      for (const job of (await running()).slice(0, 4)) await end(job);
    }
    // Whatever died: everybody who was accepted gets a turn.
    for (let rounds = 0; rounds < 300; rounds++) {
      await reconcile(world.ctx, { touchedBefore: 0 });
      const all = await running();
      if (all.length === 0) break;
      for (const job of all) await end(job);
    }
    const stored = await everyJob(world.ledger.sqlite);
    expect(stored.length).toBeGreaterThan(60);
    expect(stored.filter(({ status }) => status !== "SUCCEEDED")).toEqual([]);
    await expectTrueCounters(["k0", "k1"]);
  },
);
