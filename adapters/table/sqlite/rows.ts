import type { Item } from "../../../engine/ports/table.ts";
import { partsOf, toJson } from "../../../engine/table/changes.ts";

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

/**
 * An item as its row.
 * @throws LongshoreError INTERNAL for a bad key, index key or ttl, and for attributes that JSON cannot hold.
 */
export function toRow(item: Item): RowValues {
  const { key, index1, index2, ttl, attributes } = partsOf(item);
  return [
    key.pk,
    key.sk,
    index1?.pk ?? null,
    index1?.sk ?? null,
    index2?.pk ?? null,
    index2?.sk ?? null,
    ttl ?? null,
    toJson(attributes),
  ];
}

/** A row as SQLite gives it. */
export function valuesOf({ pk, sk, i1pk, i1sk, i2pk, i2sk, ttl, body }: Record<string, unknown>): RowValues {
  return [pk, sk, i1pk, i1sk, i2pk, i2sk, ttl, body] as RowValues;
}

/** A row as the item that it holds. */
export function toItem([pk, sk, i1pk, i1sk, i2pk, i2sk, ttl, body]: RowValues): Item {
  const item = JSON.parse(body) as Item;
  item.pk = pk;
  item.sk = sk;
  if (i1pk !== null && i1sk !== null) item.index1 = { pk: i1pk, sk: i1sk };
  if (i2pk !== null && i2sk !== null) item.index2 = { pk: i2pk, sk: i2sk };
  if (ttl !== null) item.ttl = ttl;
  return item;
}

/** A row as the JSON of its item. */
export function textOf([pk, sk, i1pk, i1sk, i2pk, i2sk, ttl, body]: RowValues): string {
  let text = `{"pk":${JSON.stringify(pk)},"sk":${JSON.stringify(sk)}`;
  if (i1pk !== null) text += `,"index1":{"pk":${JSON.stringify(i1pk)},"sk":${JSON.stringify(i1sk)}}`;
  if (i2pk !== null) text += `,"index2":{"pk":${JSON.stringify(i2pk)},"sk":${JSON.stringify(i2sk)}}`;
  if (ttl !== null) text += `,"ttl":${ttl}`;
  return body === "{}" ? `${text}}` : `${text},${body.slice(1)}`;
}
