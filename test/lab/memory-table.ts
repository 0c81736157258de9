import { LongshoreError } from "../../engine/errors.ts";
import {
  type Change,
  ConflictError,
  type Guard,
  type Item,
  type Key,
  MAX_CHANGES,
  type Page,
  type Query,
  type Table,
} from "../../engine/ports/table.ts";

/** What one change of a commit did to its item. The items are the table's own: whoever looks must not change them. */
export interface Write {
  change: Change;
  before: Item | undefined;
  after: Item | undefined;
}

export interface MemoryTable extends Table {
  /** The item itself, without a copy, for whoever only looks. */
  peek(key: Key): Item | undefined;
  /** Every item, without copies. */
  items(): Iterable<Item>;
  /** Removes what has expired at this time, seconds since the epoch. */
  sweepExpired(nowSeconds: number): void;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

/**
 * A table in memory for tests that make millions of calls: nothing is awaited inside a call, so that a commit is one
 * moment. Written apart from the real ones, and checked by the same contract suite.
 * @param onCommit is told of every commit inside of that moment; what it throws reaches whoever committed.
 */
export function createMemoryTable(onCommit: (writes: Write[]) => void = () => undefined): MemoryTable {
  const partitions = new Map<string, Map<string, Item>>();
  const indexes = { index1: new Map<string, Set<Item>>(), index2: new Map<string, Set<Item>>() };
  const names = ["index1", "index2"] as const;

  let closed = false;

  const assertOpen = (): void => {
    if (closed) throw new LongshoreError("UNAVAILABLE", "table: it has been closed");
  };
  const peek = ({ pk, sk }: Key): Item | undefined => partitions.get(pk)?.get(sk);

  function store({ pk, sk }: Key, before: Item | undefined, after: Item | undefined): void {
    for (const name of names) {
      if (before?.[name] !== undefined) indexes[name].get(before[name].pk)?.delete(before);
      if (after?.[name] === undefined) continue;
      const partition = indexes[name].get(after[name].pk);
      if (partition === undefined) indexes[name].set(after[name].pk, new Set([after]));
      else partition.add(after);
    }
    const partition = partitions.get(pk);
    if (after === undefined) partition?.delete(sk);
    else if (partition === undefined) partitions.set(pk, new Map([[sk, after]]));
    else partition.set(sk, after);
  }

  return {
    peek,
    *items() {
      for (const partition of partitions.values()) yield* partition.values();
    },
    sweepExpired(nowSeconds) {
      for (const partition of partitions.values())
        for (const item of partition.values())
          if (item.ttl !== undefined && item.ttl <= nowSeconds) store(item, item, undefined);
    },
    async get(key) {
      assertOpen();
      const item = peek(key);
      return item === undefined ? undefined : copyOf(item);
    },
    async query(query) {
      assertOpen();
      const all = query.index === undefined ? partitions.get(query.pk)?.values() : indexes[query.index].get(query.pk);
      return pageOf([...(all ?? [])], query);
    },
    async commit(changes) {
      assertOpen();
      if (changes.length > MAX_CHANGES) throw misuse(`${changes.length} changes in one commit`);
      const keys = new Set<string>();
      const writes = changes.map((change): Write => {
        const key = change.kind === "put" ? change.item : change.key;
        checkKey(key);
        keys.add(JSON.stringify([key.pk, key.sk]));
        const before = peek(key);
        return { change, before, after: appliedTo(before, change) };
      });
      if (keys.size < changes.length) throw misuse("two changes of one commit have the same key");
      const failed = writes.flatMap(({ change, before }, at) => (holds(change.guard, before) ? [] : [at]));
      if (failed.length > 0) {
        throw new ConflictError(
          writes.map(({ before }) => (before === undefined ? undefined : copyOf(before))),
          failed,
        );
      }
      for (const { change, before, after } of writes) {
        if (change.kind !== "check") store(change.kind === "put" ? change.item : change.key, before, after);
      }
      onCommit(writes);
    },
    async close() {
      closed = true;
    },
  };
}

function misuse(message: string): LongshoreError {
  return new LongshoreError("INTERNAL", `table: ${message}`);
}

function checkKey(key: Partial<Key> | undefined): void {
  for (const part of [key?.pk, key?.sk]) {
    if (typeof part !== "string" || part === "" || !part.isWellFormed()) throw misuse("a key must be non-empty text");
  }
}

function holds(guard: Guard | undefined, item: Item | undefined): boolean {
  if (guard === undefined) return true;
  if (guard.exists !== undefined && guard.exists !== (item !== undefined)) return false;
  for (const name in guard.equals) if (item === undefined || item[name] !== guard.equals[name]) return false;
  for (const name in guard.atMost) {
    const value = item?.[name] ?? 0;
    if (typeof value !== "number" || value > (guard.atMost[name] as number)) return false;
  }
  return true;
}

function appliedTo(before: Item | undefined, change: Change): Item | undefined {
  switch (change.kind) {
    case "check":
      return before;
    case "delete":
      return undefined;
    case "put":
      return checked(copyOf(change.item));
    case "patch": {
      const { set = {}, add = {}, remove = [] } = change;
      const touched = [...Object.keys(set), ...Object.keys(add), ...remove];
      if (new Set([...touched, "pk", "sk"]).size < touched.length + 2) throw misuse("a patch touches something twice");
      const after: Item = { ...(before ?? change.key), ...copyOf(set) };
      for (const name in add) {
        const value = after[name] ?? 0;
        if (typeof value !== "number") throw misuse(`cannot add to ${name}: it is no number`);
        after[name] = value + (add[name] as number);
      }
      for (const name of remove) delete after[name];
      return checked(after);
    }
  }
}

function checked(item: Item): Item {
  if (item.index1 !== undefined) checkKey(item.index1);
  if (item.index2 !== undefined) checkKey(item.index2);
  if (item.ttl !== undefined && !Number.isSafeInteger(item.ttl)) throw misuse("ttl must be whole seconds");
  return item;
}

/** A copy of what JSON can hold, without what is undefined. */
function copyOf<T>(value: T): T {
  if (typeof value === "number" && !Number.isFinite(value)) throw misuse("a number is not finite");
  if (typeof value === "bigint") throw misuse("attributes are not JSON");
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf) as T;
  const copy: Record<string, unknown> = {};
  for (const name in value) if (value[name] !== undefined) copy[name] = copyOf(value[name]);
  return copy as T;
}

function pageOf(items: Item[], query: Query): Page {
  const { limit = DEFAULT_LIMIT, descending = false } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) throw misuse(`limit must be 1 to ${MAX_LIMIT}`);
  const { prefix = "", after, before } = query.sk ?? {};
  const behind = query.cursor === undefined ? undefined : parseCursor(query.cursor);
  const sign = descending ? -1 : 1;
  const placeOf = (item: Item): string[] =>
    query.index === undefined ? [item.sk] : [item[query.index]?.sk ?? "", item.pk, item.sk];
  const found = items
    .map((item) => ({ item, place: placeOf(item) }))
    .filter(({ place }) => {
      const [sk = ""] = place;
      if (!sk.startsWith(prefix)) return false;
      if (after !== undefined && compare([sk], [after]) <= 0) return false;
      if (before !== undefined && compare([sk], [before]) >= 0) return false;
      return behind === undefined || sign * compare(place, behind) > 0;
    })
    .sort((a, b) => sign * compare(a.place, b.place));
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const answer = { items: page.map(({ item }) => copyOf(item)) };
  return found.length > limit && last !== undefined ? { ...answer, cursor: JSON.stringify(last.place) } : answer;
}

function parseCursor(cursor: string): string[] {
  try {
    const place: unknown = JSON.parse(cursor);
    if (Array.isArray(place) && place.every((part) => typeof part === "string")) return place;
  } catch {
    // Garbage, as the caller is told below.
  }
  const message = "is not a cursor that this list gave";
  const violations = [{ path: "cursor", code: "INVALID_CURSOR", message }];
  throw new LongshoreError("VALIDATION", "the cursor is not one of this list", { violations });
}

const BEYOND_BMP = /[\uD800-\uDFFF]/;

/** By the bytes of UTF-8, part by part. Only outside of the first plane do JavaScript's own comparisons differ. */
function compare(a: string[], b: string[]): number {
  for (const [n, one] of a.entries()) {
    const other = b[n] ?? "";
    if (one === other) continue;
    if (BEYOND_BMP.test(one) || BEYOND_BMP.test(other)) return Buffer.compare(Buffer.from(one), Buffer.from(other));
    return one < other ? -1 : 1;
  }
  return 0;
}
