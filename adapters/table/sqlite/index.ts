import { LongshoreError } from "../../../engine/errors.ts";
import type { ChangeFeed, Key, Table } from "../../../engine/ports/table.ts";
import { snapshot } from "./changes.ts";
import { connect, unavailable } from "./database.ts";
import { createGroupCommit } from "./group-commit.ts";
import { createOutbox } from "./outbox.ts";
import { plan } from "./plan.ts";
import { cursorAfter, selectFor } from "./query.ts";
import { createRecent } from "./recent.ts";
import { checkKey, misuse, toItem, valuesOf } from "./rows.ts";
import { migrate } from "./schema.ts";
import { createWrites } from "./writes.ts";

/** How long a consumer's cursor may wait for a commit to ride along with. */
const CURSOR_DELAY_MS = 1_000;

/** Items that are kept in memory: those of some thousand jobs under way. */
const RECENT_BYTES = 8 * 1024 * 1024;

const EXPIRED = "SELECT pk, sk FROM items WHERE ttl IS NOT NULL AND ttl <= ? ORDER BY ttl LIMIT ?";

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
  const writes = createWrites(db, createRecent(RECENT_BYTES));
  const group = createGroupCommit(db, {
    finish() {
      writes.flush();
      const cursors = outbox.hasUnsaved() ? outbox.save(false).saved : undefined;
      return () => {
        cursors?.();
        writes.committed();
        outbox.committed();
      };
    },
    discard() {
      writes.discard();
      outbox.discard();
    },
  });
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
  const transact = <T>(apply: () => { value: T } | { refusal: Error }): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      assertOpen();
      group.enqueue({
        apply() {
          const outcome = apply();
          return () => {
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
      const row = read(() => writes.read({ pk, sk }));
      return row === undefined ? undefined : toItem(row);
    },
    async query(query) {
      const { sql, parameters, limit } = selectFor(query);
      const rows = read(() => db.prepare(sql).all(...parameters));
      const items = rows.slice(0, limit).map((row) => toItem(valuesOf(row)));
      const last = items.at(-1);
      return rows.length > limit && last !== undefined ? { items, cursor: cursorAfter(query, last) } : { items };
    },
    async commit(changes) {
      assertOpen();
      const own = snapshot(changes);
      if (own.length === 0) return;
      await transact(() => {
        const planned = plan(own, writes.read);
        if ("refusal" in planned) return planned;
        for (const { key, row, isNewEvent } of planned.steps) {
          if (row === null) writes.delete(key);
          else writes.put(row);
          if (isNewEvent && row !== null) outbox.append(row);
        }
        return { value: undefined };
      });
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
      return await transact(() => ({ value: outbox.save(true) })).then(({ removed, saved }) => {
        saved();
        return removed;
      });
    },
    async sweepExpired(nowSeconds, limit) {
      if (!Number.isSafeInteger(limit) || limit < 1) throw misuse("the limit of a sweep must be a positive integer");
      return transact(() => {
        // What the group has changed already counts as well.
        writes.flush();
        const expired = db.prepare(EXPIRED).all(Math.floor(nowSeconds), limit);
        for (const { pk, sk } of expired) writes.delete({ pk: String(pk), sk: String(sk) });
        return { value: expired.length };
      });
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
