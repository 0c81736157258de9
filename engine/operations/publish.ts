import type { EngineContext } from "../context.ts";
import type { JobId } from "../ids.ts";
import { eventsOf } from "../ledger/items.ts";
import { readJob } from "../ledger/read.ts";
import type { EventRecord } from "../ledger/records.ts";
import type { Bus, BusEntry } from "../ports/bus.ts";
import type { FeedRecord } from "../ports/table.ts";
import { describeEvent } from "./describe.ts";
import { isBatchRecord } from "./drive.ts";

/**
 * Sends events to the bus; gives back the positions of the records that it did not take, or not all of.
 * The detail is a CloudEvents 1.0 structured event; its id is stable, so that a consumer can drop duplicates.
 */
export async function publishEvents(ctx: EngineContext, bus: Bus, records: FeedRecord[]): Promise<number[]> {
  const told = inOrder(
    records
      .filter(({ item }) => !isBatchRecord(item))
      .flatMap(({ position, item }) => eventsOf(item).map((event) => ({ position, event }))),
  );
  const jobIds = new Set(told.map(({ event }) => event.jobId));
  const labels = new Map(await Promise.all([...jobIds].map((jobId) => labelsOf(ctx, jobId))));
  const entries = told.map(({ event }) => entryOf(event, labels.get(event.jobId) ?? {}));
  const failed = new Set((await bus.publish(entries)).failed);
  return [...new Set(told.filter((_, i) => failed.has(entries[i]?.id ?? "")).map(({ position }) => position))];
}

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

async function labelsOf({ ledger }: EngineContext, jobId: JobId): Promise<[JobId, Record<string, string>]> {
  return [jobId, (await readJob(ledger, jobId))?.labels ?? {}];
}

function entryOf(event: EventRecord, labels: Record<string, string>): BusEntry {
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
      data: { ...data, ...fact, runtime: event.runtime, labels },
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
