import type { Item } from "../ports/table.ts";
import { nextTurn } from "../turn.ts";
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
  let last: string | undefined;
  for (const month of monthsBack(startMs, query.oldestMs)) {
    const sk = query.cursor === undefined ? {} : { before: query.cursor };
    const shards = Array.from({ length: LIST_SHARDS }, (_, shard) => query.partition(month, shard));
    for await (const batch of merged(ledger, { partitions: shards, sk, descending: true, limit })) {
      for (const item of batch) {
        last = sortKey(item);
        scanned++;
        if (matches(item)) items.push(item);
        if (items.length === limit || scanned === MAX_SCANNED) return { items, nextCursor: last };
      }
    }
  }
  return { items, nextCursor: null };
}

export interface MergeQuery {
  /** Of index1. */
  partitions: readonly string[];
  sk: { after?: string; before?: string };
  descending: boolean;
  /** How many items the reader is likely to want. */
  limit: number;
}

/** Items a page of a partition at most. */
const MAX_PAGE = 200;

/** The items of several partitions in the order of their sort keys, in parts. What is read of one is never read again. */
export async function* merged({ table }: Ledger, query: MergeQuery): AsyncGenerator<Item[], void> {
  const { partitions, sk, descending } = query;
  // Half of what is wanted: the next pages are longer, for a reader who passes most items by.
  let size = Math.min(MAX_PAGE, Math.ceil(query.limit / 2) + 1);
  const read = async (pk: string, limit: number, cursor?: string): Promise<Ahead> => {
    const base = { index: "index1" as const, pk, sk, descending, limit };
    const page = await table.query(cursor === undefined ? base : { ...base, cursor });
    return { pk, items: page.items, next: 0, cursor: page.cursor };
  };
  let ahead = await Promise.all(partitions.map((pk) => read(pk, size)));
  while (ahead.length > 0) {
    // Whatever one of them has not read yet may come before what the others have.
    const batch = mergedSoFar(ahead, descending);
    if (batch.length > 0) yield batch;
    size = Math.min(MAX_PAGE, size * 2);
    // On a table that answers at once a long look would let nobody else have their turn.
    await nextTurn();
    const next = await Promise.all(
      ahead.map((one) => (isSpent(one) && one.cursor !== undefined ? read(one.pk, size, one.cursor) : one)),
    );
    // A page may be empty and not the last: what an index names may have gone since.
    ahead = next.filter((one) => !isSpent(one) || one.cursor !== undefined);
  }
}

/** What is read of a partition and not yet handed on. */
interface Ahead {
  pk: string;
  items: Item[];
  next: number;
  cursor: string | undefined;
}

const isSpent = ({ items, next }: Ahead): boolean => next === items.length;

/** The next items of all, until nothing is left of one that has more to be read. */
function mergedSoFar(ahead: Ahead[], descending: boolean): Item[] {
  const batch: Item[] = [];
  for (;;) {
    let best: Ahead | undefined;
    let bestKey = "";
    for (const one of ahead) {
      const item = one.items[one.next];
      if (item === undefined) {
        if (one.cursor !== undefined) return batch;
        continue;
      }
      const key = sortKey(item);
      if (best === undefined || (descending ? key > bestKey : key < bestKey)) [best, bestKey] = [one, key];
    }
    if (best === undefined) return batch;
    batch.push(best.items[best.next++] as Item);
  }
}

function sortKey({ index1 }: Item): string {
  return index1?.sk ?? "";
}

/** The months from one time on to another, oldest first; none when it is turned round. */
export function monthsOn(fromMs: number, toMs: number): string[] {
  return [...monthsBack(toMs, fromMs)].reverse();
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
