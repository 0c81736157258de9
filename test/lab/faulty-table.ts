import type { Table } from "../../engine/ports/table.ts";

/** What every call gets from the fault on: as if the process that called had died there. */
export class CrashError extends Error {
  override name = "CrashError";
}

export interface FaultyTable extends Table {
  /** Commits that were asked for since the last `crashAt` or `revive`. */
  commits(): number;
  /**
   * Lets the n-th commit from now on (counted from 1) fail: `before` it was written, or `after` it is durable. Every
   * later call fails too, until `revive`.
   */
  crashAt(n: number, when: "before" | "after"): void;
  /** A successor of the dead process works with the same data. */
  revive(): void;
}

/** A table that fails at a commit of one's choice, around a real one. */
export function createFaultyTable(inner: Table): FaultyTable {
  let commits = 0;
  let fault: { n: number; when: "before" | "after" } | undefined;
  let dead = false;

  function assertAlive(): void {
    if (dead) throw new CrashError("the process is dead");
  }

  return {
    async get(key) {
      assertAlive();
      return await inner.get(key);
    },
    async query(query) {
      assertAlive();
      return await inner.query(query);
    },
    async commit(changes) {
      assertAlive();
      commits++;
      const hit = fault?.n === commits ? fault : undefined;
      if (hit?.when === "before") dead = true;
      assertAlive();
      await inner.commit(changes);
      if (hit === undefined) return;
      dead = true;
      throw new CrashError(`the process died after commit ${commits}`);
    },
    close: () => inner.close(),
    commits: () => commits,
    crashAt(n, when) {
      commits = 0;
      fault = { n, when };
    },
    revive() {
      commits = 0;
      fault = undefined;
      dead = false;
    },
  };
}
