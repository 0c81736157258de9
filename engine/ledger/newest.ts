import type { Item } from "../ports/table.ts";
import { LIST_SHARDS } from "./keys.ts";
import type { Ledger } from "./ledger.ts";

/** A list of items in index1: a few partitions a month, in which the sort key grows with time and is never there twice. */
export interface NewestQuery {
  /** The partition of a month (`2026-05`) and a shard. */
  partition(month: string, shard: number): string;
  /** Items a page. */
  limit: number;
  /** The sort key after which to go on. */
  cursor?: string | undefined;
  /** Ms since the epoch: nothing newer is looked for. */
  startMs: number;
  /** Ms since the epoch: no month before this time's is looked at. */
  oldestMs: number;
  /** Default: every item. */
  matches?: (item: Item) => boolean;
}

export interface NewestPage {
  items: Item[];
  /** The sort key of the last item looked at, when there may be more. */
  nextCursor: string | null;
}

/** Items looked at per call at most, so that a rare filter over a long history costs a bounded read a page. */
const MAX_SCANNED = 5000;

/** Items, newest first: month by month, the shards of a month merged by sort key. */
export async function listNewest(ledger: Ledger, query: NewestQuery): Promise<NewestPage> {
  const { limit, matches = () => true } = query;
  // Nothing is newer than now, whatever a cursor or a filter says: the months to look through stay those of the home.
  const startMs = Math.min(ledger.clock(), query.startMs);
  const items: Item[] = [];
  let scanned = 0;
  let before = query.cursor;
  for (const month of monthsBack(startMs, query.oldestMs)) {
    for (;;) {
      const batch = await readMonth(ledger, query, { month, before });
      for (const item of batch) {
        before = sortKey(item);
        scanned++;
        if (matches(item)) items.push(item);
        if (items.length === limit) return { items, nextCursor: before };
      }
      if (scanned >= MAX_SCANNED) return { items, nextCursor: before ?? null };
      if (batch.length < limit) break;
    }
  }
  return { items, nextCursor: null };
}

async function readMonth(
  ledger: Ledger,
  { partition, limit }: NewestQuery,
  { month, before }: { month: string; before: string | undefined },
): Promise<Item[]> {
  const sk = before === undefined ? {} : { sk: { before } };
  const pages = await Promise.all(
    Array.from({ length: LIST_SHARDS }, (_, shard) =>
      ledger.table.query({ index: "index1", pk: partition(month, shard), descending: true, limit, ...sk }),
    ),
  );
  const items = pages.flatMap((page) => page.items);
  return items.sort((a, b) => (sortKey(a) < sortKey(b) ? 1 : -1)).slice(0, limit);
}

function sortKey({ index1 }: Item): string {
  return index1?.sk ?? "";
}

/** The months (`2026-05`) from one time back to another, newest first; none when it is turned round. */
function* monthsBack(startMs: number, oldestMs: number): Generator<string> {
  const oldest = monthNumber(oldestMs);
  // Numbers, not names: a year with more or fewer than four digits does not sort as text.
  for (let month = monthNumber(startMs); month >= oldest; month--) {
    yield new Date(Date.UTC(Math.floor(month / 12), month % 12)).toISOString().slice(0, 7);
  }
}

function monthNumber(ms: number): number {
  const date = new Date(ms);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}
