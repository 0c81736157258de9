import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { jobError, LongshoreError, type Violation } from "../../../engine/errors.ts";
import { jobItem } from "../../../engine/ledger/items.ts";
import { submitBatch, submitJob } from "../../../engine/operations/submit.ts";
import { everyJob } from "../ledger/fixtures.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
  world.runtime.explicitOnly = false;
});
afterEach(() => world.dispose());

const options = { caller: "somebody", idempotencyKey: "K" };
const spec = { image: "alpine:3.20", name: "nightly" };
const submit = (input: unknown, more: object = {}) => submitJob(world.ctx, input, { ...options, ...more });
const batch = (inputs: unknown[], more: object = {}) => submitBatch(world.ctx, inputs, { ...options, ...more });
const stored = async () => (await everyJob(world.ledger.sqlite)).map(({ jobId }) => jobId);

/** The home was started anew, and the runtime has not answered since. */
function silence(): void {
  world.ctx.runtimes = { ...world.ctx.runtimes, offered: () => [] };
}

/** Worth another try, unlike a spec that is wrong: it was refused as invalid. */
const SILENT = { code: "UNAVAILABLE", retryAfterSeconds: 15 };

async function violationsOf(submitting: Promise<unknown>): Promise<string[]> {
  const error: unknown = await submitting.then(
    () => expect.fail("was accepted"),
    (thrown) => thrown,
  );
  if (!(error instanceof LongshoreError)) throw error;
  expect(error.code).toBe("VALIDATION");
  return (error.violations ?? []).map(({ path, code }: Violation) => `${path} ${code}`);
}

describe("regression: an idempotency key, while no runtime answers any more,", () => {
  test("gives the first job again", async () => {
    const first = await submit(spec);
    silence();
    expect((await submit({ name: "nightly", image: "alpine:3.20" })).jobId).toBe(first.jobId);
    expect(await stored()).toEqual([first.jobId]);
  });

  test("gives a batch's jobs again", async () => {
    const first = (await batch([spec, spec])).map(({ jobId }) => jobId);
    silence();
    expect((await batch([spec, spec])).map(({ jobId }) => jobId)).toEqual(first);
  });

  test("is a conflict with another body, before anybody looks for a runtime", async () => {
    await submit(spec);
    silence();
    await expect(submit({ ...spec, priority: 1 })).rejects.toMatchObject({ code: "CONFLICT" });
    await expect(batch([spec, spec])).rejects.toMatchObject({ code: "CONFLICT" });
  });

  test("of another caller, or another key, finds nothing", async () => {
    await submit(spec);
    silence();
    await expect(submit(spec, { caller: "somebody else" })).rejects.toMatchObject(SILENT);
    await expect(submit(spec, { idempotencyKey: "L" })).rejects.toMatchObject(SILENT);
  });

  test("is no excuse for a spec that cannot be understood", async () => {
    await submit(spec);
    silence();
    expect(await violationsOf(submit({ ...spec, priority: 101 }))).toEqual(["priority too_big"]);
    expect(await violationsOf(batch([{ ...spec, priority: 101 }]))).toEqual(["jobs.0.priority too_big"]);
  });

  test("that was never used is not spent by a spec that no runtime takes", async () => {
    const { offered } = world.ctx.runtimes;
    silence();
    await expect(submit(spec)).rejects.toMatchObject(SILENT);
    world.ctx.runtimes = { ...world.ctx.runtimes, offered };
    const first = await submit({ ...spec, priority: 1 });
    expect(await stored()).toEqual([first.jobId]);
  });
});

test("an idempotency key raced past the first look is decided by the write", async () => {
  const get = world.ledger.sqlite.get.bind(world.ledger.sqlite);
  // Everybody looks before anybody has written.
  const looked = vi.spyOn(world.ctx.ledger.table, "get").mockImplementation(async (key) => {
    return key.pk.startsWith("IDEMPOTENCY#") ? undefined : await get(key);
  });
  const answers = await Promise.all(Array.from({ length: 5 }, () => submit(spec)));
  expect(new Set(answers.map(({ jobId }) => jobId)).size).toBe(1);
  await expect(submit({ ...spec, priority: 1 })).rejects.toMatchObject({ code: "CONFLICT" });
  looked.mockRestore();
  expect(await stored()).toHaveLength(1);
});

describe("a batch", () => {
  test.each([[null], ["text"], [[]], [1]])("regression: whose first is %j names the job and no field", async (odd) => {
    expect(await violationsOf(batch([odd, spec]))).toEqual(["jobs.0 invalid_type"]);
  });

  test("names the job for what is wrong with all of it, and the field for a key that is called spec", async () => {
    const huge = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`V${n}`, "x".repeat(600)]));
    const large = {
      ...spec,
      env: huge,
      sidecars: [
        { name: "a", image: "a", env: huge },
        { name: "b", image: "b", env: huge },
      ],
    };
    expect(await violationsOf(batch([spec, large]))).toEqual(["jobs.1 too_big"]);
    expect(await violationsOf(batch([{ ...spec, spec: {} }]))).toEqual(["jobs.0.spec unknown_key"]);
  });

  test("tells of all its jobs at once: those that cannot be understood and those that no runtime takes", async () => {
    const unfit = { ...spec, budget: { maxCostUsd: 1 } };
    expect(await violationsOf(batch([unfit, null, spec]))).toEqual([
      "jobs.0.budget unsupported",
      "jobs.1 invalid_type",
    ]);
    expect(await violationsOf(batch([spec, unfit]))).toEqual(["jobs.1.budget unsupported"]);
    expect(await stored()).toEqual([]);
  });
});

test("regression: a job's item stays under 4 KiB, whatever its spec and its error say", async () => {
  const labels = Object.fromEntries(
    Array.from({ length: 32 }, (_, n) => [`L${String(n).padStart(2, "0")}`, "x".repeat(29)]),
  );
  const job = await submit({
    name: "n".repeat(63),
    image: `registry.example.com:5000/${"team/".repeat(44)}image:${"t".repeat(128)}@sha512:${"0".repeat(128)}`,
    labels,
    lane: "l".repeat(63),
    concurrencyKey: "k".repeat(256),
    priority: -100,
    timeoutSeconds: 2_000_000,
  });
  const at = new Date(world.ledger.nowMs).toISOString();
  const item = jobItem({
    ...job,
    submittedBy: `arn:aws:sts::123456789012:assumed-role/${"r".repeat(64)}/session`,
    status: "FAILED",
    phase: "collecting",
    externalRef: "e".repeat(64),
    externalName: "n".repeat(63),
    startedAt: at,
    finishedAt: at,
    cancelRequestedAt: at,
    lastHeartbeatAt: at,
    retryAt: at,
    retryOf: job.jobId,
    exitCode: 255,
    cleanupPending: true,
    queueShard: null,
    slotShard: 0,
    error: jobError("RUNTIME_UNAVAILABLE", "x".repeat(10_000), { providerCode: "404", exitCode: 255 }),
    cost: { amountUsd: 0.123456789, basis: "unknown" },
  });
  expect(item.index2).toMatchObject({ pk: "ACTIVE" });
  expect(Buffer.byteLength(JSON.stringify(item))).toBeLessThan(4 * 1024);
});

describe("a queue that is full", () => {
  const full = { code: "QUEUE_FULL" };
  const alone = { caller: "somebody" };

  async function openFull(shards: number) {
    const small = await openWorld({ maxQueued: 2, shards });
    small.runtime.explicitOnly = false;
    const seal = vi.spyOn(small.ctx.sealer, "seal");
    while (
      await submitJob(small.ctx, spec, alone).then(
        () => true,
        () => false,
      )
    );
    seal.mockClear();
    return { small, seal };
  }

  test("refuses one more before it is sealed, and as much of a batch as does not fit", async () => {
    const { small, seal } = await openFull(1);
    try {
      const refused = submitJob(small.ctx, spec, alone);
      await expect(refused).rejects.toMatchObject({ ...full, retryAfterSeconds: 60 });
      await expect(submitBatch(small.ctx, [spec, spec], alone)).rejects.toMatchObject(full);
      expect(seal).not.toHaveBeenCalled();
      expect(await everyJob(small.ledger.sqlite)).toHaveLength(2);
      // What is wrong with a spec goes first: waiting would not help it.
      await expect(submitJob(small.ctx, { image: "" }, alone)).rejects.toMatchObject({ code: "VALIDATION" });
    } finally {
      await small.dispose();
    }
  });

  test("is looked at by the commit alone under an idempotency key, and where several counters keep the bound", async () => {
    const { small, seal } = await openFull(1);
    const sharded = await openFull(2);
    try {
      await expect(submitJob(small.ctx, spec, options)).rejects.toMatchObject(full);
      expect(seal).toHaveBeenCalledOnce();
      await expect(submitJob(sharded.small.ctx, spec, alone)).rejects.toMatchObject(full);
      expect(sharded.seal).toHaveBeenCalledOnce();
    } finally {
      await small.dispose();
      await sharded.small.dispose();
    }
  });

  test("that was filled between the look and the commit lets nothing through", async () => {
    const world = await openWorld({ maxQueued: 3 });
    try {
      world.runtime.explicitOnly = false;
      const all = await Promise.allSettled(Array.from({ length: 20 }, () => submitJob(world.ctx, spec, alone)));
      expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
      expect(await everyJob(world.ledger.sqlite)).toHaveLength(3);
    } finally {
      await world.dispose();
    }
  });
});
