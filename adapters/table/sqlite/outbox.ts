import type { ChangeFeed, FeedRecord, Item } from "../../../engine/ports/table.ts";
import type { Connection } from "./database.ts";

/** Trimming waits for this many records that all consumers have passed, so that it costs little a commit. */
const TRIM_BATCH = 256;

interface Outbox {
  /** Inside a transaction: appends the event item to the feed. */
  append(item: Item): void;
  read(after: number, limit: number): FeedRecord[];
  subscribe: ChangeFeed["subscribe"];
  /** Tells the subscribers, if anything was appended since the last call. */
  wake(): void;
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
  let appended = false;

  return {
    append(item) {
      db.prepare("INSERT INTO outbox (item) VALUES (?)").run(JSON.stringify(item));
      appended = true;
    },
    read(after, limit) {
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
    wake() {
      if (!appended) return;
      appended = false;
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
          if (trims) trimmedTo = passed;
          names.forEach((name, at) => {
            if (cursors.get(name) === positions[at]) unsaved.delete(name);
          });
        },
      };
    },
  };
}
