import type { PutEventsRequestEntry } from "@aws-sdk/client-eventbridge";
import { LongshoreError } from "../../../engine/errors.ts";
import type { BusEntry } from "../../../engine/ports/bus.ts";

// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html; the bound on bytes is for a call and so for
// an entry too. Some targets take no more than 256 KiB of an event, which is why it is not 1 MiB.
const MAX_ENTRIES = 10;
const MAX_BYTES = 256 * 1024;
/** A member of an entry's data that is longer is what goes first when the entry is too large. */
const LONG_BYTES = 1024;

/** An entry as EventBridge takes it, with the id by which the publisher knows it. */
export interface Outgoing {
  id: string;
  request: PutEventsRequestEntry;
  bytes: number;
}

/** The part of an entry's id before `#`: entries with the same one stay in order. */
export function jobOf(id: string): string {
  return id.split("#", 1)[0] ?? id;
}

/**
 * An entry as EventBridge takes it. Of one that is too large the long members of its `data` are left out and named in
 * `data.omitted`: whoever needs them finds them behind the API, and an event that could never leave would keep all that
 * follow it from leaving.
 * @throws LongshoreError PAYLOAD_TOO_LARGE when it is still too large.
 */
export function outgoing(entry: BusEntry, bus: string): Outgoing {
  const whole = requestOf(entry, bus);
  const request = sizeOf(whole) <= MAX_BYTES ? whole : requestOf(cut(entry), bus);
  const bytes = sizeOf(request);
  if (bytes <= MAX_BYTES) return { id: entry.id, request, bytes };
  throw new LongshoreError("PAYLOAD_TOO_LARGE", `event ${entry.id} has ${bytes} bytes; the bus takes ${MAX_BYTES}`);
}

function requestOf({ source, detailType, detail }: BusEntry, bus: string): PutEventsRequestEntry {
  return { EventBusName: bus, Source: source, DetailType: detailType, Detail: JSON.stringify(detail) };
}

/** As EventBridge counts: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html */
function sizeOf({ Source = "", DetailType = "", Detail = "" }: PutEventsRequestEntry): number {
  return Buffer.byteLength(Source) + Buffer.byteLength(DetailType) + Buffer.byteLength(Detail);
}

function cut(entry: BusEntry): BusEntry {
  const { data } = entry.detail;
  if (typeof data !== "object" || data === null) return entry;
  const long = ([, value]: [string, unknown]) => Buffer.byteLength(JSON.stringify(value) ?? "") > LONG_BYTES;
  const members = Object.entries(data);
  const omitted = members.filter(long).map(([name]) => name);
  const kept = Object.fromEntries(members.filter((member) => !long(member)));
  return { ...entry, detail: { ...entry.detail, data: { ...kept, omitted } } };
}

/** Entries as calls: each at most 10 and 256 KiB, in order. */
export function callsOf(entries: readonly Outgoing[]): Outgoing[][] {
  const calls: Outgoing[][] = [];
  let bytes = 0;
  for (const entry of entries) {
    const last = calls.at(-1);
    bytes += entry.bytes;
    if (last === undefined || last.length === MAX_ENTRIES || bytes > MAX_BYTES) {
      calls.push([entry]);
      bytes = entry.bytes;
    } else {
      last.push(entry);
    }
  }
  return calls;
}
