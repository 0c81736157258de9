import type { AttributeValue, CancellationReason, TransactWriteItem } from "@aws-sdk/client-dynamodb";
import type { Change, Guard, Item } from "../../../engine/ports/table.ts";
import { misuse } from "../../../engine/table/changes.ts";
import {
  decodeItem,
  encode,
  encodeAttribute,
  encodeItem,
  encodeKey,
  INDEX_KEYS,
  isIndex,
  type Stored,
  storedName,
} from "./attributes.ts";

/** An attribute that no item has: removing it changes nothing, but makes an item that is missing. */
const NOTHING = "longshore:nothing";

/** Stands for names and values in an expression: names may be DynamoDB's reserved words, values never stand inside. */
interface Placeholders {
  name(name: string): string;
  value(value: AttributeValue): string;
  /** What the expression has to be sent with. */
  used(): { ExpressionAttributeNames?: Record<string, string>; ExpressionAttributeValues?: Stored };
}

function placeholders(): Placeholders {
  const names = new Map<string, string>();
  const values: Stored = {};
  return {
    name(name) {
      const held = names.get(name) ?? `#n${names.size}`;
      names.set(name, held);
      return held;
    },
    value(value) {
      const held = `:v${Object.keys(values).length}`;
      values[held] = value;
      return held;
    },
    used: () => ({
      ...(names.size === 0
        ? {}
        : { ExpressionAttributeNames: Object.fromEntries([...names].map(([name, held]) => [held, name])) }),
      ...(Object.keys(values).length === 0 ? {} : { ExpressionAttributeValues: values }),
    }),
  };
}

/** The condition that holds exactly when the guard does; undefined for a guard that always holds. */
function conditionOf(guard: Guard | undefined, held: Placeholders): string | undefined {
  const all: string[] = [];
  if (guard?.exists !== undefined) {
    all.push(`attribute_${guard.exists ? "" : "not_"}exists(${held.name("pk")})`);
  }
  for (const [name, value] of Object.entries(guard?.equals ?? {})) {
    all.push(`${held.name(storedName(name))} = ${held.value(encode(value))}`);
  }
  for (const [name, bound] of Object.entries(guard?.atMost ?? {})) {
    const attribute = held.name(storedName(name));
    const within = `${attribute} <= ${held.value(encode(bound))}`;
    const number = `(attribute_type(${attribute}, ${held.value({ S: "N" })}) AND ${within})`;
    all.push(bound < 0 ? number : `(attribute_not_exists(${attribute}) OR ${number})`);
  }
  return all.length === 0 ? undefined : all.join(" AND ");
}

function updateOf(change: Change & { kind: "patch" }, held: Placeholders): string {
  const set = Object.entries(change.set ?? {}).flatMap(([name, value]) => encodeAttribute(name, value));
  const add = Object.entries(change.add ?? {});
  const remove = (change.remove ?? []).flatMap((name) =>
    isIndex(name) ? Object.values(INDEX_KEYS[name]) : [storedName(name)],
  );
  for (const [name] of add) if (isIndex(name)) throw misuse(`cannot add to attribute ${name}: it is no number`);
  if (set.length + add.length + remove.length === 0) remove.push(NOTHING);
  const parts = [
    ["SET", set.map(([name, value]) => `${held.name(name)} = ${held.value(value)}`)],
    ["ADD", add.map(([name, delta]) => `${held.name(storedName(name))} ${held.value(encode(delta))}`)],
    ["REMOVE", remove.map((name) => held.name(name))],
  ] as const;
  return parts.flatMap(([verb, terms]) => (terms.length === 0 ? [] : [`${verb} ${terms.join(", ")}`])).join(" ");
}

/**
 * One change as a part of a transaction; undefined for a check that always holds.
 * @throws LongshoreError INTERNAL for a key, name or value that cannot be stored.
 */
export function writeOf(table: string, change: Change): TransactWriteItem | undefined {
  const held = placeholders();
  const UpdateExpression = change.kind === "patch" ? updateOf(change, held) : undefined;
  const ConditionExpression = conditionOf(change.guard, held);
  const conditional =
    ConditionExpression === undefined
      ? {}
      : { ConditionExpression, ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const };
  const common = { TableName: table, ...conditional, ...held.used() };
  switch (change.kind) {
    case "put":
      return { Put: { ...common, Item: encodeItem(change.item) } };
    case "patch":
      return { Update: { ...common, Key: encodeKey(change.key), UpdateExpression } };
    case "delete":
      return { Delete: { ...common, Key: encodeKey(change.key) } };
    case "check":
      if (ConditionExpression === undefined) return undefined;
      return { ConditionCheck: { ...common, Key: encodeKey(change.key), ConditionExpression } };
  }
}

/** Why a transaction was cancelled, by the position of its parts. */
export type Verdict =
  /** Guards did not hold; the items are those behind the failed ones, as they were at that moment. */
  | { kind: "conflict"; failed: number[]; items: Map<number, Item | undefined> }
  /** Another transaction had one of the items, or the table is throttled: the same again may work. */
  | { kind: "busy"; code: string }
  /** It can never work. */
  | { kind: "refused"; code: string };

const BUSY: ReadonlySet<string> = new Set(["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]);

/** A guard that failed decides: whatever else was in the way, the commit as it was asked for cannot be done. */
export function verdictOf(reasons: readonly CancellationReason[]): Verdict {
  const failed = reasons.flatMap(({ Code }, at) => (Code === "ConditionalCheckFailed" ? [at] : []));
  if (failed.length > 0) {
    const items = failed.map((at) => {
      const stored = reasons[at]?.Item;
      return [at, stored === undefined ? undefined : decodeItem(stored)] as const;
    });
    return { kind: "conflict", failed, items: new Map(items) };
  }
  const codes = reasons.map(({ Code }) => Code ?? "None").filter((code) => code !== "None");
  const other = codes.find((code) => !BUSY.has(code));
  if (other !== undefined) return { kind: "refused", code: other };
  return { kind: "busy", code: codes[0] ?? "TransactionCanceledException" };
}
