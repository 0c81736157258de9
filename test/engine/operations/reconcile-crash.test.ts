import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { slotsKey } from "../../../engine/ledger/keys.ts";
import { LEASE_MS } from "../../../engine/ledger/lease.ts";
import { cancelJob } from "../../../engine/operations/control.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { reconcile } from "../../../engine/operations/reconcile.ts";
import type { Launch } from "../../../engine/ports/runtime.ts";
import { TERMINAL_STATUSES } from "../../../engine/states.ts";
import { CrashError } from "../../lab/faulty-table.ts";
import { everyJob, recounted, storedCounters } from "../ledger/fixtures.ts";
import {
  admitted,
  eventsOf,
  launched,
  leftOn,
  lifeOf,
  openWorld,
  runExecutions,
  submitted,
  type World,
} from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld({ maxConcurrent: () => 5 });
});
afterEach(() => world.dispose());

const sweep = () => {
  world.ledger.nowMs += LEASE_MS;
  return reconcile(world.ctx, { touchedBefore: world.ctx.clock(), recount: "now" });
};

/** One job for each thing that a sweep repairs, and what belongs to nobody; gives how they must end. */
async function disorder(): Promise<Map<string, string>> {
  const ended = await launched(world, {}, {});
  const lost = await launched(world, { retry: { maxAttempts: 2, delaySeconds: 0, on: ["RUNTIME_UNAVAILABLE"] } }, {});
  await world.runtime.cleanup((await lifeOf(world, lost.jobId)).attempt?.externalRef ?? "");
  const unclean = await launched(world, {}, {});
  await observeExit(world.ctx, unclean);
  const { cleanup } = world.runtime;
  world.runtime.cleanup = () => Promise.reject(new LongshoreError("RUNTIME_UNAVAILABLE", "stub: away"));
  await finalizeAttempt(world.ctx, unclean).catch(() => undefined);
  world.runtime.cleanup = cleanup;
  const stopped = await launched(world);
  await cancelJob(world.ctx, stopped.jobId, "me");
  const unlaunched = await admitted(world);
  const waiting = await submitted(world);
  await stray("job_01KGABCDEFGHJKMNPQRSTVWXYZ", 1);
  await stray(unclean.jobId, 9);
  await world.ledger.sqlite.commit([{ kind: "patch", key: slotsKey("stub", 0), add: { count: 1 } }]);
  world.restart();
  return new Map([
    [ended.jobId, "SUCCEEDED"],
    [lost.jobId, "SUCCEEDED"],
    [unclean.jobId, "SUCCEEDED"],
    [stopped.jobId, "CANCELLED"],
    [unlaunched.jobId, "SUCCEEDED"],
    [waiting, "SUCCEEDED"],
  ]);
}

async function stray(jobId: string, attempt: number): Promise<void> {
  const spec = { timeoutSeconds: 60, cleanup: "always" };
  const env = { STUB_DURATION_MS: "forever" };
  const launch = {
    jobId,
    attempt,
    externalName: `stray-${attempt}`,
    spec,
    env,
    secretValues: [],
    report: () => undefined,
    confirm: async () => undefined,
  };
  await world.runtime.submit(launch as unknown as Launch, new AbortController().signal);
}

async function expectOrder(expected: Map<string, string>): Promise<void> {
  for (const [jobId, status] of expected) {
    const { job } = await lifeOf(world, jobId);
    expect([job.status, job.cleanupPending]).toEqual([status, false]);
    const events = await eventsOf(world, jobId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, n) => n + 1));
    const terminal = events.findIndex(({ type }) => (TERMINAL_STATUSES as readonly string[]).includes(type));
    const after = events.slice(terminal + 1).map(({ type }) => type);
    expect(after.filter((type) => type !== "CLEANED_UP" && type !== "ORPHAN_DETECTED")).toEqual([]);
    for (const attempt of new Set(events.map((event) => event.attempt))) {
      const exits = events.filter(({ type, attempt: of }) => type === "EXITED" && of === attempt);
      expect(exits.length).toBeLessThanOrEqual(1);
    }
  }
  expect(await leftOn(world)).toEqual([]);
  for (const [name, count] of world.starts) expect([name, count]).toEqual([name, 1]);
  const stored = await storedCounters(world.ledger, ["stub"], []);
  expect(stored).toEqual(recounted(await everyJob(world.ledger.table), world.ledger, { runtimes: ["stub"], keys: [] }));
}

describe("a sweep that dies at any of its calls", () => {
  test.each(["before", "after"] as const)("(%s the call) is finished by the next ones", async (when) => {
    let struck = 0;
    for (let n = 1; ; n += 3) {
      const expected = await disorder();
      world.crash.at(n, when);
      const outcome = await sweep().then(
        (report) => report.failures.join(),
        (error: unknown) => error,
      );
      await world.settled().catch(() => undefined);
      const died = outcome instanceof CrashError || String(outcome).includes("the process");
      world.restart();
      // What the next sweep sets going needs another one to see to its end: a retry, a stop, an execution.
      for (let sweeps = 0; sweeps < 4; sweeps++) {
        expect((await sweep()).failures).toEqual([]);
        await runExecutions(world);
        await world.settled();
      }
      await expectOrder(expected);
      world.starts.clear();
      world.executions.clear();
      if (!died) break;
      struck++;
    }
    expect(struck).toBeGreaterThan(20);
  });
});
