import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type JobId, mintedAt, mintJobId } from "../../../engine/ids.ts";
import { attemptItem, jobItem } from "../../../engine/ledger/items.ts";
import { roundKey } from "../../../engine/ledger/keys.ts";
import { LEASE_MS, takeLease } from "../../../engine/ledger/lease.ts";
import { seenAliveAtMs } from "../../../engine/ledger/looks.ts";
import { PLACE_PAGE } from "../../../engine/ledger/read.ts";
import { noteRound } from "../../../engine/ledger/round.ts";
import { RECONCILE_DUTY, type ReconcileOptions, reconcile } from "../../../engine/operations/reconcile.ts";
import type { Owned, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { CrashError } from "../../lab/faulty-table.ts";
import { newJob } from "../lives.ts";
import { eventsOf, lifeOf, openWorld, typesOf, type World } from "./world.ts";

let world: World;
/** What is on the runtime, by reference. */
let there: Map<string, Owned>;
/** The references that the runtime was asked about, one by one. */
let asked: string[];
/** What a question about one of them costs, ms. */
let askMs = 0;

beforeEach(async () => {
  world = await openWorld();
  there = new Map();
  asked = [];
  askMs = 0;
  world.runtime.list = async function* () {
    yield* there.values();
  };
  world.runtime.status = async (ref) => {
    asked.push(ref);
    world.ledger.nowMs += askMs;
    return there.get(ref)?.status ?? UNKNOWN;
  };
  world.runtime.cleanup = async (ref) => void there.delete(ref);
});
afterEach(() => world.dispose());

const UNKNOWN: RuntimeStatus = {
  phase: "unknown",
  exitCode: null,
  oom: false,
  failure: null,
  startedAt: null,
  finishedAt: null,
};
const PAGES = 3;
const JOBS = PAGES * PLACE_PAGE - 50;

const sweep = (options: Partial<ReconcileOptions> = {}) => {
  world.ledger.nowMs += 1;
  // Counting the counters again reads the active jobs too.
  return reconcile(world.ctx, { touchedBefore: world.ctx.clock(), recount: "never", ...options });
};
const refOf = (jobId: string) => `ref-${jobId}`;

function owned(jobId: string, patch: Partial<Owned> = {}): Owned {
  const startedAt = new Date(world.ledger.nowMs).toISOString();
  const status: RuntimeStatus = { ...UNKNOWN, phase: "running", startedAt };
  return { ref: refOf(jobId), externalName: `name-${jobId}`, jobId, attempt: 1, status, kept: false, ...patch };
}

/** Jobs that run by their records; those that `are` so also by the runtime. */
async function running(count: number, { are }: { are: boolean }): Promise<JobId[]> {
  const jobIds = Array.from({ length: count }, () => mintJobId(world.ledger.nowMs));
  const startedAt = new Date(world.ledger.nowMs).toISOString();
  for (let at = 0; at < count; at += 50) {
    const items = jobIds.slice(at, at + 50).flatMap((jobId) => {
      const job = newJob({
        ...{ jobId, createdAt: mintedAt(jobId), status: "RUNNING", phase: "running", queueShard: null, slotShard: 0 },
        ...{ startedAt, lastHeartbeatAt: startedAt, timeoutSeconds: 86_400, cleanupPending: false },
        ...{ externalRef: refOf(jobId), externalName: `name-${jobId}` },
      });
      const attempt = {
        ...{ attempt: 1, runtime: "stub", externalName: `name-${jobId}`, externalRef: refOf(jobId), token: jobId },
        ...{ startedAt, deadlineAt: new Date(world.ledger.nowMs + 86_400_000).toISOString(), stop: null, exit: null },
        ...{ error: null, finishedAt: null, logBase: 0, logLines: null },
      };
      const name = `${jobId}-1-0`;
      const input = { jobId, attempt: 1, generation: 0, runSeconds: 1 };
      world.executions.set(name, { name, input, token: jobId, completed: false });
      if (are) there.set(refOf(jobId), owned(jobId));
      return [jobItem(job), attemptItem(jobId, attempt)];
    });
    await world.ledger.sqlite.commit(items.map((item) => ({ kind: "put", item })));
  }
  return jobIds;
}

describe("a round of sweeps", () => {
  test("comes to every job once, however little time each sweep has", async () => {
    const jobIds = await running(JOBS, { are: false });
    askMs = 100;
    const reports = [];
    do {
      reports.push(await sweep({ until: world.ledger.nowMs + 10_000 }));
    } while (reports.at(-1)?.stopped === "time");
    expect(asked).toEqual(jobIds.map(refOf));
    // Those that had been begun when the time was over are finished: eight at once.
    expect(reports.length).toBeGreaterThanOrEqual(Math.floor(JOBS / 78));
    expect(reports.length).toBeLessThanOrEqual(Math.ceil(JOBS / 70) + 1);
    expect(reports.map(({ active }) => active)).toEqual([...reports.slice(1).map(() => null), JOBS]);
    expect(reports.reduce((sum, { looked }) => sum + looked, 0)).toBe(JOBS);
    expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
    expect(await world.ledger.sqlite.get(roundKey)).toBeUndefined();
    for (const jobId of jobIds.filter((_, at) => at % 97 === 0)) {
      expect((await typesOf(world, jobId)).filter((type) => type === "EXITED")).toHaveLength(1);
    }
  });

  test("does what concerns a runtime as a whole in each of its sweeps", async () => {
    await running(JOBS, { are: false });
    askMs = 100;
    let asks = 0;
    world.runtime.health = async () => {
      asks++;
      return { ok: true, message: "" };
    };
    // Somebody has a slot, so that the runtime is asked how it is.
    await world.ledger.sqlite.commit([
      { kind: "patch", key: { pk: "SLOTS#stub#0", sk: "COUNT" }, add: { count: 1, changes: 1 } },
    ]);
    const stopped = { looked: expect.any(Number), stopped: "time", active: null };
    for (let n = 1; n <= 3; n++) {
      expect(await sweep({ until: world.ledger.nowMs + 10_000 })).toMatchObject(stopped);
      expect(asks).toBe(n);
    }
  });

  test("removes an orphan in the sweep that comes to its job, and asks for no others", async () => {
    const jobIds = await running(JOBS, { are: true });
    const [first = "", last = ""] = [jobIds[0], jobIds.at(-1)];
    const stray = (jobId: string) => owned(jobId, { ref: `stray-${jobId}`, externalName: "x", attempt: 7 });
    for (const jobId of [first, last]) there.set(`stray-${jobId}`, stray(jobId));
    const none = owned("job_of_nobody", { ref: "stray" });
    there.set("stray", none);
    askMs = 0;
    // The first sweep has time for the first page only.
    let pages = 0;
    const { query } = world.ledger.table;
    world.ledger.table = {
      ...world.ledger.table,
      async query(asked) {
        const page = await query(asked);
        if (asked.pk === "ACTIVE" && ++pages === 2) world.ledger.nowMs += 8_000;
        return page;
      },
    };
    const reads: string[] = [];
    const { get } = world.ledger.table;
    world.ledger.table.get = async (key) => {
      reads.push(key.pk);
      return await get(key);
    };
    const rushed = await sweep({ until: world.ledger.nowMs + 10_000, touchedBefore: 0 });
    expect(rushed).toMatchObject({ looked: PLACE_PAGE, orphans: 1, stopped: "time" });
    expect([...new Set(reads.filter((pk) => pk.startsWith("JOB#")))]).toEqual([`JOB#${first}`]);
    expect([...there.keys()]).not.toContain(`stray-${first}`);
    expect(await sweep({ touchedBefore: 0 })).toMatchObject({ looked: JOBS - PLACE_PAGE, orphans: 2, stopped: null });
    expect(there.size).toBe(JOBS);
  });

  test("notes that all were alive when its first look began, and only at its end", async () => {
    await running(JOBS, { are: true });
    const { query } = world.ledger.table;
    let pages = 0;
    world.ledger.table = {
      ...world.ledger.table,
      async query(asked) {
        const page = await query(asked);
        if (asked.pk === "ACTIVE" && ++pages % 2 === 0) world.ledger.nowMs += 8_000;
        return page;
      },
    };
    const beganAtMs = world.ledger.nowMs + 1;
    expect(await sweep({ until: beganAtMs + 10_000 })).toMatchObject({ stopped: "time" });
    expect(await seenAliveAtMs(world.ledger, "stub")).toBe(0);
    expect(await sweep()).toMatchObject({ stopped: null, active: JOBS });
    expect(await seenAliveAtMs(world.ledger, "stub")).toBe(beganAtMs);
  });

  test("that misses one of the jobs says nothing of when all were alive", async () => {
    const [lost = ""] = await running(JOBS, { are: true });
    there.delete(refOf(lost));
    world.runtime.status = async () => Promise.reject(new Error("away"));
    expect(await sweep()).toMatchObject({ stopped: null, failed: 1 });
    expect(await seenAliveAtMs(world.ledger, "stub")).toBe(0);
  });

  test("in which a sweep dies goes on behind the page that it died in, and the next one comes to that", async () => {
    const jobIds = await running(JOBS, { are: true });
    const lost = jobIds.filter((_, at) => at % PLACE_PAGE === 10);
    for (const jobId of lost) there.delete(refOf(jobId));
    expect(lost).toHaveLength(PAGES);
    // Whoever looks at the lost one of the second page dies of it.
    const poison = refOf(lost[1] ?? "");
    const { status } = world.runtime;
    let deaths = 0;
    world.runtime.status = (ref) => {
      if (ref === poison && deaths++ === 0) world.crash.at(1, "before");
      return status(ref);
    };
    await sweep().catch((error: unknown) => expect(error).toBeInstanceOf(CrashError));
    expect(deaths).toBe(1);
    world.restart();
    world.ledger.nowMs += LEASE_MS;
    expect(await sweep()).toMatchObject({ looked: JOBS - 2 * PLACE_PAGE, active: null, stopped: null });
    const phase = async (jobId: string) => (await lifeOf(world, jobId)).job.phase;
    expect(await Promise.all(lost.map(phase))).toEqual(["collecting", "running", "collecting"]);
    expect(await seenAliveAtMs(world.ledger, "stub")).toBe(0);
    expect(await sweep()).toMatchObject({ looked: JOBS, active: JOBS, stopped: null });
    expect(await Promise.all(lost.map(phase))).toEqual(["collecting", "collecting", "collecting"]);
  });

  test("is not set back, nor ended, by a sweep that stood still and lost its lease", async () => {
    await running(JOBS, { are: true });
    const { query } = world.ledger.table;
    const arrived = Promise.withResolvers<void>();
    const paused = Promise.withResolvers<void>();
    let pages = 0;
    world.ledger.table = {
      ...world.ledger.table,
      async query(asked) {
        if (asked.pk === "ACTIVE" && ++pages === 3) {
          arrived.resolve();
          await paused.promise;
        }
        return await query(asked);
      },
    };
    const first = sweep();
    await arrived.promise;
    world.ledger.nowMs += LEASE_MS;
    const lease = await takeLease(world.ledger, RECONCILE_DUTY);
    if (lease === null) throw new Error("the lease was not free");
    const round = { after: "job_0", looked: 1, gap: false, looks: {} };
    await noteRound(world.ledger, lease, round);
    paused.resolve();
    expect(await first).toMatchObject({ stopped: "lease", active: null });
    expect(await world.ledger.sqlite.get(roundKey)).toMatchObject(round);
  });

  test("comes to a job that becomes active behind it in the next round", async () => {
    const jobIds = await running(JOBS, { are: true });
    const [early = ""] = jobIds;
    const { query } = world.ledger.table;
    let pages = 0;
    world.ledger.table = {
      ...world.ledger.table,
      async query(asked) {
        const page = await query(asked);
        // It was seen alive in the first page, and is lost when the second one is read.
        if (asked.pk === "ACTIVE" && ++pages === 2) {
          there.delete(refOf(early));
          world.ledger.nowMs += 8_000;
        }
        return page;
      },
    };
    expect(await sweep({ until: world.ledger.nowMs + 10_000 })).toMatchObject({ stopped: "time", lost: 0 });
    expect(await sweep()).toMatchObject({ lost: 0, stopped: null });
    expect(await sweep()).toMatchObject({ lost: 1, stopped: null, active: JOBS });
    expect((await eventsOf(world, early)).map(({ type }) => type)).toContain("EXITED");
  });
});

describe("jobs that their runtime shows running", () => {
  const reads = () => world.crash.calls().filter((call) => call === "get" || call === "isRunning").length;
  const counted = async (options: Partial<ReconcileOptions>) => {
    world.ledger.nowMs += 60_000;
    world.crash.at(Number.POSITIVE_INFINITY, "before");
    await sweep(options);
    return reads();
  };

  test("are looked at one by one, or only by chance", async () => {
    const before = await counted({ closely: "few" });
    await running(100, { are: true });
    world.ctx.random = () => 0.5;
    expect((await counted({ closely: "all" })) - before).toBeGreaterThanOrEqual(300);
    // How the runtime's slots stand is read once for all of them.
    expect((await counted({ closely: "few" })) - before).toBeLessThanOrEqual(3);
    world.ctx.random = () => 1 / 33;
    expect((await counted({ closely: "few" })) - before).toBeGreaterThanOrEqual(300);
  });

  test.each<[string, (jobId: string) => Promise<void> | void]>([
    ["is past its deadline", () => pass(2 * 86_400_000)],
    ["is to be cancelled", (jobId) => cancelled(jobId)],
    ["tells no time of its start", (jobId) => startedUnknown(jobId)],
  ])("are looked at when one %s", async (_, change) => {
    const [jobId = ""] = await running(1, { are: true });
    world.ctx.random = () => 0.5;
    const before = await counted({ closely: "few" });
    await change(jobId);
    expect((await counted({ closely: "few" })) - before).toBeGreaterThanOrEqual(2);
  });

  function pass(ms: number): void {
    world.ledger.nowMs += ms;
  }

  async function cancelled(jobId: string): Promise<void> {
    const { job } = await lifeOf(world, jobId);
    const item = jobItem({ ...job, cancelRequestedAt: new Date(world.ledger.nowMs).toISOString() });
    await world.ledger.sqlite.commit([{ kind: "put", item }]);
  }

  function startedUnknown(jobId: string): void {
    const one = owned(jobId);
    there.set(one.ref, { ...one, status: { ...one.status, startedAt: null } });
  }
});
