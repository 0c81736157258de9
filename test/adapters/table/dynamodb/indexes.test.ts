import { BatchGetItemCommand, type DynamoDBClient, type QueryCommand } from "@aws-sdk/client-dynamodb";
import { describe, expect, it } from "vitest";
import { decodeItem, encodeItem, type Stored } from "../../../../adapters/table/dynamodb/attributes.ts";
import { createDynamodbTable } from "../../../../adapters/table/dynamodb/index.ts";
import type { Item } from "../../../../engine/ports/table.ts";

const item = (n: number, place = n): Item => ({
  ...{ pk: `JOB#${n}`, sk: "JOB", index2: { pk: "ACTIVE", sk: `j${String(place).padStart(4, "0")}` } },
  ...{ jobId: `j${n}`, version: n, maxAttempts: 3 },
});

/** What an index with keys only holds of an item. */
function entryOf(stored: Stored): Stored {
  const names = ["pk", "sk", "index2pk", "index2sk"];
  return Object.fromEntries(Object.entries(stored).filter(([name]) => names.includes(name)));
}

/** A table over what an index said a moment ago and what the items are by now. */
function tableOf(then: Item[], now: Item[], { unprocessed = 0 } = {}) {
  const asked: number[] = [];
  let left = unprocessed;
  const send = async (command: QueryCommand | BatchGetItemCommand) => {
    if (!(command instanceof BatchGetItemCommand)) return { Items: then.map(encodeItem).map(entryOf) };
    const { Keys = [], ConsistentRead } = command.input.RequestItems?.t ?? {};
    expect(ConsistentRead).toBe(true);
    asked.push(Keys.length);
    const served = left-- > 0 ? Keys.slice(1) : Keys;
    const found = now.filter(({ pk }) => served.some((key) => key.pk?.S === pk)).map(encodeItem);
    const rest = Keys.filter((key) => !served.includes(key));
    return { Responses: { t: found.reverse() }, UnprocessedKeys: rest.length === 0 ? {} : { t: { Keys: rest } } };
  };
  const client = { send } as unknown as DynamoDBClient;
  return { table: createDynamodbTable({ table: "t", client, wait: async () => undefined }), asked };
}

describe("what is found by an index", () => {
  it("is read as it is now, in the order of the index", async () => {
    const { table } = tableOf([item(1), item(2)], [{ ...item(2), version: 7 }, item(1)]);
    const { items } = await table.query({ index: "index2", pk: "ACTIVE" });
    expect(items).toEqual([item(1), { ...item(2), version: 7 }]);
  });

  it("is left out when it has another place by now, none, or is gone", async () => {
    const { index2: _, ...placeless } = item(2);
    const elsewhere = { ...item(4), index2: { pk: "WAITING", sk: "j0004" } };
    const { table } = tableOf(
      [item(1), item(2), item(3), item(4), item(5)],
      [item(1, 9), placeless, elsewhere, item(5)],
    );
    expect((await table.query({ index: "index2", pk: "ACTIVE" })).items).toEqual([item(5)]);
  });

  it("is asked for in as many calls as DynamoDB's bound needs, and again where it was left out", async () => {
    const all = Array.from({ length: 250 }, (_, n) => item(n));
    const { table, asked } = tableOf(all, all, { unprocessed: 2 });
    expect((await table.query({ index: "index2", pk: "ACTIVE", limit: 250 })).items).toEqual(all);
    expect(asked.toSorted((a, b) => b - a)).toEqual([100, 100, 50, 1, 1]);
  });

  it("is not asked for when nothing is found", async () => {
    const { table, asked } = tableOf([], []);
    expect((await table.query({ index: "index2", pk: "ACTIVE" })).items).toEqual([]);
    expect(asked).toEqual([]);
  });
});

describe("the names of an item's attributes", () => {
  it("are short where they are stored, and come back", () => {
    const stored = encodeItem(item(1));
    expect(stored).not.toHaveProperty("maxAttempts");
    expect(Object.keys(stored).every((name) => name.length <= 8)).toBe(true);
    expect(decodeItem(stored)).toEqual(item(1));
  });

  it("cannot be what another name is stored as", () => {
    const short = Object.keys(encodeItem(item(1))).filter((name) => name.startsWith("~"));
    expect(short).toHaveLength(2);
    for (const name of short) {
      expect(() => encodeItem({ pk: "a", sk: "b", [name]: 1 })).toThrow("no attribute can have the name");
    }
  });
});
