import type { EngineContext } from "../context.ts";
import { eventsOf } from "../ledger/items.ts";
import { readJob } from "../ledger/read.ts";
import type { EventRecord, JobRecord } from "../ledger/records.ts";
import type { Bus, BusEntry } from "../ports/bus.ts";
import type { FeedRecord } from "../ports/table.ts";
import { traceOfJob } from "../trace.ts";
import { describeEvent } from "./describe.ts";
import { isBatchRecord } from "./drive.ts";

/**
 * Sends events to the bus; gives back the positions of the records that it did not take, or not all of.
 * The detail is a CloudEvents 1.0 structured event; its id is stable, so that a consumer can drop duplicates.
 * @param port.taken gets each event that the bus has taken, with its job; one that leaves again comes again.
 */
export async function publishEvents(
  ctx: EngineContext,
  { bus, taken }: { bus: Bus; taken?: EventTaken },
  records: FeedRecord[],
): Promise<number[]> {
  const told = inOrder(
    records
      .filter(({ item }) => !isBatchRecord(item))
      .flatMap(({ position, item }) => eventsOf(item).map((event) => ({ position, event }))),
  );
  const jobIds = new Set(told.map(({ event }) => event.jobId));
  const jobs = new Map(await Promise.all([...jobIds].map(async (id) => [id, await readJob(ctx.ledger, id)] as const)));
  const entries = told.map(({ event }) => entryOf(event, jobs.get(event.jobId)));
  const failed = new Set((await bus.publish(entries)).failed);
  const hasLeft = (at: number) => !failed.has(entries[at]?.id ?? "");
  for (const [at, { event }] of told.entries()) {
    const job = jobs.get(event.jobId);
    if (hasLeft(at) && job !== undefined) taken?.(event, job);
  }
  return [...new Set(told.filter((_, at) => !hasLeft(at)).map(({ position }) => position))];
}

/** Whoever counts what happens: the job is as it was read a moment ago, so at its end or not. */
export type EventTaken = (event: EventRecord, job: JobRecord) => void;

/** An event, and the position of the record that it came in. */
interface Told {
  position: number;
  event: EventRecord;
}

/**
 * The events of each job by their numbers. A feed has the commits in order; the items of one commit it may have in any.
 */
function inOrder(all: Told[]): Told[] {
  const ofJobs = Map.groupBy(all, ({ event }) => event.jobId);
  return [...ofJobs.values()].flatMap((ofOne) => ofOne.sort((a, b) => a.event.seq - b.event.seq));
}

function entryOf(event: EventRecord, job: JobRecord | undefined): BusEntry {
  const id = `${event.jobId}#${event.seq}`;
  const { data, ...fact } = describeEvent(event);
  return {
    id,
    source: "longshore",
    detailType: `Job ${inWords(event.type)}`,
    detail: {
      specversion: "1.0",
      id,
      source: "longshore",
      type: event.type,
      subject: event.jobId,
      time: event.at,
      datacontenttype: "application/json",
      // https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/distributed-tracing.md
      ...(job === undefined ? {} : traceOfJob(job)),
      data: { ...data, ...fact, runtime: event.runtime, labels: job?.labels ?? {} },
    },
  };
}

/** `CLEANED_UP` → `Cleaned Up`. */
function inWords(type: string): string {
  return type
    .split("_")
    .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
    .join(" ");
}
