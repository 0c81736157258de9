import { LongshoreError } from "../../../engine/errors.ts";
import {
  type Change,
  type ChangeFeed,
  ConflictError,
  type Item,
  type Key,
  type Table,
} from "../../../engine/ports/table.ts";
import { checkKey, holds, keyOf, misuse, snapshot } from "../../../engine/table/changes.ts";
import { cursorAfter } from "../../../engine/table/queries.ts";
import { applied } from "./changes.ts";
import { type Connection, connect, unavailable } from "./database.ts";
import { createGroupCommit } from "./group-commit.ts";
import { createOutbox } from "./outbox.ts";
import { selectFor } from "./query.ts";
import { COLUMNS, type RowValues, toItem, toRow } from "./rows.ts";
import { migrate } from "./schema.ts";

/** How long a consumer's cursor may wait for a commit to ride along with. */
const CURSOR_DELAY_MS = 1_000;

const EVENT_PREFIX = "EVENT#";
const SELECT = `SELECT ${COLUMNS} FROM items WHERE pk = ? AND sk = ?`;
const UPSERT = `INSERT INTO items (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (pk, sk) DO UPDATE SET i1pk = excluded.i1pk, i1sk = excluded.i1sk, i2pk = excluded.i2pk,
  i2sk = excluded.i2sk, ttl = excluded.ttl, body = excluded.body`;
const DELETE = "DELETE FROM items WHERE pk = ? AND sk = ?";
const SWEEP = `DELETE FROM items WHERE rowid IN
  (SELECT rowid FROM items WHERE ttl IS NOT NULL AND ttl <= ? ORDER BY ttl LIMIT ?)`;

export interface SqliteTable extends Table {
  readonly feed: ChangeFeed;
  /** The durable position of a feed consumer, 0 for a new one; registers it, so that what it has not passed is kept. */
  cursor(name: string): Promise<number>;
  /**
   * Moves a consumer's cursor forward, never back. Written with the next commit, at the latest after a second or on
   * close: a crash before that makes the consumer read some records again.
   */
  saveCursor(name: string, position: number): void;
  /** Removes the feed records that every registered consumer has passed; resolves with their number. */
  trimFeed(): Promise<number>;
  /** Removes up to `limit` items whose ttl is at or before `nowSeconds`, oldest first; resolves with their number. */
  sweepExpired(nowSeconds: number, limit: number): Promise<number>;
}

/** Whether what a change does depends on the item that is there. */
function dependsOnCurrent(change: Change): boolean {
  if (change.guard !== undefined || change.kind === "patch") return true;
  return change.kind === "put" && change.item.sk.startsWith(EVENT_PREFIX);
}

/** The read half of one change-set: the rows to write, or why it is refused. */
type Plan = { write: () => void } | { refusal: Error };

function plan(db: Connection, changes: Change[], onEvent: (item: Item) => void): Plan {
  const read = (change: Change): Item | undefined => {
    const { pk, sk } = keyOf(change);
    const row = db.prepare(SELECT).get(pk, sk);
    return row === undefined ? undefined : toItem(row);
  };
  const current = changes.map((change) => (dependsOnCurrent(change) ? read(change) : undefined));
  const failed = changes.flatMap((change, at) => (holds(change.guard, current[at]) ? [] : [at]));
  if (failed.length > 0) return { refusal: new ConflictError(changes.map(read), failed) };
  const steps: (() => void)[] = [];
  for (const [at, change] of changes.entries()) {
    if (change.kind === "check") continue;
    if (change.kind === "delete") {
      steps.push(() => db.prepare(DELETE).run(change.key.pk, change.key.sk));
      continue;
    }
    let next: Item;
    let row: RowValues;
    try {
      next = applied(change, current[at]);
      row = toRow(next);
    } catch (refusal) {
      if (refusal instanceof LongshoreError) return { refusal };
      throw refusal;
    }
    steps.push(() => {
      db.prepare(UPSERT).run(...row);
      if (current[at] === undefined && next.sk.startsWith(EVENT_PREFIX)) onEvent(next);
    });
  }
  return {
    write() {
      for (const step of steps) step();
    },
  };
}

/**
 * The table on one SQLite file (`:memory:` for one that nothing outlives): WAL, every commit synced, concurrent
 * commits share one sync. Made for one process at a time.
 * @throws LongshoreError UNAVAILABLE when the file cannot be used or a newer Longshore wrote it.
 */
export function createSqliteTable(options: { file: string }): SqliteTable {
  const db = connect(options.file);
  try {
    migrate(db);
  } catch (thrown) {
    db.close();
    throw thrown;
  }
  const outbox = createOutbox(db);
  const group = createGroupCommit(db, () => (outbox.hasUnsaved() ? outbox.save(false).saved : undefined));
  let closed = false;
  let cursorTimer: NodeJS.Timeout | undefined;

  const assertOpen = (): void => {
    if (closed) throw new LongshoreError("UNAVAILABLE", "the table is closed");
  };
  const read = <T>(reading: () => T): T => {
    assertOpen();
    try {
      return reading();
    } catch (thrown) {
      throw unavailable(thrown);
    }
  };
  const transact = <T>(apply: () => { value: T } | { refusal: Error }, settled?: () => void): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      assertOpen();
      group.enqueue({
        apply() {
          const outcome = apply();
          return () => {
            settled?.();
            if ("refusal" in outcome) reject(outcome.refusal);
            else resolve(outcome.value);
          };
        },
        reject,
      });
    });
  const flushCursors = (): void => {
    cursorTimer = undefined;
    if (closed || !outbox.hasUnsaved()) return;
    // A failure leaves the cursors unsaved: they ride with the next commit, whose caller hears of the disk.
    group.enqueue({ apply: () => () => undefined, reject: () => undefined });
  };

  return {
    async get(key: Key) {
      const { pk, sk } = checkKey(key, "a key");
      const row = read(() => db.prepare(SELECT).get(pk, sk));
      return row === undefined ? undefined : toItem(row);
    },
    async query(query) {
      const { sql, parameters, limit } = selectFor(query);
      const rows = read(() => db.prepare(sql).all(...parameters));
      const items = rows.slice(0, limit).map(toItem);
      const last = items.at(-1);
      return rows.length > limit && last !== undefined ? { items, cursor: cursorAfter(query, last) } : { items };
    },
    async commit(changes) {
      assertOpen();
      const own = snapshot(changes);
      if (own.length === 0) return;
      await transact(() => {
        const planned = plan(db, own, outbox.append);
        if ("refusal" in planned) return planned;
        planned.write();
        return { value: undefined };
      }, outbox.wake);
    },
    feed: {
      async read(after, limit) {
        return read(() => outbox.read(after, limit));
      },
      subscribe: outbox.subscribe,
    },
    async cursor(name) {
      assertOpen();
      return outbox.cursor(name);
    },
    saveCursor(name, position) {
      assertOpen();
      outbox.saveCursor(name, position);
      if (outbox.hasUnsaved()) cursorTimer ??= setTimeout(flushCursors, CURSOR_DELAY_MS).unref();
    },
    async trimFeed() {
      let saved: (() => void) | undefined;
      return transact(
        () => {
          const result = outbox.save(true);
          saved = result.saved;
          return { value: result.removed };
        },
        () => saved?.(),
      );
    },
    async sweepExpired(nowSeconds, limit) {
      if (!Number.isSafeInteger(limit) || limit < 1) throw misuse("the limit of a sweep must be a positive integer");
      return transact(() => ({ value: Number(db.prepare(SWEEP).run(Math.floor(nowSeconds), limit).changes) }));
    },
    async close() {
      if (closed) return;
      clearTimeout(cursorTimer);
      group.drain();
      closed = true;
      try {
        if (outbox.hasUnsaved()) {
          db.exec("BEGIN IMMEDIATE");
          outbox.save(true);
          db.exec("COMMIT");
        }
      } catch (thrown) {
        throw unavailable(thrown);
      } finally {
        db.close();
      }
    },
  };
}
