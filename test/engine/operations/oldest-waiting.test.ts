import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { admitWaiting } from "../../../engine/operations/admit.ts";
import { oldestWaitingSeconds } from "../../../engine/operations/oldest-waiting.ts";
import { submitJob } from "../../../engine/operations/submit.ts";
import { openWorld, type World } from "./world.ts";

let world: World;

beforeEach(async () => {
  world = await openWorld({ maxConcurrent: () => 2 });
});
afterEach(async () => {
  await world.dispose();
});

const submit = (more: object) => submitJob(world.ctx, { runtime: "stub", ...more }, { caller: "test" });
const oldest = () => oldestWaitingSeconds(world.ledger, ["stub"]);

describe("the oldest of the jobs that wait", () => {
  it("has waited for nothing where none waits", async () => {
    expect(await oldest()).toBe(0);
  });

  it("is found whatever its priority and lane, behind many that came later", async () => {
    await submit({ priority: 5, lane: "b" });
    world.ledger.nowMs += 10_000;
    await submit({ priority: -3 });
    world.ledger.nowMs += 10_000;
    for (let n = 0; n < 5; n++) await submit({ priority: 100 });
    await submit({ priority: -100 });
    world.ledger.nowMs += 10_000;
    expect(await oldest()).toBe(30);
  });

  it("is none that runs, nor one behind its concurrency key", async () => {
    // Ids of one process never go back, whatever the clock of another test said before.
    world.ledger.nowMs += 3_600_000;
    await submit({ concurrencyKey: "k" });
    await submit({ concurrencyKey: "k" });
    world.ledger.nowMs += 10_000;
    await admitWaiting(world.ctx, "stub");
    await submit({});
    world.ledger.nowMs += 7_000;
    expect(await oldest()).toBe(7);
  });
});
