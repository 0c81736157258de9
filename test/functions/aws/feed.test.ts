import type { DynamoDBStreamEvent } from "aws-lambda";
import { describe, expect, it } from "vitest";
import { encodeItem } from "../../../adapters/table/dynamodb/attributes.ts";
import type { FeedRecord } from "../../../engine/ports/table.ts";
import { feed } from "../../../functions/aws/feed.ts";
import { silentLogger } from "./silent.ts";

/** A batch of the stream with an event item for each number; `other` stands for an item that is none. */
function batch(...seqs: (number | "other")[]): DynamoDBStreamEvent {
  const Records = seqs.map((seq, at) => ({
    eventName: "INSERT" as const,
    dynamodb: {
      SequenceNumber: `s${at}`,
      NewImage: encodeItem({
        pk: "JOB#1",
        sk: seq === "other" ? "JOB" : `EVENT#${seq}`,
        seq: seq === "other" ? 0 : seq,
      }),
    },
  }));
  return { Records } as unknown as DynamoDBStreamEvent;
}

const seqsOf = (records: FeedRecord[]) => records.map(({ item }) => item.seq);

describe("the function behind a table's stream", () => {
  it("hands over the events of a batch, in order, and nothing else", async () => {
    const handed: unknown[] = [];
    const handler = feed(silentLogger, async (records) => {
      handed.push(seqsOf(records));
      return { failed: [] };
    });
    expect(await handler(batch("other", 1, "other", 2), {})).toEqual({ batchItemFailures: [] });
    expect(handed).toEqual([[1, 2]]);
  });

  it("does not call its handler for a batch without events", async () => {
    const handler = feed(silentLogger, async () => {
      throw new Error("called");
    });
    expect(await handler(batch("other"), {})).toEqual({ batchItemFailures: [] });
  });

  it("asks for the first that failed again, by the place of its record in the stream", async () => {
    const handler = feed(silentLogger, async (records) => ({
      failed: records
        .filter(({ item }) => Number(item.seq) >= 2)
        .map(({ position }) => position)
        .reverse(),
    }));
    expect(await handler(batch("other", 1, "other", 2, 3), {})).toEqual({
      batchItemFailures: [{ itemIdentifier: "s3" }],
    });
  });

  it("finds the record that throws, is done with those before it, and leaves those behind it", async () => {
    const handed: unknown[] = [];
    const handler = feed(silentLogger, async (records) => {
      handed.push(seqsOf(records));
      if (records.some(({ item }) => item.seq === 2)) throw new Error("poison");
      return { failed: [] };
    });
    expect(await handler(batch(1, 2, 3), {})).toEqual({ batchItemFailures: [{ itemIdentifier: "s1" }] });
    expect(handed).toEqual([[1, 2, 3], [1], [2]]);
  });

  it("is done with a batch that only fails as a whole", async () => {
    const handler = feed(silentLogger, async (records) => {
      if (records.length > 1) throw new Error("too much at once");
      return { failed: [] };
    });
    expect(await handler(batch(1, 2), {})).toEqual({ batchItemFailures: [] });
  });
});
