import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LongshoreError } from "../../engine/errors.ts";
import { readLife } from "../../engine/ledger/read.ts";
import { admitWaiting } from "../../engine/operations/admit.ts";
import { launchAttempt } from "../../engine/operations/launch.ts";
import type { News } from "../../engine/operations/observe.ts";
import { submitJob } from "../../engine/operations/submit.ts";
import type { ExecutionInput } from "../../engine/ports/orchestrator.ts";
import type { RuntimeStatus } from "../../engine/ports/runtime.ts";
import { makeHandler } from "../../functions/runtime-events.ts";
import { invoke } from "../../local/invoke.ts";
import { leftOn, openWorld, typesOf, type World } from "../engine/operations/world.ts";

let world: World;
let news: News | null;

beforeEach(async () => {
  world = await openWorld();
  news = null;
});
afterEach(async () => {
  await world.dispose();
});

const EXITED: RuntimeStatus = {
  phase: "exited",
  exitCode: 7,
  oom: false,
  failure: null,
  startedAt: null,
  finishedAt: "2026-01-01T00:00:00.000Z",
};

const STARTED = "2025-12-31T23:59:00.000Z";

async function receive(source = "aws.ecs"): Promise<void> {
  const handler = makeHandler(world.ctx, new Map([["aws.ecs", () => news]]));
  await invoke(handler, { id: "e1", source, "detail-type": "ECS Task State Change", detail: {} });
}

/** A job whose command runs until somebody tells of its end. */
async function running(): Promise<News> {
  const spec = { runtime: "stub", env: { STUB_DURATION_MS: "forever" } };
  const { jobId } = await submitJob(world.ctx, spec, { caller: "test" });
  await admitWaiting(world.ctx, "stub");
  const [execution] = [...world.executions.values()];
  await launchAttempt(world.ctx, { jobId, attempt: 1, token: execution?.token ?? "" });
  const life = await readLife(world.ledger, jobId);
  return { jobId, attempt: 1, externalRef: life?.attempt?.externalRef ?? "", status: EXITED };
}

describe("an event of a runtime", () => {
  it("records the end of an attempt and completes its token, once", async () => {
    news = await running();
    await receive();
    await receive();
    const life = await readLife(world.ledger, news.jobId);
    expect(life?.attempt?.exit).toMatchObject({ exitCode: 7 });
    expect([...world.executions.values()].map(({ completed }) => completed)).toEqual([true]);
  });

  it.each(["running", "created", "unknown"] as const)(
    "changes nothing that tells of an attempt as %s",
    async (phase) => {
      news = await running();
      news = { ...news, status: { ...EXITED, phase } };
      await receive();
      expect((await readLife(world.ledger, news.jobId))?.attempt?.exit).toBeNull();
    },
  );

  it("is let be when it is another's, of another source, or of an attempt that is over", async () => {
    await receive();
    await receive("aws.batch");
    news = { ...(await running()), attempt: 2 };
    await receive();
    expect((await readLife(world.ledger, news.jobId))?.attempt?.exit).toBeNull();
  });

  it("completes the token when the completion was lost before", async () => {
    news = await running();
    const { complete } = world.ctx.orchestrator;
    world.ctx.orchestrator.complete = async () => {
      world.ctx.orchestrator.complete = complete;
      throw new Error("throttled");
    };
    await expect(receive()).rejects.toThrow("throttled");
    expect((await readLife(world.ledger, news.jobId))?.attempt?.exit).toMatchObject({ exitCode: 7 });
    await receive();
    expect([...world.executions.values()].map(({ completed }) => completed)).toEqual([true]);
  });

  it("is let be when it is of another resource than the attempt's", async () => {
    const own = await running();
    for (const startedAt of [null, STARTED]) {
      news = { ...own, externalRef: "other", status: { ...EXITED, startedAt } };
      await receive();
    }
    expect((await readLife(world.ledger, own.jobId))?.attempt?.exit).toBeNull();
    expect(world.completions).toEqual([]);
  });

  it("that comes before the start is on record tells of the start as well, once", async () => {
    const { submit } = world.runtime;
    world.runtime.submit = async (launch, signal) => {
      const externalRef = await submit(launch, signal);
      const { jobId, attempt } = launch;
      news = { jobId, attempt, externalRef, status: { ...EXITED, startedAt: STARTED } };
      await receive();
      await receive();
      return externalRef;
    };
    const { jobId, externalRef } = await running();
    const life = await readLife(world.ledger, jobId);
    expect(life?.job).toMatchObject({ phase: "collecting", startedAt: STARTED, externalRef });
    expect(life?.attempt).toMatchObject({ startedAt: STARTED, externalRef, exit: { exitCode: 7 } });
    expect((await typesOf(world, jobId)).filter((type) => /STARTED|EXITED/.test(type))).toEqual(["STARTED", "EXITED"]);
    expect([...world.executions.values()].map(({ completed }) => completed)).toEqual([true]);
    // The launch that came after it has left the resource to be collected.
    expect(await leftOn(world)).toHaveLength(1);
  });

  it("of what ended before its start is left to the launch, which defers the job; however late it comes", async () => {
    const { submit } = world.runtime;
    const heard: string[] = [];
    const hear = async (when: string) => {
      const before = await readLife(world.ledger, news?.jobId ?? "");
      await receive();
      expect(await readLife(world.ledger, news?.jobId ?? ""), when).toEqual(before);
      heard.push(when);
    };
    world.runtime.submit = async (launch) => {
      launch.report({ phase: "creating" });
      const failure = { category: "RUNTIME_UNAVAILABLE", message: "no capacity", providerCode: null } as const;
      const status = { ...EXITED, exitCode: null, failure };
      news = { jobId: launch.jobId, attempt: 1, externalRef: "task-1", status };
      await new Promise((resolve) => setImmediate(resolve));
      await hear("launching");
      throw new LongshoreError("RUNTIME_UNAVAILABLE", "no capacity", { unstarted: "task-1" });
    };
    await running();
    await hear("queued");
    await admitWaiting(world.ctx, "stub");
    await hear("admitted");
    world.runtime.submit = async (launch, signal) => {
      await hear("launching again");
      return await submit(launch, signal);
    };
    const execution = [...world.executions.values()].at(-1);
    await launchAttempt(world.ctx, { ...(execution?.input as ExecutionInput), token: execution?.token ?? "" });
    await hear("running");
    expect(heard).toEqual(["launching", "queued", "admitted", "launching again", "running"]);
    expect((await readLife(world.ledger, news?.jobId ?? ""))?.job).toMatchObject({ phase: "running", attempt: 1 });
  });

  it.each(["queued", "admitted"] as const)("of what was started is let be while the job is %s again", async (stage) => {
    // A launch of the same attempt that hung while another one was not answered may have started it all the same.
    world.runtime.submit = async () => {
      throw new LongshoreError("RUNTIME_UNAVAILABLE", "throttled");
    };
    const { jobId } = await running();
    if (stage === "admitted") await admitWaiting(world.ctx, "stub");
    const before = await readLife(world.ledger, jobId);
    expect(before?.job.status).toBe("PENDING");
    news = { jobId, attempt: 1, externalRef: "task-1", status: { ...EXITED, startedAt: STARTED } };
    await receive();
    expect(await readLife(world.ledger, jobId)).toEqual(before);
  });

  it("is refused when it is no event", async () => {
    await expect(invoke(makeHandler(world.ctx, new Map()), { nonsense: 1 })).rejects.toThrow();
  });
});
