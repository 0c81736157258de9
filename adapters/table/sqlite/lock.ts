import { DatabaseSync } from "node:sqlite";
import { LongshoreError } from "../../../engine/errors.ts";
import { ownFile, sqliteCode, unavailable } from "./database.ts";

/**
 * Makes this process the only one that uses a home, for as long as it lives: an exclusive transaction on a database
 * of its own, whose lock the operating system frees when the process dies, however it dies.
 *
 * Nothing else in this process may open and close the file: POSIX drops all of a process's locks on a file with the
 * first descriptor that it closes (https://www.sqlite.org/howtocorrupt.html, section 2.2).
 * @throws LongshoreError CONFLICT when another process (or this one) holds the lock, UNAVAILABLE when the file fails.
 */
export function acquireHomeLock(file: string): { release(): void } {
  ownFile(file);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: 0 });
    database.exec("BEGIN EXCLUSIVE");
  } catch (thrown) {
    database?.close();
    if (sqliteCode(thrown) === "SQLITE_BUSY") {
      throw new LongshoreError("CONFLICT", "another Longshore process uses this home", { cause: thrown });
    }
    throw unavailable(thrown);
  }
  const held = database;
  return {
    release() {
      if (held.isOpen) held.close();
    },
  };
}
