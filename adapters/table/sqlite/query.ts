import { LongshoreError } from "../../../engine/errors.ts";
import type { Item, Query } from "../../../engine/ports/table.ts";
import { COLUMNS, misuse } from "./rows.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

interface Statement {
  sql: string;
  parameters: (string | number)[];
  limit: number;
}

interface Bound {
  sk: string;
  /** Present when the bound is the very item at which the page before ended, told from others with the same sort key. */
  tie?: [pk: string, sk: string];
  inclusive: boolean;
}

// SQLite compares text by its UTF-8 bytes, as DynamoDB does; JavaScript's `<` compares UTF-16 units.
const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The least text that is greater than every text with this prefix; undefined when there is none. */
function afterPrefix(prefix: string): string | undefined {
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

function parseCursor(query: Query): Bound | undefined {
  if (query.cursor === undefined) return undefined;
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(query.cursor, "base64url").toString());
  } catch {
    place = undefined;
  }
  const [sk, pk, itemSk]: unknown[] = Array.isArray(place) ? place : [];
  if (typeof sk === "string" && query.index === undefined && pk === undefined) return { sk, inclusive: false };
  if (typeof sk === "string" && query.index !== undefined && typeof pk === "string" && typeof itemSk === "string") {
    return { sk, tie: [pk, itemSk], inclusive: false };
  }
  throw new LongshoreError("VALIDATION", "the cursor is not one of this list", {
    violations: [{ path: "cursor", code: "INVALID_CURSOR", message: "is not a cursor that this list gave" }],
  });
}

/** The tightest of the bounds; `sign` 1 for lower bounds, -1 for upper ones. */
function tightest(bounds: (Bound | undefined)[], sign: 1 | -1): Bound | undefined {
  let best: Bound | undefined;
  for (const bound of bounds) {
    if (bound === undefined) continue;
    const order = best === undefined ? 1 : sign * compare(bound.sk, best.sk);
    // At the same place a plain exclusive bound leaves out all ties, a tie leaves out some, an inclusive bound none.
    if (order > 0 || (order === 0 && looseness(bound) < looseness(best))) best = bound;
  }
  return best;
}

function looseness(bound: Bound | undefined): number {
  if (bound === undefined) return 3;
  if (bound.inclusive) return 2;
  return bound.tie === undefined ? 0 : 1;
}

/**
 * The SQL of a query, which reads one row more than the page so that the page knows whether more follow.
 * @throws LongshoreError VALIDATION for a cursor that is none, INTERNAL for a limit outside 1–1000.
 */
export function selectFor(query: Query): Statement {
  const limit = query.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) throw misuse(`limit must be 1 to ${MAX_LIMIT}`);
  const [pk, sk] =
    query.index === undefined ? ["pk", "sk"] : query.index === "index1" ? ["i1pk", "i1sk"] : ["i2pk", "i2sk"];
  const { prefix, after, before } = query.sk ?? {};
  const beyond = prefix === undefined ? undefined : afterPrefix(prefix);
  const cursor = parseCursor(query);
  const descending = query.descending === true;
  const lower = tightest(
    [
      prefix === undefined ? undefined : { sk: prefix, inclusive: true },
      after === undefined ? undefined : { sk: after, inclusive: false },
      descending ? undefined : cursor,
    ],
    1,
  );
  const upper = tightest(
    [
      beyond === undefined ? undefined : { sk: beyond, inclusive: false },
      before === undefined ? undefined : { sk: before, inclusive: false },
      descending ? cursor : undefined,
    ],
    -1,
  );

  const conditions = [`${pk} = ?`];
  const parameters: (string | number)[] = [query.pk];
  const bound = (limitOf: Bound | undefined, operator: ">" | "<"): void => {
    if (limitOf === undefined) return;
    const comparison = limitOf.inclusive ? `${operator}=` : operator;
    if (limitOf.tie === undefined) {
      conditions.push(`${sk} ${comparison} ?`);
      parameters.push(limitOf.sk);
    } else {
      conditions.push(`(${sk}, pk, sk) ${comparison} (?, ?, ?)`);
      parameters.push(limitOf.sk, ...limitOf.tie);
    }
  };
  bound(lower, ">");
  bound(upper, "<");

  const direction = descending ? "DESC" : "ASC";
  const order = query.index === undefined ? `sk ${direction}` : `${sk} ${direction}, pk ${direction}, sk ${direction}`;
  parameters.push(limit + 1);
  return {
    sql: `SELECT ${COLUMNS} FROM items WHERE ${conditions.join(" AND ")} ORDER BY ${order} LIMIT ?`,
    parameters,
    limit,
  };
}
