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

/** A row as the item that it holds. */
export function toItem(row: Record<string, unknown>): Item {
  const item: Item = { pk: String(row.pk), sk: String(row.sk) };
  if (row.i1pk !== null) item.index1 = { pk: String(row.i1pk), sk: String(row.i1sk) };
  if (row.i2pk !== null) item.index2 = { pk: String(row.i2pk), sk: String(row.i2sk) };
  if (row.ttl !== null) item.ttl = Number(row.ttl);
  return { ...item, ...JSON.parse(String(row.body)) };
}
