import { LongshoreError } from "../errors.ts";
import type { Item, Query } from "../ports/table.ts";
import { misuse } from "./changes.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

/** Where a page ended: the sort key, and in an index the key of the very item, told from others with that sort key. */
export interface Place {
  sk: string;
  /** Present in an index. */
  tie?: [pk: string, sk: string];
}

/** A query's items a page. @throws LongshoreError INTERNAL for a limit outside 1–1000. */
export function limitOf(query: Query): number {
  const limit = query.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) throw misuse(`limit must be 1 to ${MAX_LIMIT}`);
  return limit;
}

/** Orders text by its UTF-8 bytes, as SQLite and DynamoDB do; JavaScript's `<` compares UTF-16 units. */
export const compareText = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The least text that is greater than every text with this prefix; undefined when there is none. */
export function afterPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (points.length > 0) {
    const last = points.pop() ?? 0;
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}

/** The cursor that goes on after `item` for the same query. */
export function cursorAfter(query: Query, item: Item): string {
  const index = query.index === undefined ? undefined : item[query.index];
  const place = index === undefined ? [item.sk] : [index.sk, item.pk, item.sk];
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

/** The place behind a query's cursor; undefined without one. @throws LongshoreError VALIDATION for a cursor that is none. */
export function placeOf(query: Query): Place | undefined {
  if (query.cursor === undefined) return undefined;
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(query.cursor, "base64url").toString());
  } catch {
    place = undefined;
  }
  const [sk, pk, itemSk]: unknown[] = Array.isArray(place) ? place : [];
  if (typeof sk === "string" && query.index === undefined && pk === undefined) return { sk };
  if (typeof sk === "string" && query.index !== undefined && typeof pk === "string" && typeof itemSk === "string") {
    return { sk, tie: [pk, itemSk] };
  }
  throw new LongshoreError("VALIDATION", "the cursor is not one of this list", {
    violations: [{ path: "cursor", code: "INVALID_CURSOR", message: "is not a cursor that this list gave" }],
  });
}
