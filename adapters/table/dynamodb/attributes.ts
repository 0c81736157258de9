import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import type { Item, Key } from "../../../engine/ports/table.ts";
import { checkKey, checkTtl, misuse, partsOf, toJson } from "../../../engine/table/changes.ts";

/** A stored item, attribute by attribute. */
export type Stored = Record<string, AttributeValue>;

/** The attributes that hold an item's index keys; those of the deployed table's two indexes are the same. */
export const INDEX_KEYS = {
  index1: { pk: "index1pk", sk: "index1sk" },
  index2: { pk: "index2pk", sk: "index2sk" },
} as const;

/**
 * What the long names of jobs and attempts are stored as: DynamoDB counts an item's names with it, and a write costs by the
 * KiB that the item has begun. What was given to a name stays with it, and is never given to another: items are stored so.
 */
const SHORT: Readonly<Record<string, string>> = {
  attempt: "~a",
  maxAttempts: "~b",
  runtime: "~c",
  externalRef: "~d",
  externalName: "~e",
  createdAt: "~f",
  startedAt: "~g",
  finishedAt: "~h",
  exitCode: "~i",
  labels: "~j",
  priority: "~k",
  submittedBy: "~l",
  retryOf: "~m",
  specHash: "~n",
  cancelRequestedAt: "~o",
  lastHeartbeatAt: "~p",
  version: "~q",
  generation: "~r",
  queueShard: "~s",
  slotShard: "~t",
  concurrencyKey: "~u",
  parked: "~v",
  timeoutSeconds: "~w",
  stopGraceSeconds: "~x",
  cleanup: "~y",
  cleanupPending: "~z",
  retryAt: "~A",
  dispatchedAt: "~B",
  deadlineAt: "~C",
  logBase: "~D",
  logLines: "~E",
  underWay: "~F",
  refusals: "~G",
  masked: "~H",
};
const LONG: ReadonlyMap<string, string> = new Map(Object.entries(SHORT).map(([name, short]) => [short, name]));

const INDEX_ATTRIBUTES: ReadonlySet<string> = new Set(Object.values(INDEX_KEYS).flatMap(({ pk, sk }) => [pk, sk]));
const RESERVED: ReadonlySet<string> = new Set([...INDEX_ATTRIBUTES, ...LONG.keys()]);

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const MAX_PK_BYTES = 2048;
const MAX_SK_BYTES = 1024;
const LEAST_NUMBER = 1e-130;
const MOST_NUMBER = 9.9e125;

export function isIndex(name: string): name is keyof typeof INDEX_KEYS {
  return Object.hasOwn(INDEX_KEYS, name);
}

/**
 * A value as DynamoDB stores it. Scalars are its own types, so that guards and counters work on them; lists and maps are
 * JSON text, `{ json: "…" }`: exact, where DynamoDB's own maps take no empty name, no deep nesting and fewer numbers.
 * @throws LongshoreError INTERNAL for a number beyond DynamoDB's.
 */
export function encode(value: unknown): AttributeValue {
  if (value === null) return { NULL: true };
  if (typeof value === "boolean") return { BOOL: value };
  if (typeof value === "number") return { N: encodeNumber(value) };
  // A lone surrogate has no UTF-8 form; JSON escapes it.
  if (typeof value === "string" && value.isWellFormed()) return { S: value };
  return { M: { json: { S: toJson(value as object) } } };
}

function encodeNumber(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && !(size >= LEAST_NUMBER && size <= MOST_NUMBER)) throw misuse("a number is beyond DynamoDB's");
  return String(value);
}

/** @throws LongshoreError INTERNAL for what Longshore does not write. */
export function decode(value: AttributeValue): unknown {
  if (value.S !== undefined) return value.S;
  if (value.N !== undefined) return Number(value.N);
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.NULL !== undefined) return null;
  const json = value.M?.json?.S;
  if (json === undefined) throw misuse("an item holds an attribute that Longshore did not write");
  return JSON.parse(json);
}

/** An attribute of a given name, as the attributes that hold it. @throws LongshoreError INTERNAL for a bad one. */
export function encodeAttribute(name: string, value: unknown): [name: string, value: AttributeValue][] {
  if (isIndex(name)) {
    const key = checkSize(checkKey(value, name));
    return [
      [INDEX_KEYS[name].pk, { S: key.pk }],
      [INDEX_KEYS[name].sk, { S: key.sk }],
    ];
  }
  return [[storedName(name), encode(name === "ttl" ? checkTtl(value) : value)]];
}

/** What an attribute is called where it is stored. @throws LongshoreError INTERNAL for names that cannot be had. */
export function storedName(name: string): string {
  if (name === "" || RESERVED.has(name)) throw misuse(`no attribute can have the name "${name}"`);
  return Object.hasOwn(SHORT, name) ? (SHORT[name] as string) : name;
}

/** An item as it is stored. @throws LongshoreError INTERNAL for a bad key, index key, ttl, name or value. */
export function encodeItem(item: Item): Stored {
  const { key, index1, index2, ttl, attributes } = partsOf(item);
  const all = Object.entries({ ...attributes, index1, index2, ttl }).filter(([, value]) => value !== undefined);
  const encoded = all.flatMap(([name, value]) => encodeAttribute(name, value));
  return { ...encodeKey(key), ...Object.fromEntries(encoded) };
}

/** @throws LongshoreError INTERNAL for a key longer than DynamoDB's. */
export function encodeKey(key: Key): Stored {
  const { pk, sk } = checkSize(key);
  return { pk: { S: pk }, sk: { S: sk } };
}

function checkSize(key: Key): Key {
  if (Buffer.byteLength(key.pk) > MAX_PK_BYTES) throw misuse(`a pk is longer than ${MAX_PK_BYTES} bytes`);
  if (Buffer.byteLength(key.sk) > MAX_SK_BYTES) throw misuse(`an sk is longer than ${MAX_SK_BYTES} bytes`);
  return key;
}

/** A stored item as it was put. @throws LongshoreError INTERNAL for what Longshore does not write. */
export function decodeItem(stored: Stored): Item {
  const item: Item = { pk: textOf(stored.pk), sk: textOf(stored.sk) };
  for (const index of ["index1", "index2"] as const) {
    const { pk, sk } = INDEX_KEYS[index];
    if (stored[pk] !== undefined) item[index] = { pk: textOf(stored[pk]), sk: textOf(stored[sk]) };
  }
  for (const [name, value] of Object.entries(stored)) {
    if (name === "pk" || name === "sk" || INDEX_ATTRIBUTES.has(name)) continue;
    item[LONG.get(name) ?? name] = decode(value);
  }
  return item;
}

function textOf(value: AttributeValue | undefined): string {
  if (value?.S === undefined) throw misuse("an item has a key that is no text");
  return value.S;
}
