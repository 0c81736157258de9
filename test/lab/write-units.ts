import type { AttributeValue } from "@aws-sdk/client-dynamodb";

/** An item as it is stored; undefined where there is none. */
export type Image = Readonly<Record<string, AttributeValue>> | undefined;

/** An index of the deployed table. */
export interface IndexShape {
  name: string;
  pk: string;
  sk: string;
  projection: "KEYS_ONLY" | "ALL";
}

const KIB = 1024;

/**
 * Bytes of an item as DynamoDB counts them, names included:
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
 */
export function sizeOf(item: Image): number {
  const parts = Object.entries(item ?? {});
  return parts.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + valueSize(value), 0);
}

function valueSize({ S, N, M }: AttributeValue): number {
  if (S !== undefined) return Buffer.byteLength(S);
  if (N !== undefined) return Math.ceil(N.replace(/\D/g, "").length / 2) + 1;
  if (M !== undefined) return 3 + Object.keys(M).length + sizeOf(M);
  return 1;
}

const units = (item: Image): number => Math.max(1, Math.ceil(sizeOf(item) / KIB));

/**
 * Write units of one part of a transaction on the table: two for each KiB of the larger of what was there and what is, since
 * a transaction writes twice (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html). A
 * check of a condition and a removal of nothing cost as much. DynamoDB Local cannot be asked: of the parts of a
 * transaction that have one partition key it counts one.
 */
export function tableUnits(before: Image, after: Image): number {
  return 2 * Math.max(units(before), units(after));
}

/**
 * Write units of what a change of an item does to an index: once, also in a transaction, for what the index holds of it
 * (measured in AWS: https://github.com/nubo-db/dynoxide/pull/188). A new place costs a removal and an entry.
 */
export function indexUnits(index: IndexShape, before: Image, after: Image): number {
  const [was, is] = [viewOf(index, before), viewOf(index, after)];
  if (was === undefined && is === undefined) return 0;
  if (was === undefined || is === undefined) return units(was ?? is);
  const same = (name: string) => was[name]?.S === is[name]?.S;
  if (!same(index.pk) || !same(index.sk)) return units(was) + units(is);
  return JSON.stringify(was) === JSON.stringify(is) ? 0 : Math.max(units(was), units(is));
}

function viewOf({ pk, sk, projection }: IndexShape, item: Image): Image {
  if (item?.[pk] === undefined || item[sk] === undefined) return undefined;
  if (projection === "ALL") return item;
  return Object.fromEntries(["pk", "sk", pk, sk].map((name) => [name, item[name] as AttributeValue]));
}
