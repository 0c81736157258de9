import { DatabaseSync } from "node:sqlite";
import { eventsOf } from "../../engine/ledger/items.ts";
import type { Item } from "../../engine/ports/table.ts";

/** One event of the ledger of a home on this machine, as it was committed. */
export interface Committed {
  jobId: string;
  type: string;
  /** When it was decided, ms since the epoch. */
  atMs: number;
}

/** Every event of a ledger in the order in which they were committed, read from outside of the home. */
export function history(ledgerFile: string): Committed[] {
  const ledger = new DatabaseSync(ledgerFile, { readOnly: true, timeout: 5_000 });
  try {
    // No event is ever written twice, and SQLite gives a new row a number above all that there are.
    const rows = ledger.prepare("SELECT body FROM items WHERE pk LIKE 'JOB#%' AND sk LIKE 'EVENT#%' ORDER BY rowid");
    const events = rows.all().flatMap(({ body }) => eventsOf(JSON.parse(String(body)) as Item));
    return events.map(({ jobId, type, at }) => ({ jobId, type, atMs: Date.parse(at) }));
  } finally {
    ledger.close();
  }
}

/** The most jobs that ever waited at once: from SUBMITTED until ADMITTED, or until a cancel ended the wait. */
export function mostWaiting(events: readonly Committed[]): number {
  const waiting = new Set<string>();
  let most = 0;
  for (const { jobId, type } of events) {
    if (type === "SUBMITTED") waiting.add(jobId);
    if (type === "ADMITTED" || type === "CANCELLED") waiting.delete(jobId);
    most = Math.max(most, waiting.size);
  }
  return most;
}
