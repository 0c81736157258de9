import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { admitWaiting, requeue } from "../../../engine/operations/admit.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { createUsageReader, MAX_USAGES } from "../../../engine/operations/usage.ts";
import type { ExternalRef, RuntimeUsage } from "../../../engine/ports/runtime.ts";
import { executionOf, launched, lifeOf, openWorld, submitted, type World } from "./world.ts";

let world: World;
let asked: ExternalRef[][];
beforeEach(async () => {
  world = await openWorld();
  asked = [];
  const { usage } = world.runtime;
  world.runtime.usage = async (refs, signal) => {
    asked.push([...refs]);
    return (await usage?.(refs, signal)) ?? new Map();
  };
});
afterEach(() => world.dispose());

const FOREVER = { STUB_DURATION_MS: "forever", STUB_CPU: "0.5", STUB_MEMORY_BYTES: "100" };

describe("what jobs use", () => {
  it("is told of those that run, the newest first", async () => {
    await submitted(world, {}, FOREVER);
    const first = await launched(world, { name: "one", lane: "blue" }, FOREVER);
    const second = await launched(world, { name: "two" }, FOREVER);
    world.ledger.nowMs += 4_000;
    const report = await createUsageReader(world.ctx)();
    expect(report).toMatchObject({
      at: new Date(world.ledger.nowMs).toISOString(),
      leftOut: 0,
      failures: [],
      items: [
        { jobId: second.jobId, name: "two", attempt: 1, usage: { cpuSeconds: 2, memoryBytes: 100 } },
        { jobId: first.jobId, name: "one", lane: "blue", runtime: "stub", status: "RUNNING", phase: "running" },
      ],
    });
  });

  it("is asked for once by all who look within a second", async () => {
    await launched(world, {}, FOREVER);
    const read = createUsageReader(world.ctx);
    await Promise.all([read(), read(), read()]);
    world.ledger.nowMs += 999;
    await read();
    expect(asked).toHaveLength(1);
    world.ledger.nowMs += 1;
    await read();
    expect(asked).toHaveLength(2);
  });

  it("is asked for once however long the answer takes", async () => {
    await launched(world, {}, FOREVER);
    const answer = Promise.withResolvers<Map<ExternalRef, RuntimeUsage>>();
    world.runtime.usage = async (refs) => {
      asked.push([...refs]);
      return await answer.promise;
    };
    const read = createUsageReader(world.ctx);
    const first = read();
    world.ledger.nowMs += 2_000;
    const second = read();
    answer.resolve(new Map());
    expect(await second).toBe(await first);
    expect(asked).toHaveLength(1);
  });

  it("is that of the attempt, since its own start", async () => {
    const retry = { maxAttempts: 2, delaySeconds: 0, on: ["USER_CODE" as const] };
    const { jobId } = await launched(world, { retry }, FOREVER);
    world.ledger.nowMs += 60_000;
    const { attempt } = await lifeOf(world, jobId);
    await world.runtime.cancel(attempt?.externalRef ?? "", 0);
    await observeExit(world.ctx, { jobId, attempt: 1 });
    await finalizeAttempt(world.ctx, { jobId, attempt: 1, generation: 0 });
    await requeue(world.ctx, jobId, 1);
    await admitWaiting(world.ctx, "stub");
    const { input, token } = executionOf(world, jobId);
    await launchAttempt(world.ctx, { ...input, token });
    const startedAt = new Date(world.ledger.nowMs).toISOString();
    world.ledger.nowMs += 4_000;
    expect(await createUsageReader(world.ctx)()).toMatchObject({
      items: [{ jobId, attempt: 2, startedAt, usage: { cpuSeconds: 2 } }],
    });
  });

  it("is looked at again after a look that failed", async () => {
    await launched(world, {}, FOREVER);
    const { table } = world.ctx.ledger;
    const { query } = table;
    table.query = () => Promise.reject(new LongshoreError("UNAVAILABLE", "the table is away"));
    const read = createUsageReader(world.ctx);
    await expect(read()).rejects.toThrow("the table is away");
    table.query = query;
    expect((await read()).items).toHaveLength(1);
  });

  it("is bounded: of more jobs than it looks at, it says how many", async () => {
    for (let n = 0; n < MAX_USAGES + 3; n++) await launched(world, {}, FOREVER);
    const { items, leftOut } = await createUsageReader(world.ctx)();
    expect([items.length, leftOut, asked[0]?.length]).toEqual([MAX_USAGES, 3, MAX_USAGES]);
  });

  it("is null where the runtime tells nothing, and names the runtime that does not answer", async () => {
    await launched(world, {}, FOREVER);
    world.runtime.usage = async () => new Map();
    expect(await createUsageReader(world.ctx)()).toMatchObject({ items: [{ usage: null }], failures: [] });
    world.runtime.usage = () => Promise.reject(new LongshoreError("RUNTIME_UNAVAILABLE", "stub: away"));
    expect(await createUsageReader(world.ctx)()).toMatchObject({
      items: [{ usage: null }],
      failures: [{ runtime: "stub", message: "stub: away" }],
    });
    world.runtime.usage = () => Promise.reject(new Error("connect ENOENT /home/secret/docker.sock"));
    const { failures } = await createUsageReader(world.ctx)();
    expect(failures).toEqual([{ runtime: "stub", message: "the runtime cannot be asked" }]);
  });

  it("asks nobody where nothing runs", async () => {
    await submitted(world, {}, FOREVER);
    expect((await createUsageReader(world.ctx)()).items).toEqual([]);
    expect(asked).toEqual([]);
  });
});
