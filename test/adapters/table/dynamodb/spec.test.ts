import { describe, expect, it } from "vitest";
import { decode, decodeItem, encode, encodeItem, encodeKey } from "../../../../adapters/table/dynamodb/attributes.ts";
import { verdictOf, writeOf } from "../../../../adapters/table/dynamodb/spec.ts";
import type { Change, Guard, Item } from "../../../../engine/ports/table.ts";

const key = { pk: "a", sk: "b" };
const Key = { pk: { S: "a" }, sk: { S: "b" } };
const internal = expect.objectContaining({ name: "LongshoreError", code: "INTERNAL" });

describe("a value", () => {
  it.each<[unknown, object]>([
    ["", { S: "" }],
    ["ü", { S: "ü" }],
    [0, { N: "0" }],
    [-0, { N: "0" }],
    [0.1, { N: "0.1" }],
    [Number.MAX_SAFE_INTEGER, { N: "9007199254740991" }],
    [1e21, { N: "1e+21" }],
    [true, { BOOL: true }],
    [null, { NULL: true }],
    [[], { M: { json: { S: "[]" } } }],
    [{ "": [null] }, { M: { json: { S: '{"":[null]}' } } }],
    // No UTF-8 form: as JSON it comes back as it was.
    ["\ud800", { M: { json: { S: '"\\ud800"' } } }],
  ])("%j is stored as %j and comes back", (value, stored) => {
    expect(encode(value)).toEqual(stored);
    expect(decode(encode(value))).toEqual(value === 0 ? 0 : value);
  });

  it.each([1e126, -1e200, 1e-131, Number.MIN_VALUE])("of %d is refused: DynamoDB's numbers end before", (value) => {
    expect(() => encode(value)).toThrow(internal);
    // Inside JSON it is text.
    expect(decode(encode([value]))).toEqual([value]);
  });

  it.each([{ SS: ["a"] }, { L: [] }, { M: {} }, { B: new Uint8Array() }])("%j is none of Longshore's", (stored) => {
    expect(() => decode(stored as never)).toThrow(internal);
  });
});

describe("an item", () => {
  it("has its index keys, time to live and attributes side by side", () => {
    const item: Item = { ...key, index1: { pk: "i", sk: "1" }, index2: { pk: "j", sk: "2" }, ttl: 7, n: 1, x: [1] };
    const stored = encodeItem(item);
    expect(stored).toEqual({
      ...Key,
      index1pk: { S: "i" },
      index1sk: { S: "1" },
      index2pk: { S: "j" },
      index2sk: { S: "2" },
      ttl: { N: "7" },
      n: { N: "1" },
      x: { M: { json: { S: "[1]" } } },
    });
    expect(decodeItem(stored)).toEqual(item);
  });

  it.each(["index1pk", "index1sk", "index2pk", "index2sk", ""])("has no attribute of its own named %j", (name) => {
    expect(() => encodeItem({ ...key, [name]: 1 })).toThrow(internal);
    const patches: Change[] = [
      { kind: "patch", key, set: { [name]: 1 } },
      { kind: "patch", key, add: { [name]: 1 } },
      { kind: "patch", key, remove: [name] },
      { kind: "check", key, guard: { equals: { [name]: 1 } } },
      { kind: "check", key, guard: { atMost: { [name]: 1 } } },
    ];
    for (const patch of patches) expect(() => writeOf("t", patch)).toThrow(internal);
  });

  it("has keys of DynamoDB's length at most, counted in bytes", () => {
    expect(() => encodeKey({ pk: "é".repeat(1024), sk: "é".repeat(512) })).not.toThrow();
    expect(() => encodeKey({ pk: `${"é".repeat(1024)}a`, sk: "b" })).toThrow(internal);
    expect(() => encodeKey({ pk: "a", sk: `${"é".repeat(512)}a` })).toThrow(internal);
    expect(() => encodeItem({ ...key, index1: { pk: "a", sk: "b".repeat(1025) } })).toThrow(internal);
  });
});

describe("a change", () => {
  const conditionOf = (guard: Guard) => writeOf("t", { kind: "check", key, guard })?.ConditionCheck;

  it("without a guard has no condition", () => {
    expect(writeOf("t", { kind: "put", item: { ...key, n: 1 } })).toEqual({
      Put: { TableName: "t", Item: { ...Key, n: { N: "1" } } },
    });
    expect(writeOf("t", { kind: "delete", key, guard: {} })).toEqual({ Delete: { TableName: "t", Key } });
    expect(writeOf("t", { kind: "check", key, guard: {} })).toBe(undefined);
  });

  it("asks for the item when its guard fails", () => {
    const write = writeOf("t", { kind: "delete", key, guard: { exists: true } });
    expect(write?.Delete).toEqual({
      TableName: "t",
      Key,
      ConditionExpression: "attribute_exists(#n0)",
      ExpressionAttributeNames: { "#n0": "pk" },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
  });

  it.each<[Guard, string, object]>([
    [{ exists: false }, "attribute_not_exists(#n0)", {}],
    [{ equals: { status: "X", on: true } }, "#n0 = :v0 AND #n1 = :v1", { ":v0": { S: "X" }, ":v1": { BOOL: true } }],
    [
      { atMost: { count: 3 } },
      "(attribute_not_exists(#n0) OR (attribute_type(#n0, :v1) AND #n0 <= :v0))",
      { ":v0": { N: "3" }, ":v1": { S: "N" } },
    ],
    // A missing one counts as 0, which is more than -1.
    [{ atMost: { count: -1 } }, "(attribute_type(#n0, :v1) AND #n0 <= :v0)", { ":v0": { N: "-1" }, ":v1": { S: "N" } }],
  ])("with the guard %j holds %s", (guard, condition, values) => {
    const check = conditionOf(guard);
    expect(check?.ConditionExpression).toBe(condition);
    expect(check?.ExpressionAttributeValues ?? {}).toEqual(values);
  });

  it("names an attribute once, however often it is used", () => {
    const write = writeOf("t", {
      kind: "patch",
      key,
      add: { count: 1 },
      guard: { atMost: { count: 9 }, exists: true },
    });
    expect(write?.Update?.ExpressionAttributeNames).toEqual({ "#n0": "count", "#n1": "pk" });
  });

  it("puts reserved words and expressions in names and values, never in the expression", () => {
    const name = "size = :v0 OR attribute_exists(pk)";
    const write = writeOf("t", { kind: "patch", key, set: { [name]: "#n0", status: ":v1" } });
    expect(write?.Update?.UpdateExpression).toBe("SET #n0 = :v0, #n1 = :v1");
    expect(write?.Update?.ExpressionAttributeNames).toEqual({ "#n0": name, "#n1": "status" });
    expect(write?.Update?.ExpressionAttributeValues).toEqual({ ":v0": { S: "#n0" }, ":v1": { S: ":v1" } });
  });

  it("sets and removes an index key as the two attributes that it is", () => {
    const write = writeOf("t", {
      kind: "patch",
      key,
      set: { index1: { pk: "i", sk: "1" } },
      add: { count: 2 },
      remove: ["index2", "x"],
    });
    expect(write?.Update?.UpdateExpression).toBe("SET #n0 = :v0, #n1 = :v1 ADD #n2 :v2 REMOVE #n3, #n4, #n5");
    expect(Object.values(write?.Update?.ExpressionAttributeNames ?? {})).toEqual([
      ...["index1pk", "index1sk", "count", "index2pk", "index2sk", "x"],
    ]);
  });

  it("that changes nothing still makes an item that is missing", () => {
    const write = writeOf("t", { kind: "patch", key });
    expect(write?.Update?.UpdateExpression).toBe("REMOVE #n0");
  });

  it.each<[string, Change]>([
    ["half an index key", { kind: "patch", key, set: { index1: { pk: "i" } } }],
    ["an index key that is null", { kind: "patch", key, set: { index2: null } }],
    ["a number added to an index key", { kind: "patch", key, add: { index1: 1 } }],
    ["a fractional ttl", { kind: "patch", key, set: { ttl: 0.5 } }],
  ])("with %s is refused", (_what, change) => {
    expect(() => writeOf("t", change)).toThrow(internal);
  });
});

describe("the verdict on a cancelled transaction", () => {
  const none = { Code: "None" };
  const failed = { Code: "ConditionalCheckFailed", Item: { ...Key, n: { N: "1" } } };

  it("is a conflict with the items that DynamoDB sent along", () => {
    const verdict = verdictOf([none, failed, { Code: "ConditionalCheckFailed" }, none]);
    expect(verdict).toEqual({
      kind: "conflict",
      failed: [1, 2],
      items: new Map([
        [1, { ...key, n: 1 }],
        [2, undefined],
      ]),
    });
  });

  it.each(["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])("is busy for %s", (code) => {
    expect(verdictOf([none, { Code: code }])).toEqual({ kind: "busy", code });
  });

  it("is a conflict when another transaction was in the way as well: the guard failed in any case", () => {
    expect(verdictOf([{ Code: "TransactionConflict" }, failed])).toMatchObject({ kind: "conflict", failed: [1] });
  });

  it.each(["ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"])("is a refusal for %s", (code) => {
    expect(verdictOf([{ Code: "TransactionConflict" }, { Code: code }])).toEqual({ kind: "refused", code });
  });

  it("without reasons is no conflict", () => {
    expect(verdictOf([])).toEqual({ kind: "busy", code: "TransactionCanceledException" });
  });
});
