import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { accept } from "../../../engine/ledger/accept.ts";
import { advance } from "../../../engine/ledger/advance.ts";
import { UNPUBLISHED_PARTITION } from "../../../engine/ledger/keys.ts";
import { admitWaiting } from "../../../engine/operations/admit.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { drive } from "../../../engine/operations/drive.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { reconcile } from "../../../engine/operations/reconcile.ts";
import type { Item } from "../../../engine/ports/table.ts";
import { everyJob, storedCounters, submission } from "../ledger/fixtures.ts";
import {
  admitted,
  executionOf,
  launched,
  leftOn,
  lifeOf,
  openWorld,
  runExecutions,
  submitted,
  typesOf,
  type World,
} from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

/** A moment after all that was done: the look speaks only of what was there before it began. */
const sweep = (quietMs = 0) => {
  world.ledger.nowMs += 1;
  return reconcile(world.ctx, { touchedBefore: world.ctx.clock() - quietMs });
};
const away = () => Promise.reject(new LongshoreError("RUNTIME_UNAVAILABLE", "stub: away"));
const NOTHING = { erased: 0, repaired: 0, lost: 0, orphans: 0, corrected: [], failed: 0, failures: [], stopped: null };

describe("reconcile", () => {
  test("of nothing does nothing", async () => {
    expect(await sweep()).toEqual({ looked: 0, active: 0, ...NOTHING });
  });

  test("leaves alone what is as it should be", async () => {
    const task = await launched(world);
    const before = await lifeOf(world, task.jobId);
    expect(await sweep()).toMatchObject({ looked: 1, ...NOTHING });
    expect(await lifeOf(world, task.jobId)).toEqual(before);
  });

  test.each([0, 1])("admits who waits, whose news were lost (quiet: %i s)", async (quietSeconds) => {
    const jobId = await submitted(world);
    await sweep(quietSeconds * 1000);
    expect(executionOf(world, jobId).input).toEqual({ jobId, attempt: 1, generation: 0, runSeconds: 7200 });
  });

  test("starts again what holds a slot and has no execution, under a new name each time", async () => {
    const task = await admitted(world);
    for (const generation of [1, 2]) {
      world.restart();
      expect(await sweep()).toMatchObject({ repaired: 1 });
      expect([...world.executions.keys()]).toEqual([`${task.jobId}-1-${generation}`]);
    }
    expect((await typesOf(world, task.jobId)).filter((type) => type === "RECONCILED")).toHaveLength(2);
    await runExecutions(world);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("SUCCEEDED");
  });

  test("starts an execution again whose start failed after its commit", async () => {
    const jobId = await submitted(world);
    const { orchestrator } = world.ctx;
    world.ctx.orchestrator = { ...orchestrator, start: away };
    await expect(admitWaiting(world.ctx, "stub")).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect((await sweep()).failures).toHaveLength(1);
    world.ctx.orchestrator = orchestrator;
    await sweep();
    expect(executionOf(world, jobId).input.attempt).toBe(1);
  });

  test("finds again what ran on through a restart, and does not start it twice", async () => {
    const task = await launched(world);
    world.restart();
    await sweep();
    await runExecutions(world);
    expect([...world.starts.values()]).toEqual([1]);
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ phase: "running", generation: 1 });
  });

  test("tells the execution of an attempt that has ended, when that was lost", async () => {
    const task = await launched(world, {}, {});
    const { orchestrator } = world.ctx;
    world.ctx.orchestrator = { ...orchestrator, complete: away };
    await expect(observeExit(world.ctx, task)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    world.ctx.orchestrator = orchestrator;
    await sweep();
    expect(world.completions).toEqual([task.token]);
  });

  test("sees to the end of what runs, when whoever watched it gave up", async () => {
    const task = await launched(world, {}, {});
    // The watcher was told of it, and its connection to the runtime broke.
    world.watched = [];
    await sweep();
    for (const one of world.watched.splice(0)) await observeExit(world.ctx, one);
    expect((await lifeOf(world, task.jobId)).attempt?.exit).toMatchObject({ exitCode: 0 });
  });

  test("repeats a stop that was lost", async () => {
    const task = await launched(world);
    await cancelJob(world.ctx, task.jobId, "me");
    expect(await sweep()).toMatchObject({ repaired: 1, failures: [] });
    await world.settled();
    expect((await lifeOf(world, task.jobId)).attempt?.exit).toMatchObject({ exitCode: 143 });
    expect(world.completions).toEqual([task.token]);
  });

  test("stops what is past its deadline and nobody stopped", async () => {
    const task = await launched(world, { timeoutSeconds: 60 });
    world.ledger.nowMs += 59_998;
    await sweep();
    expect((await lifeOf(world, task.jobId)).attempt?.stop).toBeNull();
    expect(await sweep()).toMatchObject({ repaired: 1 });
    await world.settled();
    await finalizeAttempt(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("TIMED_OUT");
  });

  test("brings a retry back when it is due, and not before", async () => {
    const spec = { retry: { maxAttempts: 2, delaySeconds: 10, on: ["UNKNOWN" as const] } };
    const task = await launched(world, spec, { STUB_END_WITH: "UNKNOWN" });
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    world.restart();
    world.ledger.nowMs += 4_998;
    await sweep();
    expect((await lifeOf(world, task.jobId)).job.status).toBe("RETRYING");
    expect(await sweep()).toMatchObject({ repaired: 1 });
    expect((await lifeOf(world, task.jobId)).job).toMatchObject({ status: "PENDING", attempt: 2 });
    expect(executionOf(world, task.jobId).input.attempt).toBe(2);
  });

  test("removes what a finished attempt left, then says so", async () => {
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    const { cleanup } = world.runtime;
    world.runtime.cleanup = away;
    await expect(finalizeAttempt(world.ctx, task)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect((await sweep()).failures).toEqual([expect.stringContaining(task.jobId)]);
    world.runtime.cleanup = cleanup;
    expect(await sweep()).toMatchObject({ repaired: 1, failures: [], orphans: 0 });
    expect(await leftOn(world)).toEqual([]);
    expect((await typesOf(world, task.jobId)).at(-1)).toBe("CLEANED_UP");
    expect(await sweep()).toMatchObject({ looked: 0 });
  });

  test("goes on with the others when one fails", async () => {
    const first = await launched(world);
    const second = await launched(world);
    for (const { jobId } of [first, second]) await cancelJob(world.ctx, jobId, "me");
    const { cancel } = world.runtime;
    const bad = (await lifeOf(world, first.jobId)).attempt?.externalRef;
    world.runtime.cancel = (ref, grace) => (ref === bad ? away() : cancel(ref, grace));
    await sweep();
    await world.settled().catch(() => undefined);
    expect((await lifeOf(world, first.jobId)).attempt?.exit).toBeNull();
    expect((await lifeOf(world, second.jobId)).attempt?.exit).toMatchObject({ exitCode: 143 });
  });

  test("touches no job within its quiet time", async () => {
    const lost = await admitted(world);
    const stopped = await launched(world);
    await cancelJob(world.ctx, stopped.jobId, "me");
    const uncleaned = await launched(world, {}, {});
    await observeExit(world.ctx, uncleaned);
    const { cleanup } = world.runtime;
    world.runtime.cleanup = away;
    await expect(finalizeAttempt(world.ctx, uncleaned)).rejects.toThrow();
    world.runtime.cleanup = cleanup;
    world.restart();
    const jobs = [lost, stopped, uncleaned];
    const before = await Promise.all(jobs.map(({ jobId }) => lifeOf(world, jobId)));
    world.ledger.nowMs += 29_999;
    expect(await sweep(30_000)).toEqual({ looked: 3, active: 3, ...NOTHING });
    expect(await Promise.all(jobs.map(({ jobId }) => lifeOf(world, jobId)))).toEqual(before);
    expect([...world.executions.keys()]).toEqual([]);
    world.ledger.nowMs += 1;
    expect(await sweep(30_000)).toMatchObject({ looked: 3, repaired: 3, failures: [] });
  });

  test("publishes an accepted batch whose submitter died and whose record the feed lost", async () => {
    const all = Array.from({ length: 60 }, () => submission(world.ledger));
    world.crash.at(4, "after");
    await expect(accept(world.ledger, all, null)).rejects.toThrow("died after call 4: commit");
    world.crash.revive();
    // A home may be down for days before it reconciles.
    world.ledger.nowMs += 5 * 24 * 3_600_000;
    await world.ledger.sqlite.sweepExpired(Math.floor(world.ledger.nowMs / 1000), 1000);
    expect((await sweep()).failures).toEqual([]);
    expect((await everyJob(world.ledger.table)).map(({ jobId }) => jobId).sort()).toEqual(
      all.map(({ job }) => job.jobId),
    );
    expect(world.executions.size).toBe(60);
    const unpublished = { index: "index2" as const, pk: UNPUBLISHED_PARTITION };
    expect((await world.ledger.table.query(unpublished)).items).toEqual([]);
  });

  test("done twice at once repairs once", async () => {
    const task = await admitted(world);
    world.restart();
    await Promise.all([sweep(), sweep(), sweep()]);
    await runExecutions(world);
    expect([...world.starts.values()]).toEqual([1]);
    expect((await lifeOf(world, task.jobId)).job.status).toBe("SUCCEEDED");
  });
});

describe("an orphan", () => {
  const launch = async (jobId: string, attempt: number) => {
    const externalName = `longshore-orphan-${attempt}`;
    const spec = { timeoutSeconds: 60, cleanup: "always" as const };
    const env = { STUB_DURATION_MS: "forever" };
    const rest = { secretValues: [], report: () => undefined, confirm: async () => undefined };
    const any = { jobId, attempt, externalName, spec, env, ...rest } as unknown as Parameters<
      typeof world.runtime.submit
    >[0];
    await world.runtime.submit(any, new AbortController().signal);
    return externalName;
  };

  test("of a job that the ledger does not know is removed", async () => {
    await launch("job_01KGABCDEFGHJKMNPQRSTVWXYZ", 1);
    expect(await sweep()).toMatchObject({ orphans: 1, failures: [] });
    expect(await leftOn(world)).toEqual([]);
  });

  test("of another attempt than the one that is going on is removed, and that one is not", async () => {
    const task = await launched(world);
    await launch(task.jobId, 2);
    expect(await sweep()).toMatchObject({ orphans: 1 });
    expect(await leftOn(world)).toEqual([(await lifeOf(world, task.jobId)).job.externalName]);
  });

  test("of a job that has ended is removed", async () => {
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    await launch(task.jobId, 1);
    expect(await sweep()).toMatchObject({ orphans: 1 });
    expect(await leftOn(world)).toEqual([]);
  });

  test("is not what was kept on purpose", async () => {
    const task = await launched(world, { cleanup: "never" }, {});
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    expect(await sweep()).toMatchObject({ orphans: 0 });
    expect(await leftOn(world)).toHaveLength(1);
  });

  test("that cannot be removed is told, and tried again", async () => {
    await launch("job_01KGABCDEFGHJKMNPQRSTVWXYZ", 1);
    const { cleanup } = world.runtime;
    world.runtime.cleanup = away;
    expect(await sweep()).toMatchObject({ orphans: 0, failures: ["stub: stub: away"] });
    world.runtime.cleanup = cleanup;
    expect(await sweep()).toMatchObject({ orphans: 1 });
  });
});

describe("the change feed's records", () => {
  const records = async (after = 0): Promise<Item[]> =>
    (await world.ledger.sqlite.feed.read(after, 10_000)).map(({ item }) => item);
  /** Each twice, in an order of its own that is the same in every run. */
  const shuffledTwice = (items: Item[], salt: number): Item[] =>
    [...items, ...items]
      .map((item, n) => [((n + 1) * 7919 * (salt + 1)) % 104_729, item] as const)
      .sort(([a], [b]) => a - b)
      .map(([, item]) => item);

  test("delivered twice and in any order drive every job to its end, once", async () => {
    await world.dispose();
    world = await openWorld({ maxConcurrent: () => 3 });
    const ids: string[] = [];
    for (let n = 0; n < 12; n++) {
      const script: Record<string, string> = n % 3 === 0 ? { STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: "1" } : {};
      ids.push(await submitted(world, { retry: { maxAttempts: 2, delaySeconds: 0, on: ["UNKNOWN"] } }, script));
    }
    for (let round = 0; round < 12; round++) {
      const all = shuffledTwice(await records(), round);
      for (let at = 0; at < all.length; at += 7) {
        await drive(world.ctx, all.slice(at, at + 7));
        const running = (await everyJob(world.ledger.table)).filter(({ slotShard }) => slotShard !== null);
        expect(running.length).toBeLessThanOrEqual(3);
        await runExecutions(world);
        world.executions.clear();
      }
      await world.settled();
    }
    for (const [n, jobId] of ids.entries()) {
      const { job } = await lifeOf(world, jobId);
      expect(job).toMatchObject({ status: "SUCCEEDED", attempt: n % 3 === 0 ? 2 : 1 });
      expect((await typesOf(world, jobId)).filter((type) => type === "SUCCEEDED")).toHaveLength(1);
    }
    expect(new Set(world.starts.values())).toEqual(new Set([1]));
    expect(world.starts.size).toBe(16);
    expect(await storedCounters(world.ledger, ["stub"], [])).toEqual({
      queue: [0],
      slots: { stub: [0] },
      keys: {},
      lanes: {},
    });
    expect(await leftOn(world)).toEqual([]);
  });

  test("of a cancel stop what runs, twice without harm, and leave the next attempt alone", async () => {
    const task = await launched(world);
    await cancelJob(world.ctx, task.jobId, "me");
    const all = await records();
    await drive(world.ctx, shuffledTwice(all, 1));
    await world.settled();
    expect((await typesOf(world, task.jobId)).filter((type) => type === "EXITED")).toHaveLength(1);
    await finalizeAttempt(world.ctx, task);
    await drive(world.ctx, all);
    await world.settled();
    expect((await lifeOf(world, task.jobId)).job.status).toBe("CANCELLED");
  });

  test("of a batch publish its jobs, which then are admitted like any", async () => {
    const all = Array.from({ length: 60 }, () => submission(world.ledger));
    world.crash.at(4, "after");
    await expect(accept(world.ledger, all, null)).rejects.toThrow("died after call 4: commit");
    world.crash.revive();
    expect(await everyJob(world.ledger.table)).toEqual([]);
    const [batch] = await records();
    await Promise.all([drive(world.ctx, [batch as Item]), drive(world.ctx, [batch as Item])]);
    await drive(world.ctx, [batch as Item]);
    const jobs = await everyJob(world.ledger.table);
    expect(jobs.map(({ jobId }) => jobId).sort()).toEqual(all.map(({ job }) => job.jobId));
    expect((await records()).filter(({ type }) => type === "SUBMITTED")).toHaveLength(60);
    await drive(world.ctx, await records());
    expect(world.executions.size).toBe(60);
  });

  test("of slots that became free admit who waits, first by priority", async () => {
    await world.dispose();
    world = await openWorld({ maxConcurrent: () => 1 });
    const first = await launched(world, {}, {});
    const low = await submitted(world, { priority: -5 });
    const high = await submitted(world, { priority: 5 });
    await drive(world.ctx, await records());
    expect(world.executions.size).toBe(1);
    await observeExit(world.ctx, first);
    await finalizeAttempt(world.ctx, first);
    await drive(world.ctx, await records());
    expect((await lifeOf(world, high)).job.slotShard).toBe(0);
    expect((await lifeOf(world, low)).job.slotShard).toBeNull();
  });

  test("of a slot that a retry gave back admit who waits", async () => {
    await world.dispose();
    world = await openWorld({ maxConcurrent: () => 1 });
    const spec = { retry: { maxAttempts: 2, delaySeconds: 60, on: ["UNKNOWN" as const] } };
    const first = await launched(world, spec, { STUB_END_WITH: "UNKNOWN" });
    const second = await submitted(world);
    await drive(world.ctx, await records());
    await observeExit(world.ctx, first);
    const seen = (await world.ledger.sqlite.feed.read(0, 10_000)).at(-1)?.position ?? 0;
    await finalizeAttempt(world.ctx, first);
    await drive(world.ctx, await records(seen));
    expect((await lifeOf(world, second)).job.slotShard).toBe(0);
  });

  test("let others pass a job that waits for its concurrency key", async () => {
    // More than are looked at in one read.
    for (let n = 0; n < 60; n++) await submitted(world, { concurrencyKey: "db-main", priority: 10 });
    const other = await submitted(world);
    await drive(world.ctx, await records());
    expect(world.executions.size).toBe(2);
    expect((await lifeOf(world, other)).job.slotShard).toBe(0);
  });

  test("that name a job with nothing to do for change nothing", async () => {
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    const before = await lifeOf(world, task.jobId);
    await drive(world.ctx, await records());
    await world.settled();
    expect(await lifeOf(world, task.jobId)).toEqual(before);
    await expect(advance(world.ledger, task.jobId, { type: "CANCEL", by: "me" })).rejects.toMatchObject({
      code: "CONFLICT",
    });
  });
});
