import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { EventRecord, JobRecord } from "../../../engine/ledger/records.ts";
import { admitWaiting } from "../../../engine/operations/admit.ts";
import { publishEvents } from "../../../engine/operations/publish.ts";
import { submitJob } from "../../../engine/operations/submit.ts";
import type { Bus, BusEntry } from "../../../engine/ports/bus.ts";
import type { FeedRecord, Item } from "../../../engine/ports/table.ts";
import { traceOfJob } from "../../../engine/trace.ts";
import { eventsOf, openWorld, runExecutions, submitted, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

/** A bus that refuses the events of these numbers, and with each what follows it of its job. */
function bus(...refused: number[]): { taken: BusEntry[]; port: Bus } {
  const taken: BusEntry[] = [];
  const port: Bus = {
    async publish(entries) {
      const stopped = new Set<string>();
      const failed: string[] = [];
      for (const entry of entries) {
        const [job = "", seq = ""] = entry.id.split("#");
        if (refused.includes(Number(seq))) stopped.add(job);
        if (stopped.has(job)) failed.push(entry.id);
        else taken.push(entry);
      }
      return { failed };
    },
  };
  return { taken, port };
}

/** What the feed has of a job that failed, the events of its last commit turned round. */
async function turnedRound(): Promise<{ records: FeedRecord[]; seqs: number[] }> {
  const jobId = await submitted(world, {}, { STUB_EXIT_CODE: "3" });
  await admitWaiting(world.ctx, "stub");
  await runExecutions(world);
  const events = await eventsOf(world, jobId);
  const types = events.map(({ type }) => type);
  const at = types.indexOf("DEAD_LETTERED");
  expect(types[at + 1]).toBe("FAILED");
  const turned = [...events.slice(0, at), events[at + 1], events[at], ...events.slice(at + 2)];
  const items = turned.map((event) => ({ ...event, pk: `JOB#${jobId}`, sk: `EVENT#${event?.seq}` }) as unknown as Item);
  return { records: items.map((item, position) => ({ position, item })), seqs: events.map(({ seq }) => seq) };
}

describe("events on their way to the bus", () => {
  test("leave by their numbers, also where the feed has those of one commit in another order", async () => {
    const { records, seqs } = await turnedRound();
    const { taken, port } = bus();
    expect(await publishEvents(world.ctx, { bus: port }, records)).toEqual([]);
    expect(taken.map(({ detail }) => (detail.data as { seq: number }).seq)).toEqual(seqs);
  });

  test("come again from the first record on that holds one which was not taken, or must not overtake it", async () => {
    const { records } = await turnedRound();
    const at = (type: string) => records.findIndex(({ item }) => item.type === type);
    const { taken, port } = bus(Number(records[at("DEAD_LETTERED")]?.item.seq));
    const first = Math.min(...(await publishEvents(world.ctx, { bus: port }, records)));
    expect(first).toBe(at("FAILED"));
    expect(first).toBeLessThan(at("DEAD_LETTERED"));
    // Delivered again from there on, nothing is missing.
    const again = records.slice(first);
    const second = bus();
    await publishEvents(world.ctx, { bus: second.port }, again);
    const ids = new Set([...taken, ...second.taken].map(({ id }) => id));
    expect(ids.size).toBe(records.length);
  });

  test("carry their job's trace, which is that of its submission or one of its own", async () => {
    const trace = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", tracestate: "a=b" };
    const given = await submitJob(world.ctx, { name: "one", runtime: "stub" }, { caller: "somebody", trace });
    const own = await submitted(world);
    const records = await world.ledger.sqlite.feed.read(0, 100);
    const { taken, port } = bus();
    await publishEvents(world.ctx, { bus: port }, records);
    const details = (jobId: string) => taken.filter(({ id }) => id.startsWith(jobId)).map(({ detail }) => detail);
    expect(details(given.jobId)).toMatchObject([trace]);
    const [detail] = details(own);
    expect(detail?.traceparent).toBe(traceOfJob({ jobId: own }).traceparent);
    expect(detail).not.toHaveProperty("tracestate");
  });

  test("are told to whoever counts, with their jobs, when they have left and not before", async () => {
    const { records, seqs } = await turnedRound();
    const told: number[] = [];
    const last = Number(records.at(-1)?.item.seq);
    const taken = (event: EventRecord, job: JobRecord) => {
      expect(job.jobId).toBe(event.jobId);
      told.push(event.seq);
    };
    await publishEvents(world.ctx, { bus: bus(last).port, taken }, records);
    expect(told).toEqual(seqs.filter((seq) => seq < last));
  });
});
