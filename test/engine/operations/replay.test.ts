import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { JobId } from "../../../engine/ids.ts";
import { readDeadLetter, removeDeadLetter } from "../../../engine/ledger/dead-letters.ts";
import { sealedKey } from "../../../engine/ledger/keys.ts";
import { admitWaiting } from "../../../engine/operations/admit.ts";
import { retryJob } from "../../../engine/operations/control.ts";
import { replayDeadLetter } from "../../../engine/operations/replay.ts";
import { submitJob } from "../../../engine/operations/submit.ts";
import { everyJob } from "../ledger/fixtures.ts";
import { lifeOf, openWorld, runExecutions, submitted, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld({ maxQueued: 3 });
});
afterEach(() => world.dispose());

const options = { caller: "somebody" };
const keyed = { ...options, idempotencyKey: "K" };
const replay = (jobId: JobId, more: object = {}) => replayDeadLetter(world.ctx, jobId, { ...options, ...more });
const letterOf = (jobId: JobId) => readDeadLetter({ ...world.ledger, table: world.ledger.sqlite }, jobId);
/** The jobs that were made from a job. */
const madeOf = async (jobId: JobId) =>
  (await everyJob(world.ledger.sqlite)).filter(({ retryOf }) => retryOf === jobId).map((job) => job.jobId);

async function failed(): Promise<JobId> {
  const jobId = await submitted(world, { env: { DB_PASSWORD: "hunter2-value" } }, { STUB_EXIT_CODE: "3" });
  await admitWaiting(world.ctx, "stub");
  await runExecutions(world);
  expect((await lifeOf(world, jobId)).job.status).toBe("FAILED");
  return jobId;
}

describe("a replay", () => {
  test("submits the same spec with its secret values once more, and marks the dead letter", async () => {
    const jobId = await failed();
    const job = await replay(jobId);
    expect(job).toMatchObject({ retryOf: jobId, status: "PENDING", attempt: 1 });
    expect(await letterOf(jobId)).toMatchObject({ replayedAs: job.jobId });
    const sealed = await world.ledger.sqlite.get(sealedKey(job.jobId));
    const plain = await world.ctx.sealer.open(Buffer.from(String(sealed?.data), "base64"), job.jobId);
    expect(JSON.parse(Buffer.from(plain).toString())).toMatchObject({ env: { DB_PASSWORD: "hunter2-value" } });
  });

  test("that fails too leaves a dead letter of its own, which can be replayed", async () => {
    const first = await failed();
    const second = (await replay(first)).jobId;
    await admitWaiting(world.ctx, "stub");
    await runExecutions(world);
    expect(await letterOf(second)).toMatchObject({ replayedAs: null, jobId: second });
    expect((await replay(second)).retryOf).toBe(second);
    expect(await letterOf(first)).toMatchObject({ replayedAs: second });
  });

  test("is possible once: the next is told of the first", async () => {
    const jobId = await failed();
    const job = await replay(jobId);
    const message = expect.stringContaining(job.jobId);
    for (const more of [{}, { idempotencyKey: "other" }]) {
      await expect(replay(jobId, more)).rejects.toMatchObject({ code: "CONFLICT", message });
    }
    expect(await madeOf(jobId)).toEqual([job.jobId]);
  });

  test("that many ask for at once gives one job, and everybody else its name", async () => {
    const jobId = await failed();
    const answers = await Promise.allSettled(Array.from({ length: 10 }, () => replay(jobId)));
    const made = answers.flatMap((one) => (one.status === "fulfilled" ? [one.value.jobId] : []));
    expect(made).toHaveLength(1);
    expect(await madeOf(jobId)).toEqual(made);
    for (const one of answers) {
      if (one.status === "fulfilled") continue;
      expect(one.reason).toMatchObject({ code: "CONFLICT", message: expect.stringContaining(made[0] ?? "") });
    }
    expect((await everyJob(world.ledger.sqlite)).filter(({ queueShard }) => queueShard !== null)).toHaveLength(1);
  });

  test("that many ask for at once with one key gives all of them the one job", async () => {
    const jobId = await failed();
    const jobs = await Promise.all(Array.from({ length: 5 }, () => replay(jobId, keyed)));
    expect(new Set(jobs.map((job) => job.jobId)).size).toBe(1);
    expect(await madeOf(jobId)).toEqual([jobs[0]?.jobId]);
  });

  test.each(["before", "after"] as const)(
    "whose process dies (%s a call) is asked for again with its key",
    async (when) => {
      let struck = 0;
      for (let n = 1; ; n++) {
        const jobId = await failed();
        const key = { idempotencyKey: `K${n}` };
        world.crash.at(n, when);
        const died = await replay(jobId, key).then(
          () => false,
          () => true,
        );
        world.crash.revive();
        const job = await replay(jobId, key);
        expect(await madeOf(jobId)).toEqual([job.jobId]);
        expect(await letterOf(jobId)).toMatchObject({ replayedAs: job.jobId });
        await admitWaiting(world.ctx, "stub");
        await runExecutions(world);
        if (!died) break;
        struck++;
      }
      expect(struck).toBeGreaterThan(4);
    },
  );

  test("under a key that another call used for the same spec is a conflict, and nothing is marked", async () => {
    const jobId = await failed();
    const retried = await retryJob(world.ctx, jobId, keyed);
    await expect(replay(jobId, keyed)).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await letterOf(jobId)).toMatchObject({ replayedAs: null });
    expect(await madeOf(jobId)).toEqual([retried.jobId]);
    // Nor does it give the replay of another dead letter with the same spec.
    const other = await failed();
    await replay(other, { idempotencyKey: "L" });
    await expect(replay(jobId, { idempotencyKey: "L" })).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("that a full queue refuses changes nothing and can be asked for later", async () => {
    const jobId = await failed();
    const waiting = await Promise.all([1, 2, 3].map(() => submitJob(world.ctx, { runtime: "stub" }, options)));
    await expect(replay(jobId)).rejects.toMatchObject({ code: "QUEUE_FULL" });
    expect(await letterOf(jobId)).toMatchObject({ replayedAs: null, replayed: false });
    await admitWaiting(world.ctx, "stub");
    expect(waiting).toHaveLength(3);
    expect((await replay(jobId)).retryOf).toBe(jobId);
  });

  test("of what was replayed before is told so even while the queue is full", async () => {
    const jobId = await failed();
    await replay(jobId);
    await Promise.all([1, 2].map(() => submitJob(world.ctx, { runtime: "stub" }, options)));
    await expect(replay(jobId, keyed)).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("whose sealed spec was erased is a conflict", async () => {
    const jobId = await failed();
    await world.ledger.sqlite.commit([{ kind: "delete", key: sealedKey(jobId) }]);
    await expect(replay(jobId)).rejects.toMatchObject({ code: "CONFLICT", message: expect.stringContaining("erased") });
    expect(await letterOf(jobId)).toMatchObject({ replayedAs: null });
  });

  test("of what was removed, before it or meanwhile, finds nothing and makes no job", async () => {
    const jobId = await failed();
    const { sealer } = world.ctx;
    world.ctx.sealer = {
      ...sealer,
      seal: async (...args) => {
        // The last thing before the commit.
        await removeDeadLetter(world.ledger, jobId);
        return sealer.seal(...args);
      },
      open: (...args) => sealer.open(...args),
      digest: (...args) => sealer.digest(...args),
    };
    await expect(replay(jobId)).rejects.toMatchObject({ code: "NOT_FOUND" });
    world.ctx.sealer = sealer;
    await expect(replay(jobId)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await madeOf(jobId)).toEqual([]);
  });

  test("of a job that did not fail for good finds nothing", async () => {
    const jobId = await submitted(world);
    await expect(replay(jobId)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
