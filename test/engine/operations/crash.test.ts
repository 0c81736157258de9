import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readDeadLetter } from "../../../engine/ledger/dead-letters.ts";
import { logObject } from "../../../engine/ledger/keys.ts";
import { admitWaiting } from "../../../engine/operations/admit.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { readLogs } from "../../../engine/operations/read-logs.ts";
import { reconcile } from "../../../engine/operations/reconcile.ts";
import type { JobSpecInput } from "../../../engine/spec/schema.ts";
import { TERMINAL_STATUSES } from "../../../engine/states.ts";
import { CrashError } from "../../lab/faulty-table.ts";
import { storedCounters } from "../ledger/fixtures.ts";
import { eventsOf, launched, leftOn, lifeOf, openWorld, runExecutions, submitted, type World } from "./world.ts";

/** Too long for the ledger: a log with such a line goes to the object store. */
const LONG = "x".repeat(2100);
let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

const WHEN = ["before", "after"] as const;

/** Runs the work with a crash at its n-th call to a port; tells whether it came that far. */
async function crashing(n: number, when: "before" | "after", work: () => Promise<unknown>): Promise<boolean> {
  world.crash.at(n, when);
  const outcome = await work().then(
    () => "done",
    (error: unknown) => error,
  );
  if (outcome === "done") return false;
  // Whatever the engine makes of it on its way up, the cause is the crash.
  const text = outcome instanceof Error ? `${outcome.message} ${outcome.cause}` : String(outcome);
  expect(outcome instanceof CrashError || text.includes("the process")).toBe(true);
  return true;
}

/** What must hold of a job whose life is over, however it was disturbed. */
async function expectWholeLife(jobId: string, expected: { status: string; attempts: number; lines: string[] }) {
  const { job } = await lifeOf(world, jobId);
  const letter = await readDeadLetter({ ...world.ledger, table: world.ledger.sqlite }, job.jobId);
  const isDead = expected.status === "FAILED";
  expect(letter?.attempts).toBe(isDead ? expected.attempts : undefined);
  expect(job).toMatchObject({
    status: expected.status,
    attempt: expected.attempts,
    cleanupPending: false,
    phase: null,
  });
  const events = await eventsOf(world, jobId);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, n) => n + 1));
  const count = (type: string) => events.filter((event) => event.type === type).length;
  expect(events.filter(({ type }) => (TERMINAL_STATUSES as readonly string[]).includes(type))).toHaveLength(1);
  for (const type of ["EXITED", "LOGS_COLLECTED", "COST_RECORDED", "CLEANED_UP", "ADMITTED"]) {
    expect([type, count(type)]).toEqual([type, expected.attempts]);
  }
  expect(count("SUBMITTED")).toBe(1);
  expect(count("DEAD_LETTERED")).toBe(isDead ? 1 : 0);
  expect([...world.starts.values()]).toEqual(Array.from({ length: expected.attempts }, () => 1));
  expect(await leftOn(world)).toEqual([]);
  expect(await storedCounters(world.ledger, ["stub"], ["k"])).toEqual({
    queue: [0],
    slots: { stub: [0] },
    keys: { k: 0 },
    lanes: {},
  });
  const lines = (await Array.fromAsync(readLogs(world.ctx, job))).flat();
  expect(lines.map(({ text }) => text)).toEqual(expected.lines);
  expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, n) => n + 1));
}

describe("finalize that dies at any of its calls", () => {
  const spec: JobSpecInput = { secrets: { API_TOKEN: { from: "vault:token" } }, concurrencyKey: "k" };
  const script = { STUB_STDOUT: `one\nsecret-value-1\n${LONG}` };

  async function ended(): Promise<{ jobId: Awaited<ReturnType<typeof launched>>["jobId"]; attempt: number }> {
    world.secrets.set("token", "secret-value-1");
    const task = await launched(world, spec, script);
    await observeExit(world.ctx, task);
    expect((await lifeOf(world, task.jobId)).job.phase).toBe("collecting");
    return task;
  }

  test.each(WHEN)("(%s the call) ends the same when it is called again", async (when) => {
    let struck = 0;
    for (let n = 1; ; n++) {
      const task = await ended();
      const died = await crashing(n, when, () => finalizeAttempt(world.ctx, task));
      world.crash.revive();
      expect(await finalizeAttempt(world.ctx, task)).toEqual({ retry: false, delaySeconds: 0 });
      expect(await finalizeAttempt(world.ctx, task)).toEqual({ retry: false, delaySeconds: 0 });
      await expectWholeLife(task.jobId, {
        status: "SUCCEEDED",
        attempts: 1,
        lines: ["one", "***REDACTED***", LONG],
      });
      world.starts.clear();
      if (!died) break;
      struck++;
    }
    // Reads, the masks, the log and its object, the verdict's commit, the cleanup, the last commit.
    expect(struck).toBeGreaterThan(8);
  });

  test.each(WHEN)("(%s the call) is ended by the reconciler when nobody calls it again", async (when) => {
    for (let n = 1; ; n++) {
      const task = await ended();
      const died = await crashing(n, when, () => finalizeAttempt(world.ctx, task));
      world.restart();
      const report = await reconcile(world.ctx, { touchedBefore: Number.POSITIVE_INFINITY });
      expect(report.failures).toEqual([]);
      await runExecutions(world);
      await expectWholeLife(task.jobId, {
        status: "SUCCEEDED",
        attempts: 1,
        lines: ["one", "***REDACTED***", LONG],
      });
      world.starts.clear();
      if (!died) break;
    }
  });

  test("at two commits in a row still ends once", async () => {
    const task = await ended();
    for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      await crashing(n, "after", () => finalizeAttempt(world.ctx, task));
      world.crash.revive();
    }
    await finalizeAttempt(world.ctx, task);
    await expectWholeLife(task.jobId, { status: "SUCCEEDED", attempts: 1, lines: ["one", "***REDACTED***", LONG] });
  });
});

describe("a whole life that dies at any call", () => {
  /** One process: admits, launches, observes, finalizes, requeues. */
  const process = async () => {
    await admitWaiting(world.ctx, "stub");
    await runExecutions(world);
  };

  async function lives(spec: JobSpecInput, script: Record<string, string>, when: "before" | "after") {
    const jobs: string[] = [];
    for (let n = 1; ; n++) {
      const jobId = await submitted(world, spec, script);
      const died = await crashing(n, when, process);
      world.restart();
      await reconcile(world.ctx, { touchedBefore: Number.POSITIVE_INFINITY });
      await runExecutions(world);
      // What was between two attempts becomes due.
      world.ledger.nowMs += 3_600_000;
      await reconcile(world.ctx, { touchedBefore: Number.POSITIVE_INFINITY });
      await runExecutions(world);
      jobs.push(jobId);
      await expectEnd(jobId);
      world.starts.clear();
      if (!died) return jobs;
    }
  }
  let expectEnd: (jobId: string) => Promise<void>;

  test.each(WHEN)("(%s the call) ends as the command ended, started once", async (when) => {
    expectEnd = (jobId) => expectWholeLife(jobId, { status: "SUCCEEDED", attempts: 1, lines: [LONG] });
    expect((await lives({}, { STUB_STDOUT: LONG }, when)).length).toBeGreaterThan(20);
  });

  test.each(WHEN)("(%s the call) and is retried starts each attempt once", async (when) => {
    expectEnd = (jobId) => expectWholeLife(jobId, { status: "SUCCEEDED", attempts: 2, lines: ["hello", "hello"] });
    const spec: JobSpecInput = { retry: { maxAttempts: 2, on: ["UNKNOWN"] } };
    const script = { STUB_STDOUT: "hello", STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: "1" };
    expect((await lives(spec, script, when)).length).toBeGreaterThan(40);
  });

  test.each(WHEN)("(%s the call) and fails for good leaves one dead letter", async (when) => {
    expectEnd = (jobId) => expectWholeLife(jobId, { status: "FAILED", attempts: 2, lines: ["hello", "hello"] });
    const spec: JobSpecInput = { retry: { maxAttempts: 2, on: ["UNKNOWN"] } };
    const script = { STUB_STDOUT: "hello", STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: "2" };
    expect((await lives(spec, script, when)).length).toBeGreaterThan(40);
  });
});

test("a log that was stored is the same object when it is stored again", async () => {
  const task = await launched(world, {}, { STUB_LINES: "500" });
  await observeExit(world.ctx, task);
  const read = async () => {
    const object = await world.ctx.objects.get(logObject(task.jobId, 1));
    return Buffer.concat(object === undefined ? [] : await Array.fromAsync(object.body)).toString();
  };
  const seen = new Set<string>();
  for (let n = 1; n < 30; n++) {
    await crashing(n, "after", () => finalizeAttempt(world.ctx, task));
    world.crash.revive();
    const text = await read();
    if (text !== "") seen.add(text);
  }
  expect(seen.size).toBe(1);
  expect([...seen][0]?.trimEnd().split("\n")).toHaveLength(500);
});
