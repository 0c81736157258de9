import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import type { JobId } from "../../../engine/ids.ts";
import { advance } from "../../../engine/ledger/advance.ts";
import { publishBatch } from "../../../engine/ledger/batch.ts";
import { eraseJob, type JobItems, readJobItems } from "../../../engine/ledger/erase.ts";
import { logObject, specKey } from "../../../engine/ledger/keys.ts";
import { listJobs } from "../../../engine/ledger/list.ts";
import { readJob } from "../../../engine/ledger/read.ts";
import { listRuns } from "../../../engine/ledger/runs.ts";
import { type CleanupQuery, cleanUpRuns } from "../../../engine/operations/cleanup-runs.ts";
import { cancelJob, retryJob } from "../../../engine/operations/control.ts";
import { drive } from "../../../engine/operations/drive.ts";
import { eraseFinished, eraseRun } from "../../../engine/operations/erase-run.ts";
import { reconcile } from "../../../engine/operations/reconcile.ts";
import { recordRuns } from "../../../engine/operations/record-runs.ts";
import { replayDeadLetter } from "../../../engine/operations/replay.ts";
import { submitJob } from "../../../engine/operations/submit.ts";
import type { Retention } from "../../../engine/retention.ts";
import { START } from "../ledger/fixtures.ts";
import { ENDS, ran } from "../runs/ended.ts";
import { launched, lifeOf, openWorld, submitted, type World } from "./world.ts";

const DAY_MS = 86_400_000;

let world: World;
let nowMs = START;
/** Each world is later than the one before: ids never go back in one process, and a job is as old as its id says. */
async function openLater(): Promise<void> {
  world = await openWorld();
  nowMs += 110 * DAY_MS;
  world.ledger.nowMs = nowMs;
}
beforeEach(openLater);
afterEach(() => world.dispose());

/** What there is of a job anywhere. */
async function traces(jobId: string): Promise<string[]> {
  const { items } = await world.ledger.sqlite.query({ pk: `JOB#${jobId}`, limit: 1000 });
  const objects = (await Array.fromAsync(world.ctx.objects.list(""))).filter(({ key }) => key.includes(jobId));
  return [...items.map(({ sk }) => sk), ...objects.map(({ key }) => key)];
}

async function recordAll(): Promise<void> {
  expect(await recordRuns(world.ctx, await world.ledger.sqlite.feed.read(0, 1000))).toEqual([]);
}

/** One that failed, with a log that is too long to be kept anywhere but in an object. */
const failed = () => ran(world, {}, { STUB_EXIT_CODE: "3", STUB_STDOUT: "x".repeat(10_000) });
const cleanup = (query: Partial<CleanupQuery> = {}) =>
  cleanUpRuns(world.ctx, { endedBeforeMs: world.ledger.nowMs + 1, dryRun: false, ...query });
const sweep = () => reconcile(world.ctx, { touchedBefore: 0, recount: "never" });

describe("a run that is erased", () => {
  test.each(Object.entries(ENDS))("leaves nothing: %s", async (_, end) => {
    const jobId = (await end(world)) as JobId;
    await recordAll();
    await world.ctx.objects.put(`artifacts/${jobId}/1/1`, Buffer.from("kept from a spec that cannot be read"));
    expect((await traces(jobId)).length).toBeGreaterThan(5);
    await world.ledger.sqlite.commit([{ kind: "delete", key: specKey(jobId) }]);
    await eraseRun(world.ctx, jobId);
    expect(await traces(jobId)).toEqual([]);
  });

  test("is not found any more, nor its dead letter, and nothing can be made of it", async () => {
    const jobId = await failed();
    await eraseRun(world.ctx, jobId);
    const gone = { code: "NOT_FOUND" };
    await expect(eraseRun(world.ctx, jobId)).rejects.toMatchObject(gone);
    await expect(retryJob(world.ctx, jobId, { caller: "x" })).rejects.toMatchObject(gone);
    await expect(replayDeadLetter(world.ctx, jobId, { caller: "x" })).rejects.toMatchObject(gone);
    await expect(cancelJob(world.ctx, jobId, "x")).rejects.toMatchObject(gone);
    await drive(
      world.ctx,
      (await world.ledger.sqlite.feed.read(0, 1000)).map(({ item }) => item),
    );
    await world.settled();
    await recordAll();
    await sweep();
    expect(await traces(jobId)).toEqual([]);
  });

  test("leaves its Idempotency-Key used: nothing runs a second time", async () => {
    const options = { caller: "x", idempotencyKey: "k" };
    const spec = { name: "nightly", runtime: "stub" };
    const { jobId } = await submitJob(world.ctx, spec, options);
    await cancelJob(world.ctx, jobId, "x");
    await eraseRun(world.ctx, jobId);
    await expect(submitJob(world.ctx, spec, options)).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("does not keep the rest of its batch from being published", async () => {
    const jobId = await failed();
    const waiting = await submitted(world);
    await eraseRun(world.ctx, jobId);
    await publishBatch(world.ledger, [jobId, waiting]);
    expect((await lifeOf(world, waiting)).job.status).toBe("PENDING");
  });

  test("is one that has not changed since it was looked at", async () => {
    const jobId = await failed();
    const found = (await readJobItems(world.ledger, jobId)) as JobItems;
    await advance(world.ledger, jobId, { type: "ORPHAN", attempt: 1, externalName: "x", externalRef: "x" });
    expect(await eraseJob(world.ledger, found)).toBe(false);
    expect(await eraseFinished(world.ctx, found.job)).toBe(false);
    expect((await traces(jobId)).length).toBeGreaterThan(5);
    await eraseRun(world.ctx, jobId);
    expect(await traces(jobId)).toEqual([]);
  });

  test("may have more items than one commit holds", async () => {
    const jobId = await failed();
    for (let n = 0; n < 250; n++) {
      const orphan = { type: "ORPHAN" as const, attempt: 1, externalName: "x", externalRef: String(n) };
      await advance(world.ledger, jobId, orphan);
    }
    await eraseRun(world.ctx, jobId);
    expect(await traces(jobId)).toEqual([]);
  });
});

describe("an active job", () => {
  test("cannot be erased, neither while it waits or runs nor while its resource has yet to go", async () => {
    const conflict = { code: "CONFLICT" };
    world.runtime.cleanup = () => Promise.reject(new Error("away"));
    await expect(failed()).rejects.toThrow("away");
    const unclean = [...world.executions.values()].at(-1)?.input.jobId as JobId;
    expect((await lifeOf(world, unclean)).job).toMatchObject({ status: "FAILED", cleanupPending: true });
    await expect(eraseRun(world.ctx, unclean)).rejects.toMatchObject(conflict);
    const { jobId } = await launched(world);
    await expect(eraseRun(world.ctx, jobId)).rejects.toMatchObject(conflict);
    await expect(eraseRun(world.ctx, await submitted(world))).rejects.toMatchObject(conflict);
    expect(await cleanup()).toMatchObject({ removed: 0, nextCursor: null });
    expect(await listedIds()).toHaveLength(3);
  });
});

describe("a cleanup", () => {
  test("takes what ended before a time, of a status, but for the newest, and tells beforehand", async () => {
    const ids: string[] = [];
    for (let day = 0; day < 6; day++) {
      ids.push(await (day % 2 === 0 ? failed() : ran(world)));
      world.ledger.nowMs += DAY_MS;
    }
    const [a, , c, , e] = ids;
    const query = { endedBeforeMs: world.ledger.nowMs - 1.5 * DAY_MS, status: ["FAILED" as const] };
    const told = await cleanup({ ...query, dryRun: true });
    expect(told).toEqual({ removed: 3, items: [a, c, e], nextCursor: null });
    expect(await listedIds()).toHaveLength(6);
    expect((await cleanup({ ...query, keep: 2, dryRun: true })).items).toEqual([a]);
    expect((await cleanup({ ...query, keep: 3, dryRun: true })).items).toEqual([]);
    expect((await cleanup({ ...query, keep: 1 })).items).toEqual([a, c]);
    expect((await cleanup({ ...query, keep: 1 })).items).toEqual([]);
    expect(await listedIds()).toEqual(ids.slice(1).filter((id) => id !== c));
  });

  test("does a bounded part at a call, and goes on where it ended", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 230; n++) {
      const jobId = await submitted(world);
      await cancelJob(world.ctx, jobId, "x");
      ids.push(jobId);
    }
    const first = await cleanup();
    expect(first.removed).toBe(200);
    const second = await cleanup({ cursor: first.nextCursor as string });
    expect([...first.items, ...second.items]).toEqual(ids);
    expect(second.nextCursor).toBeNull();
    expect(await cleanup()).toEqual({ removed: 0, items: [], nextCursor: null });
  });

  test("that dies anywhere leaves every run whole, or findable, and the next one erases it", async () => {
    let deaths = 0;
    for (const when of ["before", "after"] as const) {
      for (let n = 1; n < 60; n++) {
        const ids = [await failed(), await failed()];
        await recordAll();
        world.crash.at(n, when);
        const died = await cleanup().then(
          () => false,
          () => true,
        );
        world.restart();
        const left = new Set(await listedIds());
        for (const jobId of ids) if (!left.has(jobId)) expect(await traces(jobId)).toEqual([]);
        await cleanup();
        for (const jobId of ids) expect(await traces(jobId)).toEqual([]);
        if (!died) break;
        deaths++;
      }
    }
    expect(deaths).toBeGreaterThan(20);
  });
});

/** Days after the beginning, and how each job stands. */
const AGED = fc.array(
  fc.record({
    day: fc.nat({ max: 100 }),
    end: fc.constantFrom("SUCCEEDED", "FAILED", "CANCELLED", "PENDING", "RUNNING", "RETRYING", "UNCLEAN"),
  }),
  { minLength: 1, maxLength: 25 },
);
type Aged = typeof AGED extends fc.Arbitrary<infer T> ? T : never;

/** Makes the jobs by the ledger's own commits. */
async function make(jobs: Aged): Promise<Map<string, Aged[number]>> {
  const made = new Map<string, Aged[number]>();
  const begun = world.ledger.nowMs;
  for (const one of [...jobs].sort((a, b) => a.day - b.day)) {
    world.ledger.nowMs = begun + one.day * DAY_MS;
    const jobId = await submitted(world, { retry: { maxAttempts: 2 } });
    made.set(jobId, one);
    if (one.end === "PENDING") continue;
    if (one.end === "CANCELLED") await cancelJob(world.ctx, jobId, "x");
    else await live(jobId, one.end);
  }
  world.ledger.nowMs = begun + 101 * DAY_MS;
  return made;
}

async function live(jobId: JobId, end: Aged[number]["end"]): Promise<void> {
  const finishedAt = new Date(world.ledger.nowMs).toISOString();
  const externalName = "longshore-x";
  const isWell = end === "SUCCEEDED" || end === "UNCLEAN";
  const error = isWell
    ? null
    : { category: "UNKNOWN" as const, message: "m", retryable: true, providerCode: null, exitCode: 1 };
  await advance(world.ledger, jobId, [
    { type: "ADMIT", slotShard: 0, attempt: 1 },
    { type: "DISPATCH", attempt: 1, token: "t", externalName, logBase: 0 },
    { type: "START", attempt: 1, externalRef: "r", startedAt: finishedAt },
  ] as never);
  if (end === "RUNNING") return;
  const exit = { exitCode: isWell ? 0 : 1, oom: false, failure: null, finishedAt };
  const retry = end === "RETRYING" ? { delaySeconds: 9e6 } : null;
  const outcome = { status: isWell ? "SUCCEEDED" : "FAILED", error };
  const logs = { lines: 0, bytes: 0, truncated: false };
  await advance(world.ledger, jobId, [
    { type: "EXIT", attempt: 1, exit, startedAt: finishedAt, externalRef: "r" },
    { type: "FINISH", attempt: 1, outcome, logs, cost: { amountUsd: 0, basis: "local" }, retry },
    ...(end === "UNCLEAN" ? [] : [{ type: "CLEAN", attempt: 1 }]),
  ] as never);
}

const FINISHED = new Set(["SUCCEEDED", "FAILED", "CANCELLED"]);
const remaining = async (made: Map<string, unknown>) => {
  const jobs = await Promise.all([...made.keys()].map((jobId) => readJob(world.ledger, jobId)));
  return new Set(jobs.map((job) => String(job?.jobId)));
};
/** The jobs that are listed, at most 1,000. */
const listedIds = async () => {
  const { jobs } = await listJobs(world.ledger, {}, { limit: 1000, since: world.ctx.home.createdAt });
  return jobs.map(({ jobId }) => String(jobId)).sort();
};

describe("whatever jobs there are", () => {
  test("a cleanup takes those that are finished and old enough, and never an active one", async () => {
    await fc.assert(
      fc.asyncProperty(AGED, fc.nat({ max: 101 }), fc.nat({ max: 5 }), async (jobs, days, keep) => {
        await world.dispose();
        await openLater();
        const made = await make(jobs);
        const endedBeforeMs = world.ledger.nowMs - days * DAY_MS;
        await cleanup({ endedBeforeMs, keep });
        const left = await remaining(made);
        const finished = [...made].filter(([, { end }]) => FINISHED.has(end) || end === "UNCLEAN").map(([id]) => id);
        const newest = new Set(keep === 0 ? [] : finished.slice(-keep));
        for (const [jobId, { day, end }] of made) {
          const goes = FINISHED.has(end) && 101 - day > days && !newest.has(jobId);
          expect([jobId, end, day, left.has(jobId)]).toEqual([jobId, end, day, !goes]);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("what is kept by age, by number and by status is what the sweeps leave, in however many parts", async () => {
    const bound = fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined });
    const policy = fc.record({
      days: fc.integer({ min: 1, max: 90 }),
      daysFailed: fc.option(fc.integer({ min: 1, max: 90 }), { nil: undefined }),
      runs: bound,
      runsSucceeded: bound,
    });
    await fc.assert(
      fc.asyncProperty(AGED, policy, async (jobs, { days, daysFailed, runs, runsSucceeded }) => {
        await world.dispose();
        await openLater();
        const made = await make(jobs);
        const retention: Retention = {
          days: { all: days, byStatus: daysFailed === undefined ? {} : { FAILED: daysFailed } },
          runs: { all: runs ?? null, byStatus: runsSucceeded === undefined ? {} : { SUCCEEDED: runsSucceeded } },
        };
        world.ctx.retention = retention;
        // Nothing of them is on the stub, and the sweep would end those that say so.
        world.runtime.list = () => {
          throw new LongshoreError("RUNTIME_UNAVAILABLE", "away");
        };
        await sweep();
        const left = await remaining(made);
        const finished = [...made].filter(([, { end }]) => FINISHED.has(end) || end === "UNCLEAN");
        const idsOf = (ends: string[]) => finished.filter(([, { end }]) => ends.includes(end)).map(([id]) => id);
        const surplus = new Set([
          ...(runs === undefined ? [] : finished.map(([id]) => id).slice(0, -runs)),
          ...(runsSucceeded === undefined ? [] : idsOf(["SUCCEEDED", "UNCLEAN"]).slice(0, -runsSucceeded)),
        ]);
        for (const [jobId, { day, end }] of made) {
          if (!FINISHED.has(end)) {
            expect([jobId, end, left.has(jobId)]).toEqual([jobId, end, true]);
            continue;
          }
          const old = 101 - day >= (end === "FAILED" ? (daysFailed ?? days) : days);
          expect([jobId, end, day, left.has(jobId)]).toEqual([jobId, end, day, !(old || surplus.has(jobId))]);
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe("the sweep", () => {
  const retention: Retention = { days: { all: 30, byStatus: { FAILED: 60 } }, runs: { all: null, byStatus: {} } };

  test("erases what is too old, when it is time to, and a home without a retention erases nothing", async () => {
    const [failedId, id] = [await failed(), await ran(world)];
    await recordAll();
    world.ledger.nowMs += 31 * DAY_MS;
    expect((await sweep()).erased).toBe(0);
    world.ctx.retention = retention;
    expect(await sweep()).toMatchObject({ erased: 1, failures: [] });
    expect(await traces(id)).toEqual([]);
    world.ledger.nowMs += 30 * DAY_MS;
    expect((await sweep()).erased).toBe(1);
    expect(await traces(failedId)).toEqual([]);
    const late = await ran(world);
    world.ctx.retention = { ...retention, days: { all: 1, byStatus: {} } };
    world.ledger.nowMs += 10 * 60_000;
    expect((await sweep()).erased).toBe(0);
    world.ledger.nowMs += 2 * DAY_MS;
    expect((await sweep()).erased).toBe(1);
    expect(await traces(late)).toEqual([]);
  });

  test("goes on where a sweep before it had to stop", async () => {
    for (let n = 0; n < 6; n++) await failed();
    world.ledger.nowMs += 61 * DAY_MS;
    world.ctx.retention = retention;
    let [sweeps, erased] = [0, 0];
    const { clock } = world.ctx;
    // Time passes with every look at the clock: a sweep has room for a few runs.
    world.ctx.clock = () => (world.ledger.nowMs += 3000);
    while ((await listRuns(world.ledger, {}, { limit: 1, since: world.ctx.home.createdAt })).jobs.length > 0) {
      erased += (await sweep()).erased;
      expect(++sweeps).toBeLessThan(20);
    }
    world.ctx.clock = clock;
    expect(erased).toBe(6);
    expect(sweeps).toBeGreaterThan(1);
  });

  test("that cannot erase one run says so and tries again", async () => {
    const jobId = await failed();
    await recordAll();
    world.ledger.nowMs += 61 * DAY_MS;
    world.ctx.retention = retention;
    const { delete: remove } = world.ctx.objects;
    world.ctx.objects.delete = () => Promise.reject(new Error("away"));
    expect(await sweep()).toMatchObject({ erased: 0, failures: ["retention: away"] });
    expect(await traces(jobId)).toContain(logObject(jobId, 1));
    world.ctx.objects.delete = remove;
    expect(await sweep()).toMatchObject({ erased: 1, failures: [] });
    expect(await traces(jobId)).toEqual([]);
  });
});
