import type { Query } from "../../../engine/ports/table.ts";
import { afterPrefix, compareText, limitOf, placeOf } from "../../../engine/table/queries.ts";
import { COLUMNS } from "./rows.ts";

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

/** The tightest of the bounds; `sign` 1 for lower bounds, -1 for upper ones. */
function tightest(bounds: (Bound | undefined)[], sign: 1 | -1): Bound | undefined {
  let best: Bound | undefined;
  for (const bound of bounds) {
    if (bound === undefined) continue;
    const order = best === undefined ? 1 : sign * compareText(bound.sk, best.sk);
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
  const limit = limitOf(query);
  const [pk, sk] =
    query.index === undefined ? ["pk", "sk"] : query.index === "index1" ? ["i1pk", "i1sk"] : ["i2pk", "i2sk"];
  const { prefix, after, before } = query.sk ?? {};
  const beyond = prefix === undefined ? undefined : afterPrefix(prefix);
  const place = placeOf(query);
  const cursor: Bound | undefined = place === undefined ? undefined : { ...place, inclusive: false };
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
  const bound = (end: Bound | undefined, operator: ">" | "<"): void => {
    if (end === undefined) return;
    const comparison = end.inclusive ? `${operator}=` : operator;
    if (end.tie === undefined) {
      conditions.push(`${sk} ${comparison} ?`);
      parameters.push(end.sk);
    } else {
      conditions.push(`(${sk}, pk, sk) ${comparison} (?, ?, ?)`);
      parameters.push(end.sk, ...end.tie);
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
