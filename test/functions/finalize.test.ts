import { afterEach, beforeEach, expect, it } from "vitest";
import { readJob } from "../../engine/ledger/read.ts";
import { observeExit } from "../../engine/operations/observe.ts";
import { told } from "../../functions/aws/serve.ts";
import { makeHandler } from "../../functions/finalize.ts";
import lifecycle from "../../functions/lifecycle.asl.json" with { type: "json" };
import { invoke } from "../../local/invoke.ts";
import { launched, openWorld, type World } from "../engine/operations/world.ts";

let world: World;
let finalize: (step: string, jobId: string, attempt: number) => Promise<unknown>;

beforeEach(async () => {
  world = await openWorld();
  const handler = makeHandler(world.ctx);
  finalize = (step, jobId, attempt) =>
    invoke(handler, { step, input: { jobId, attempt, generation: 0, runSeconds: 9 } });
});
afterEach(() => world.dispose());

/** A job whose attempt has ended. */
async function ended(spec: Parameters<typeof launched>[1]): Promise<string> {
  const { jobId } = await launched(world, spec, { STUB_EXIT_CODE: "3" });
  for (const one of world.watched.splice(0)) await observeExit(world.ctx, one);
  return jobId;
}

const FLAKY = { retry: { maxAttempts: 2, delaySeconds: 7, backoff: 1, on: ["USER_CODE" as const] } };

it("tells by the name of an error that another attempt is due, in how long, and again when it is asked again", async () => {
  const jobId = await ended(FLAKY);
  const due = await finalize("finalize", jobId, 1).catch((error: unknown) => error);
  expect(due).toMatchObject({ name: "RetryDue" });
  const [retrier] = lifecycle.States.Finalize.Retry;
  const [catcher] = lifecycle.States.Finalize.Catch;
  expect([retrier, catcher]).toMatchObject([
    { ErrorEquals: ["RetryDue"], MaxAttempts: 0 },
    { ErrorEquals: ["RetryDue"] },
  ]);
  expect(told(due as never).name).toBe("RetryDue");
  await expect(finalize("finalize", jobId, 1)).rejects.toMatchObject({ name: "RetryDue" });
  const { delaySeconds } = (await finalize("delay", jobId, 1)) as { delaySeconds: number };
  expect(delaySeconds).toBeGreaterThan(1);
  expect(delaySeconds).toBeLessThanOrEqual(7);
  world.ledger.nowMs += 1_000;
  expect(await finalize("delay", jobId, 1)).toEqual({ delaySeconds: delaySeconds - 1 });
  world.ledger.nowMs += (delaySeconds - 1) * 1000;
  expect(await finalize("requeue", jobId, 1)).toBeNull();
  expect(await readJob(world.ledger, jobId)).toMatchObject({ attempt: 2 });
  // Late, and harmless: the attempt has long been followed by another one.
  expect(await finalize("delay", jobId, 1)).toEqual({ delaySeconds: 0 });
});

it("answers with nothing at a job's end, however often it is asked", async () => {
  const jobId = await ended({});
  expect([await finalize("finalize", jobId, 1), await finalize("finalize", jobId, 1)]).toEqual([null, null]);
  expect(await readJob(world.ledger, jobId)).toMatchObject({ status: "FAILED", exitCode: 3 });
});

it.each(["unknown", "", undefined])("refuses a step that is none: %s", async (step) => {
  await expect(finalize(step as string, "job_01KGABCDEFGHJKMNPQRSTVWXYZ", 1)).rejects.toThrow("step");
});
