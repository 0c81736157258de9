import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LongshoreError } from "../../engine/errors.ts";
import { listJobs } from "../../engine/ledger/list.ts";
import type { BusEntry } from "../../engine/ports/bus.ts";
import { makeHandler } from "../../functions/inbound-events.ts";
import { invoke } from "../../local/invoke.ts";
import { openWorld, type World } from "../engine/operations/world.ts";

const SECRET = "hunter2-and-more";

let world: World;
let told: BusEntry[];
let busFails: boolean;

beforeEach(async () => {
  world = await openWorld();
  told = [];
  busFails = false;
});
afterEach(async () => {
  await world.dispose();
});

const bus = {
  async publish(entries: BusEntry[]) {
    if (busFails) return { failed: entries.map(({ id }) => id) };
    told.push(...entries);
    return { failed: [] };
  },
};

interface Given {
  id?: string;
  source?: string;
  ageMs?: number;
}

async function receive(detail: unknown, { id = "e1", source = "my.app", ageMs = 0 }: Given = {}): Promise<void> {
  const time = new Date(world.ctx.clock() - ageMs).toISOString();
  await invoke(makeHandler(world.ctx, bus), { id, source, time, "detail-type": "Job Submission Requested", detail });
}

async function jobs() {
  return (await listJobs(world.ledger, {}, { limit: 10, since: world.ctx.home.createdAt })).jobs;
}

describe("an event that asks for a job", () => {
  it("submits it once, however often it comes, by its id", async () => {
    await receive({ spec: { runtime: "stub" } });
    await receive({ spec: { runtime: "stub" } });
    expect(await jobs()).toMatchObject([{ submittedBy: "event:my.app" }]);
    await receive({ spec: { runtime: "stub" } }, { id: "e2" });
    expect(await jobs()).toHaveLength(2);
  });

  it("brings it into the trace that its detail names, if it is one", async () => {
    const trace = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", tracestate: "a=b" };
    await receive({ spec: { runtime: "stub" }, ...trace });
    expect(await jobs()).toMatchObject([{ trace }]);
    for (const [n, traceparent] of [7, null, "00-zz", { a: 1 }].entries()) {
      await receive({ spec: { runtime: "stub" }, traceparent, tracestate: "a=b" }, { id: `bad-${n}` });
    }
    expect(told).toEqual([]);
    expect((await jobs()).filter((job) => job.trace === undefined)).toHaveLength(4);
  });

  it("submits it once by the key inside, whose other use is rejected", async () => {
    await receive({ spec: { runtime: "stub" }, idempotencyKey: "k" });
    await receive({ spec: { runtime: "stub" }, idempotencyKey: "k" }, { id: "e2" });
    expect(await jobs()).toHaveLength(1);
    await receive({ spec: { runtime: "stub", name: "other" }, idempotencyKey: "k" }, { id: "e3" });
    expect(told).toMatchObject([{ id: "e3#rejected", detail: { data: { eventId: "e3", code: "CONFLICT" } } }]);
    // Two sources do not share their keys.
    await receive({ spec: { runtime: "stub", name: "other" }, idempotencyKey: "k" }, { id: "e4", source: "its.app" });
    expect(await jobs()).toHaveLength(2);
  });

  it.each([
    ["env", { env: { DB_PASSWORD: SECRET } }],
    ["what its spec calls sensitive", { env: { ODD: SECRET }, sensitive: ["ODD"] }],
    ["args", { args: ["--password", SECRET] }],
  ])("is rejected for a secret value in %s, and the rejection does not repeat it", async (_, spec) => {
    await receive({ spec: { runtime: "stub", ...spec } });
    expect(await jobs()).toEqual([]);
    expect(told).toMatchObject([
      {
        source: "longshore",
        detailType: "Job Submission Rejected",
        detail: { subject: "e1", data: { code: "VALIDATION", violations: [{ path: "spec", code: "plain_secret" }] } },
      },
    ]);
    expect(JSON.stringify([told, world.logged])).not.toContain(SECRET);
  });

  it("may name a secret's source", async () => {
    await receive({ spec: { runtime: "stub", secrets: { API_TOKEN: { from: "ssm:/longshore/jobs/token" } } } });
    expect(await jobs()).toHaveLength(1);
  });

  it.each([
    ["no detail", undefined],
    ["no spec", {}],
    ["a spec that is none", { spec: { [SECRET]: 1, runtime: "stub" } }],
    ["a key with blanks", { spec: { runtime: "stub" }, idempotencyKey: "a b" }],
    ["a value where none may be", { spec: { runtime: "stub", env: { A: [SECRET] } } }],
  ])("is rejected with %s", async (_, detail) => {
    await receive(detail);
    expect(told).toMatchObject([{ detail: { data: { code: "VALIDATION" } } }]);
    expect(await jobs()).toEqual([]);
  });

  it("is tried again for what is not its fault, and told in the end", async () => {
    await world.dispose();
    world = await openWorld({ maxQueued: 1 });
    await receive({ spec: { runtime: "stub" } }, { id: "e0" });
    await expect(receive({ spec: { runtime: "stub" } })).rejects.toMatchObject({ code: "QUEUE_FULL" });
    expect(told).toEqual([]);
    await receive({ spec: { runtime: "stub" } }, { ageMs: 180_000 });
    expect(told).toMatchObject([{ detail: { data: { code: "QUEUE_FULL" } } }]);
  });

  it("comes again when its rejection could not be told", async () => {
    busFails = true;
    await expect(receive({})).rejects.toThrow(LongshoreError);
  });
});
