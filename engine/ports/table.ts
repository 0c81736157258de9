/** Where an item stands: its partition and its place inside it. Both are non-empty text. */
export interface Key {
  pk: string;
  sk: string;
}

/**
 * A stored item: its key, up to two sparse indexes, an optional time to live, and JSON attributes.
 * `ttl` is in whole seconds since the epoch; an expired item may still be read for a while.
 */
export interface Item extends Key {
  index1?: Key;
  index2?: Key;
  ttl?: number;
  [attribute: string]: unknown;
}

/** All conditions must hold, else the whole commit fails. No guard: any state will do. */
export interface Guard {
  /** The item must be there (true) or must not (false). */
  exists?: boolean;
  /** Attributes of the item that must have exactly these scalar values. */
  equals?: Record<string, string | number | boolean>;
  /** A numeric attribute must be at most this; a missing one counts as 0. */
  atMost?: Record<string, number>;
}

export type Change =
  | { kind: "put"; item: Item; guard?: Guard }
  | {
      kind: "patch";
      key: Key;
      /** Attributes to set; the item is made when it is missing and the guard allows it. */
      set?: Record<string, unknown>;
      /** Numbers to add; a missing attribute counts as 0. */
      add?: Record<string, number>;
      remove?: string[];
      guard?: Guard;
    }
  | { kind: "delete"; key: Key; guard?: Guard }
  | { kind: "check"; key: Key; guard: Guard };

export interface Query {
  /** Which key to read by: the item's own (default) or one of the two sparse indexes, which may lag behind. */
  index?: "index1" | "index2";
  pk: string;
  /** The range of the sort key; `after` and `before` are exclusive. */
  sk?: { prefix?: string; after?: string; before?: string };
  /** Default: ascending by sort key. */
  descending?: boolean;
  /** Items a page, 1–1000; default 100. */
  limit?: number;
  /** The `cursor` of the page before. */
  cursor?: string;
}

export interface Page {
  items: Item[];
  /** Present when more may follow. */
  cursor?: string;
}

/** At most this many changes a commit, as in DynamoDB's TransactWriteItems. */
export const MAX_CHANGES = 100;

/** A guard did not hold: nothing was written. `items` are the current items, in the order of the changes. */
export class ConflictError extends Error {
  readonly items: (Item | undefined)[];
  /** The positions of the changes whose guards failed. */
  readonly failed: number[];
  constructor(items: (Item | undefined)[], failed: number[]) {
    super(`a guard did not hold for change ${failed.join(", ")}`);
    this.name = "ConflictError";
    this.items = items;
    this.failed = failed;
  }
}

/**
 * One table of items, shaped so that DynamoDB (`TransactWriteItems`) and SQLite (one immediate transaction) both do
 * it exactly. Reads by the item's own key see every commit that was acknowledged before.
 */
export interface Table {
  get(key: Key): Promise<Item | undefined>;
  query(query: Query): Promise<Page>;
  /**
   * All changes or none, at most MAX_CHANGES, no key twice. Resolves when they are durable (synced).
   * @throws ConflictError with the current items when a guard does not hold.
   */
  commit(changes: Change[]): Promise<void>;
  close(): Promise<void>;
}

/** One committed event item, in commit order. `position` grows with every record and never repeats. */
export interface FeedRecord {
  position: number;
  item: Item;
}

/**
 * The table's change feed: the items of events (sort key prefix `EVENT#`) in the order in which they were committed.
 * The outbox is the table itself: what was committed will be read here, also after a crash.
 */
export interface ChangeFeed {
  read(after: number, limit: number): Promise<FeedRecord[]>;
  /** Calls `wake` soon after every commit that added records; returns the function that ends it. */
  subscribe(wake: () => void): () => void;
}
