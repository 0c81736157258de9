import { describe, expect, test } from "vitest";
import { eventChanges, eventsOf } from "../../../engine/ledger/items.ts";
import type { EventRecord } from "../../../engine/ledger/records.ts";
import type { Change, Item } from "../../../engine/ports/table.ts";
import { DRIVING, EVENT_TYPES, type EventType } from "../../../engine/states.ts";

const JOB = "job_01KGABCDEFGHJKMNPQRSTVWXYZ" as EventRecord["jobId"];
const event = (seq: number, type: EventType, patch: Partial<EventRecord> = {}): EventRecord => ({
  ...{ jobId: JOB, seq, type, at: "2026-11-22T12:00:00.000Z", attempt: 1, status: "RUNNING", phase: "collecting" },
  ...{ runtime: "stub", data: { seq } },
  ...patch,
});
const itemsOf = (changes: Change[]): Item[] => changes.map((change) => (change as Change & { kind: "put" }).item);
const stored = (events: EventRecord[]): Item[] => JSON.parse(JSON.stringify(itemsOf(eventChanges(events))));

describe("the events of one commit", () => {
  const judged = [
    event(7, "LOGS_COLLECTED"),
    event(8, "COST_RECORDED", { data: {} }),
    event(9, "SUCCEEDED", { status: "SUCCEEDED", phase: null }),
  ];

  test("are one item with the key of the last, put where there is none", () => {
    expect(eventChanges(judged)).toMatchObject([{ kind: "put", guard: { exists: false } }]);
    const [item] = stored(judged);
    expect(item).toMatchObject({ pk: `JOB#${JOB}`, sk: "EVENT#00000009", type: "SUCCEEDED", seq: 9 });
    // What they have in common with the last is not there again.
    expect((item as { earlier?: unknown[] }).earlier?.[1]).toEqual({
      ...{ seq: 8, type: "COST_RECORDED", status: "RUNNING", phase: "collecting", data: {} },
    });
  });

  test("come back as they were, in order", () => {
    expect(stored(judged).flatMap(eventsOf)).toEqual(judged);
    const keyed = judged.map((one) => ({ ...one, concurrencyKey: "k", data: { deep: [{ seq: one.seq }] } }));
    expect(stored(keyed).flatMap(eventsOf)).toEqual(keyed);
    expect(stored([event(1, "SUBMITTED")])).toEqual([
      { pk: `JOB#${JOB}`, sk: "EVENT#00000001", ...event(1, "SUBMITTED") },
    ]);
  });

  test("never have one behind which the feed would not see: what drives the lifecycle ends its item", () => {
    const cancelled = [event(3, "CANCEL_REQUESTED"), event(4, "CANCELLED", { status: "CANCELLED" })];
    expect(stored(cancelled).map(({ type }) => type)).toEqual(["CANCEL_REQUESTED", "CANCELLED"]);
    const all = EVENT_TYPES.map((type, at) => event(at + 1, type));
    const items = stored(all);
    expect(items.flatMap(eventsOf)).toEqual(all);
    const hidden = items.flatMap((item) => eventsOf(item).slice(0, -1));
    expect(hidden.filter(({ type }) => DRIVING.has(type))).toEqual([]);
    expect(items.length).toBeLessThan(all.length);
  });
});
