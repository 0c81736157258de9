import { LongshoreError } from "../../../engine/errors.ts";
import type { Item, Key } from "../../../engine/ports/table.ts";

/** The columns that an item is stored in, in the order of COLUMNS. */
export type RowValues = [
  pk: string,
  sk: string,
  i1pk: string | null,
  i1sk: string | null,
  i2pk: string | null,
  i2sk: string | null,
  ttl: number | null,
  body: string,
];

export const COLUMNS = "pk, sk, i1pk, i1sk, i2pk, i2sk, ttl, body";

/** A misuse of the table by Longshore's own code: never the caller of the API's fault. */
export function misuse(message: string): LongshoreError {
  return new LongshoreError("INTERNAL", `table: ${message}`);
}

/** @throws LongshoreError INTERNAL unless both parts are non-empty, well-formed text. */
export function checkKey(key: unknown, what: string): Key {
  if (typeof key === "object" && key !== null && "pk" in key && "sk" in key) {
    const { pk, sk } = key;
    if (isKeyPart(pk) && isKeyPart(sk)) return { pk, sk };
  }
  throw misuse(`${what} must have a non-empty text as pk and as sk`);
}

// A lone surrogate has no UTF-8 form: two different keys would become one.
function isKeyPart(part: unknown): part is string {
  return typeof part === "string" && part !== "" && part.isWellFormed();
}

/**
 * An item as its row.
 * @throws LongshoreError INTERNAL for a bad key, index key or ttl, and for attributes that JSON cannot hold.
 */
export function toRow(item: Item): RowValues {
  const { pk, sk, index1, index2, ttl, ...attributes } = item;
  checkKey(item, "an item");
  const first = index1 === undefined ? undefined : checkKey(index1, "index1");
  const second = index2 === undefined ? undefined : checkKey(index2, "index2");
  if (ttl !== undefined && !Number.isSafeInteger(ttl)) throw misuse("ttl must be whole seconds");
  return [
    pk,
    sk,
    first?.pk ?? null,
    first?.sk ?? null,
    second?.pk ?? null,
    second?.sk ?? null,
    ttl ?? null,
    toJson(attributes),
  ];
}

/** A row as SQLite gives it. */
export function valuesOf({ pk, sk, i1pk, i1sk, i2pk, i2sk, ttl, body }: Record<string, unknown>): RowValues {
  return [pk, sk, i1pk, i1sk, i2pk, i2sk, ttl, body] as RowValues;
}

/** A row as the item that it holds. */
export function toItem(row: RowValues): Item {
  return JSON.parse(textOf(row));
}

/** A row as the JSON of its item. */
export function textOf([pk, sk, i1pk, i1sk, i2pk, i2sk, ttl, body]: RowValues): string {
  let text = `{"pk":${JSON.stringify(pk)},"sk":${JSON.stringify(sk)}`;
  if (i1pk !== null) text += `,"index1":{"pk":${JSON.stringify(i1pk)},"sk":${JSON.stringify(i1sk)}}`;
  if (i2pk !== null) text += `,"index2":{"pk":${JSON.stringify(i2pk)},"sk":${JSON.stringify(i2sk)}}`;
  if (ttl !== null) text += `,"ttl":${ttl}`;
  return body === "{}" ? `${text}}` : `${text},${body.slice(1)}`;
}

/** @throws LongshoreError INTERNAL for what JSON cannot hold: a cycle, a bigint, a number that is not finite. */
export function toJson(value: object): string {
  try {
    const text = JSON.stringify(value);
    // JSON.stringify turns NaN and Infinity into null without a word; DynamoDB refuses them.
    if (text.includes("null")) checkFinite(value);
    return text;
  } catch (thrown) {
    if (thrown instanceof LongshoreError) throw thrown;
    throw misuse(`attributes are not JSON: ${thrown instanceof TypeError ? "a cycle or a bigint" : "unknown"}`);
  }
}

function checkFinite(value: unknown): void {
  if (typeof value === "number" && !Number.isFinite(value)) throw misuse("a number is not finite");
  if (typeof value === "object" && value !== null) for (const member of Object.values(value)) checkFinite(member);
}
