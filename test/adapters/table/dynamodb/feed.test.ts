import { describe, expect, it } from "vitest";
import { encodeItem } from "../../../../adapters/table/dynamodb/attributes.ts";
import { type StreamRecord, streamedItems } from "../../../../adapters/table/dynamodb/feed.ts";

const event = (seq: number) => ({ pk: "JOB#j", sk: `EVENT#${seq}`, type: "STARTED", data: { deep: [seq] } });
const record = (eventName: StreamRecord["eventName"], item: object, SequenceNumber = "1"): StreamRecord => ({
  eventName,
  dynamodb: { SequenceNumber, NewImage: encodeItem(item as never) },
});

describe("the records of a stream", () => {
  it("are the events that were committed, in order, with their place", () => {
    const items = streamedItems([record("INSERT", event(1), "101"), record("INSERT", event(2), "102")]);
    expect(items).toEqual([
      { sequenceNumber: "101", item: event(1) },
      { sequenceNumber: "102", item: event(2) },
    ]);
  });

  it("are nothing else: no other item, no event written again, none that was removed", () => {
    const removed: StreamRecord = { eventName: "REMOVE", dynamodb: { SequenceNumber: "9" } };
    const others = ["JOB", "EVENTUAL", "ATTEMPT#0001"].map((sk) => record("INSERT", { pk: "a", sk }));
    expect(streamedItems([...others, record("MODIFY", event(1)), removed, {}])).toEqual([]);
  });

  it("are refused when Longshore did not write them", () => {
    const foreign = { pk: { S: "a" }, sk: { S: "EVENT#1" }, set: { SS: ["x"] } };
    const records: StreamRecord[] = [{ eventName: "INSERT", dynamodb: { SequenceNumber: "1", NewImage: foreign } }];
    expect(() => streamedItems(records)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });
});
