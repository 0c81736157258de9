import type { LongshoreError } from "../../../engine/errors.ts";
import { type Connection, unavailable } from "./database.ts";

/** What one caller wants to write. */
export interface Unit {
  /**
   * Runs inside the transaction; returns what to do once it is durable. Whatever it throws fails the whole group, so a
   * refusal of this unit alone is returned as a rejection, before anything was written.
   */
  apply(): () => void;
  /** The group failed: nothing was written. */
  reject(error: LongshoreError): void;
}

interface GroupCommit {
  enqueue(unit: Unit): void;
  /** Commits what waits, now. */
  drain(): void;
}

/** Units a transaction: enough to spread one fsync, few enough to keep the event loop's turn short. */
const MAX_UNITS = 256;

export interface GroupHooks {
  /** Writes what belongs to the group; returns what to do once it is durable. */
  finish(): () => void;
  /** The group failed: nothing of it was written. */
  discard(): void;
}

/**
 * Lets units of the same turn of the event loop share one transaction and so one fsync. A lone unit waits only for
 * the end of the turn.
 */
export function createGroupCommit(db: Connection, hooks: GroupHooks): GroupCommit {
  const queue: Unit[] = [];
  let scheduled = false;

  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    // Not a microtask: all requests that the same poll of the loop brought in shall join.
    setImmediate(() => {
      scheduled = false;
      group();
      if (queue.length > 0) schedule();
    });
  };

  const group = (): void => {
    const units = queue.splice(0, MAX_UNITS);
    if (units.length === 0) return;
    const settle: (() => void)[] = [];
    try {
      db.prepare("BEGIN IMMEDIATE").run();
      for (const unit of units) settle.push(unit.apply());
      // First of all: whoever hears of the commit reads what it wrote.
      settle.unshift(hooks.finish());
      db.prepare("COMMIT").run();
    } catch (thrown) {
      hooks.discard();
      // A full disk or an I/O error may have rolled back by itself: https://www.sqlite.org/lang_transaction.html
      if (db.inTransaction()) db.prepare("ROLLBACK").run();
      const error = unavailable(thrown);
      for (const unit of units) unit.reject(error);
      return;
    }
    // Conflicts too are told only now: they may rest on what earlier units of the group wrote.
    for (const done of settle) done();
  };

  return {
    enqueue(unit) {
      queue.push(unit);
      schedule();
    },
    drain() {
      while (queue.length > 0) group();
    },
  };
}
