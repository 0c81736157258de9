import type { Key } from "../../../engine/ports/table.ts";
import type { Connection } from "./database.ts";
import { identityOf, type Recent } from "./recent.ts";
import { COLUMNS, type RowValues, valuesOf } from "./rows.ts";

const SELECT = `SELECT ${COLUMNS} FROM items WHERE pk = ? AND sk = ?`;
const UPSERT = `INSERT INTO items (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (pk, sk) DO UPDATE SET i1pk = excluded.i1pk, i1sk = excluded.i1sk, i2pk = excluded.i2pk,
  i2sk = excluded.i2sk, ttl = excluded.ttl, body = excluded.body`;
// Without the columns of the indexes, which SQLite would take out and put in again.
const UPDATE_BODY = "UPDATE items SET body = ? WHERE pk = ? AND sk = ?";
const DELETE = "DELETE FROM items WHERE pk = ? AND sk = ?";

export interface Writes {
  /** The row as it is now: also what earlier changes of the same group made of it. */
  read(key: Key): RowValues | undefined;
  put(row: RowValues): void;
  delete(key: Key): void;
  /** Inside the transaction: writes what the group has made of each item, once. */
  flush(): void;
  /** The transaction is durable: what it wrote is what is read from now on. */
  committed(): void;
  /** The transaction failed: nothing of it was written. */
  discard(): void;
}

interface Pending {
  key: Key;
  /** What the group has made of the item; null: it is deleted. */
  row: RowValues | null;
  /** What is in the database; undefined when that is not known. */
  written: RowValues | null | undefined;
}

/**
 * What a group of commits writes. Many commits of one group change the same few counters: each is written once a group.
 * Everything is read through it, so that each commit sees those before it.
 */
export function createWrites(db: Connection, recent: Recent): Writes {
  const pending = new Map<string, Pending>();

  function set(key: Key, row: RowValues | null): void {
    const identity = identityOf(key);
    const own = pending.get(identity);
    if (own !== undefined) own.row = row;
    else pending.set(identity, { key, row, written: recent.get(identity) });
  }

  return {
    read(key) {
      const identity = identityOf(key);
      const own = pending.get(identity);
      if (own !== undefined) return own.row ?? undefined;
      const known = recent.get(identity);
      if (known !== undefined) return known ?? undefined;
      const found = db.prepare(SELECT).get(key.pk, key.sk);
      const row = found === undefined ? null : valuesOf(found);
      recent.set(identity, row);
      return row ?? undefined;
    },
    put(row) {
      const [pk, sk] = row;
      set({ pk, sk }, row);
    },
    delete(key) {
      set(key, null);
    },
    flush() {
      for (const entry of pending.values()) {
        if (entry.written !== entry.row) write(db, entry);
        entry.written = entry.row;
      }
    },
    committed() {
      for (const [identity, { row }] of pending) {
        // Most of what is written for the first time, such as an event, is not read soon: it is kept from its first read on.
        if (recent.get(identity) !== undefined) recent.set(identity, row);
      }
      pending.clear();
    },
    discard() {
      pending.clear();
    },
  };
}

function write(db: Connection, { key, row, written }: Pending): void {
  if (row === null) {
    db.prepare(DELETE).run(key.pk, key.sk);
  } else if (written && sameIndexes(written, row)) {
    db.prepare(UPDATE_BODY).run(row[7], key.pk, key.sk);
  } else {
    db.prepare(UPSERT).run(...row);
  }
}

/** Whether two rows differ in nothing but their bodies. */
function sameIndexes(a: RowValues, b: RowValues): boolean {
  for (let column = 2; column < 7; column++) if (a[column] !== b[column]) return false;
  return true;
}
