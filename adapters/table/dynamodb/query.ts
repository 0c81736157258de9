import type { QueryCommandInput } from "@aws-sdk/client-dynamodb";
import type { Query } from "../../../engine/ports/table.ts";
import { afterPrefix, compareText, placeOf } from "../../../engine/table/queries.ts";
import { encodeKey, INDEX_KEYS, type Stored } from "./attributes.ts";

/** A query as DynamoDB takes it, and the sort keys that it reads though they are not asked for. */
export interface QueryPlan {
  input: QueryCommandInput;
  dropped: ReadonlySet<string>;
}

/** The range of a query's sort key; each end is left out when there is none. */
interface Range {
  from?: string;
  to?: string;
  /** The range is all that begins with `from`. */
  prefix: boolean;
  /** Whether `from` itself is in it; `to` never is. */
  inclusive: boolean;
}

/**
 * A query as one request, without its limit; null when nothing can match. DynamoDB takes one condition on the sort key,
 * and `BETWEEN` has both ends in: what was to be left out is dropped from the answer.
 * @throws LongshoreError VALIDATION for a cursor that is none.
 */
export function queryFor(table: string, query: Query): QueryPlan | null {
  const keys = query.index === undefined ? { pk: "pk", sk: "sk" } : INDEX_KEYS[query.index];
  const range = rangeOf(query);
  const start = startOf(query, range);
  if (range.to === "" || start === "beyond") return null;
  if (range.from !== undefined && range.to !== undefined && compareText(range.from, range.to) >= 0) return null;
  const names: Record<string, string> = { "#pk": keys.pk };
  const values: Stored = { ":pk": { S: query.pk } };
  const conditions = ["#pk = :pk"];
  const condition = conditionFor(range);
  if (condition !== undefined) {
    conditions.push(condition);
    names["#sk"] = keys.sk;
    if (range.from !== undefined) values[":from"] = { S: range.from };
    if (range.to !== undefined && !range.prefix) values[":to"] = { S: range.to };
  }
  const between = range.from !== undefined && range.to !== undefined && !range.prefix;
  return {
    input: {
      TableName: table,
      ...(query.index === undefined ? { ConsistentRead: true } : { IndexName: query.index }),
      KeyConditionExpression: conditions.join(" AND "),
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: values,
      ScanIndexForward: query.descending !== true,
      ...(start === undefined ? {} : { ExclusiveStartKey: start }),
    },
    dropped: new Set(between ? [range.to ?? "", ...(range.inclusive ? [] : [range.from ?? ""])] : []),
  };
}

function conditionFor({ from, to, prefix, inclusive }: Range): string | undefined {
  if (prefix) return "begins_with(#sk, :from)";
  if (from !== undefined && to !== undefined) return "#sk BETWEEN :from AND :to";
  if (from !== undefined) return inclusive ? "#sk >= :from" : "#sk > :from";
  return to === undefined ? undefined : "#sk < :to";
}

function rangeOf({ sk: { prefix = "", after = "", before } = {} }: Query): Range {
  const beyond = prefix === "" ? undefined : afterPrefix(prefix);
  const fromAfter = after !== "" && compareText(after, prefix) >= 0;
  const toBefore = before !== undefined && (beyond === undefined || compareText(before, beyond) <= 0);
  const from = fromAfter ? after : prefix;
  const to = toBefore ? before : beyond;
  return {
    ...(from === "" ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    prefix: prefix !== "" && !fromAfter && !toBefore,
    inclusive: !fromAfter,
  };
}

/**
 * Where the page before ended. DynamoDB refuses a place outside of the range: before it there is no need to start
 * anywhere, behind it nothing is left.
 */
function startOf(query: Query, range: Range): Stored | "beyond" | undefined {
  const place = placeOf(query);
  if (place === undefined) return undefined;
  const below = range.from !== undefined && compareText(place.sk, range.from) < 0;
  const above = range.to !== undefined && compareText(place.sk, range.to) >= 0;
  if (below || above) return below === (query.descending === true) ? "beyond" : undefined;
  const [pk, sk] = place.tie ?? [query.pk, place.sk];
  const start = encodeKey({ pk, sk });
  if (query.index === undefined) return start;
  const keys = INDEX_KEYS[query.index];
  return { ...start, [keys.pk]: { S: query.pk }, [keys.sk]: { S: place.sk } };
}
