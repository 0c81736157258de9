import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readLife } from "../../engine/ledger/read.ts";
import { admitWaiting } from "../../engine/operations/admit.ts";
import { launchAttempt } from "../../engine/operations/launch.ts";
import { submitJob } from "../../engine/operations/submit.ts";
import type { RuntimeStatus } from "../../engine/ports/runtime.ts";
import { makeHandler, type RuntimeNews } from "../../functions/runtime-events.ts";
import { invoke } from "../../local/invoke.ts";
import { openWorld, type World } from "../engine/operations/world.ts";

let world: World;
let news: RuntimeNews | null;

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

async function receive(source = "aws.ecs"): Promise<void> {
  const handler = makeHandler(world.ctx, new Map([["aws.ecs", () => news]]));
  await invoke(handler, { id: "e1", source, "detail-type": "ECS Task State Change", detail: {} });
}

/** A job whose command runs until somebody tells of its end. */
async function running(): Promise<RuntimeNews> {
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

  it("is refused when it is no event", async () => {
    await expect(invoke(makeHandler(world.ctx, new Map()), { nonsense: 1 })).rejects.toThrow();
  });
});
