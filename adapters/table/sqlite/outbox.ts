import type { ChangeFeed, FeedRecord } from "../../../engine/ports/table.ts";
import type { Connection } from "./database.ts";
import { type RowValues, textOf, toItem } from "./rows.ts";

/** Trimming waits for this many records that all consumers have passed, so that it costs little a commit. */
const TRIM_BATCH = 256;

/** The latest records are kept in memory as well: whoever reads the feed as it goes need not parse them again. */
const KEPT_RECORDS = 2_000;

interface Outbox {
  /** Inside a transaction: appends the event item to the feed. */
  append(row: RowValues): void;
  read(after: number, limit: number): FeedRecord[];
  subscribe: ChangeFeed["subscribe"];
  /** What was appended is durable: it can be read from now on, and the subscribers are told. */
  committed(): void;
  /** The transaction failed: nothing was appended. */
  discard(): void;
  cursor(name: string): number;
  saveCursor(name: string, position: number): void;
  hasUnsaved(): boolean;
  /** Inside a transaction: writes the changed cursors and trims; returns what to do once it is durable. */
  save(trimAll: boolean): { removed: number; saved: () => void };
}

/** The feed's records and its consumers' durable cursors. */
export function createOutbox(db: Connection): Outbox {
  const cursors = new Map<string, number>();
  for (const row of db.prepare("SELECT name, position FROM cursors").all()) {
    cursors.set(String(row.name), Number(row.position));
  }
  const first = db.prepare("SELECT min(position) AS position FROM outbox").get()?.position;
  let trimmedTo = typeof first === "number" ? first - 1 : 0;
  const unsaved = new Set<string>();
  const subscribers = new Set<() => void>();
  let appended: { position: number; row: RowValues }[] = [];
  /** Every record from its first one on. */
  let latest: { position: number; row: RowValues }[] = [];

  return {
    append(row) {
      const { lastInsertRowid } = db.prepare("INSERT INTO outbox (item) VALUES (?)").run(textOf(row));
      appended.push({ position: Number(lastInsertRowid), row });
    },
    read(after, limit) {
      const oldest = latest[0];
      if (oldest !== undefined && oldest.position <= after + 1) {
        // Positions have no gaps but those of trimmed records, which are older than all that are kept here.
        const from = after + 1 - oldest.position;
        return latest.slice(from, from + limit).map(({ position, row }) => ({ position, item: toItem(row) }));
      }
      const rows = db.prepare("SELECT position, item FROM outbox WHERE position > ? ORDER BY position LIMIT ?");
      return rows
        .all(after, limit)
        .map((row) => ({ position: Number(row.position), item: JSON.parse(String(row.item)) }));
    },
    subscribe(wake) {
      // A set of own closures: the same function given twice is two subscriptions.
      const subscriber = (): void => wake();
      subscribers.add(subscriber);
      return () => {
        subscribers.delete(subscriber);
      };
    },
    discard() {
      appended = [];
    },
    committed() {
      if (appended.length === 0) return;
      latest.push(...appended);
      appended = [];
      if (latest.length > 2 * KEPT_RECORDS) latest = latest.slice(-KEPT_RECORDS);
      // One microtask each: a subscriber that throws keeps neither the commit nor the others from going on.
      for (const subscriber of subscribers) queueMicrotask(subscriber);
    },
    cursor(name) {
      const position = cursors.get(name);
      if (position !== undefined) return position;
      // Registered from now on: nothing is trimmed that this consumer has not passed.
      cursors.set(name, 0);
      unsaved.add(name);
      return 0;
    },
    saveCursor(name, position) {
      if (position <= (cursors.get(name) ?? -1)) return;
      cursors.set(name, position);
      unsaved.add(name);
    },
    hasUnsaved: () => unsaved.size > 0,
    save(trimAll) {
      const names = [...unsaved];
      for (const name of names) {
        db.prepare("INSERT OR REPLACE INTO cursors (name, position) VALUES (?, ?)").run(name, cursors.get(name) ?? 0);
      }
      // In the same transaction as the cursors: a record is gone only if the cursor behind it is durable.
      const passed = cursors.size === 0 ? 0 : Math.min(...cursors.values());
      let removed = 0;
      const trims = passed - trimmedTo >= (trimAll ? 1 : TRIM_BATCH);
      if (trims) removed = Number(db.prepare("DELETE FROM outbox WHERE position <= ?").run(passed).changes);
      const positions = names.map((name) => cursors.get(name));
      return {
        removed,
        saved() {
          if (trims) {
            trimmedTo = passed;
            latest = latest.filter(({ position }) => position > passed);
          }
          names.forEach((name, at) => {
            if (cursors.get(name) === positions[at]) unsaved.delete(name);
          });
        },
      };
    },
  };
}
