import { describe, expect, it } from "vitest";
import { queryFor } from "../../../../adapters/table/dynamodb/query.ts";
import type { Query } from "../../../../engine/ports/table.ts";

const cursor = (...place: string[]) => Buffer.from(JSON.stringify(place)).toString("base64url");

/** The condition on the sort key with its values, what is dropped, and where it starts. */
function planOf(query: Omit<Query, "pk">) {
  const plan = queryFor("t", { pk: "p", ...query });
  if (plan === null) return null;
  const { KeyConditionExpression: text = "", ExpressionAttributeValues: values = {}, ExclusiveStartKey } = plan.input;
  const condition = text.replace("#pk = :pk", "").replace(/^ AND /, "");
  const filled = condition.replace(/:(from|to)/g, (name) => JSON.stringify(values[name]?.S));
  return { condition: filled, dropped: [...plan.dropped], ...(ExclusiveStartKey ? { start: ExclusiveStartKey } : {}) };
}

describe("a query's range", () => {
  it.each<[Query["sk"], string, string[]]>([
    [undefined, "", []],
    [{}, "", []],
    [{ prefix: "", after: "" }, "", []],
    [{ prefix: "E#" }, 'begins_with(#sk, "E#")', []],
    [{ after: "a" }, '#sk > "a"', []],
    [{ before: "z" }, '#sk < "z"', []],
    [{ after: "a", before: "c" }, '#sk BETWEEN "a" AND "c"', ["c", "a"]],
    [{ prefix: "E#", after: "E#2" }, '#sk BETWEEN "E#2" AND "E$"', ["E$", "E#2"]],
    [{ prefix: "E#", after: "A" }, 'begins_with(#sk, "E#")', []],
    [{ prefix: "E#", before: "Z" }, 'begins_with(#sk, "E#")', []],
    [{ prefix: "E#", before: "E#5" }, '#sk BETWEEN "E#" AND "E#5"', ["E#5"]],
    [{ prefix: "E#", after: "E#2", before: "E#5" }, '#sk BETWEEN "E#2" AND "E#5"', ["E#5", "E#2"]],
    [{ prefix: "\u{10FFFF}", after: "\u{10FFFF}a" }, '#sk > "\u{10FFFF}a"', []],
  ])("%j is %s without %j", (sk, condition, dropped) => {
    expect(planOf(sk === undefined ? {} : { sk })).toEqual({ condition, dropped });
  });

  it.each<[Query["sk"]]>([
    [{ before: "" }],
    [{ after: "c", before: "a" }],
    [{ after: "c", before: "c" }],
    [{ prefix: "E#", after: "F" }],
    [{ prefix: "E#", before: "E#" }],
    [{ prefix: "E#", before: "A" }],
  ])("%j holds nothing, and nothing is asked", (sk) => {
    expect(planOf(sk === undefined ? {} : { sk })).toBe(null);
  });
});

describe("a query's cursor", () => {
  const start = (sk: string) => ({ pk: { S: "p" }, sk: { S: sk } });
  const within = { sk: { prefix: "E#", after: "E#2" } };

  it("starts where the page before ended", () => {
    expect(planOf({ cursor: cursor("E#3"), ...within })).toMatchObject({ start: start("E#3") });
    expect(planOf({ cursor: cursor("x"), descending: true })).toMatchObject({ start: start("x") });
  });

  it("starts at the item itself in an index", () => {
    expect(planOf({ index: "index2", cursor: cursor("i", "a", "b") })).toMatchObject({
      start: { pk: { S: "a" }, sk: { S: "b" }, index2pk: { S: "p" }, index2sk: { S: "i" } },
    });
  });

  it("from outside of the range starts at its near end, or there is nothing left: DynamoDB would refuse it", () => {
    expect(planOf({ cursor: cursor("A"), ...within })).not.toHaveProperty("start");
    expect(planOf({ cursor: cursor("Z"), ...within })).toBe(null);
    expect(planOf({ cursor: cursor("A"), descending: true, ...within })).toBe(null);
    expect(planOf({ cursor: cursor("Z"), descending: true, ...within })).not.toHaveProperty("start");
  });

  it.each([cursor(), cursor("a", "b"), cursor("a", "b", "c"), "garbage"])("%s is none of a table", (text) => {
    expect(() => queryFor("t", { pk: "p", cursor: text })).toThrow(expect.objectContaining({ code: "VALIDATION" }));
  });

  it.each([cursor("a"), cursor("a", "b"), "garbage"])("%s is none of an index", (text) => {
    const query: Query = { index: "index1", pk: "p", cursor: text };
    expect(() => queryFor("t", query)).toThrow(expect.objectContaining({ code: "VALIDATION" }));
  });
});

describe("a query", () => {
  it("is consistent on the table itself, and cannot be on an index", () => {
    expect(queryFor("t", { pk: "p" })?.input).toMatchObject({ ConsistentRead: true, ScanIndexForward: true });
    const input = queryFor("t", { index: "index1", pk: "p", descending: true })?.input;
    expect(input).toMatchObject({ IndexName: "index1", ScanIndexForward: false });
    expect(input).not.toHaveProperty("ConsistentRead");
  });
});
