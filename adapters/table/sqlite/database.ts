import { chmodSync, closeSync, existsSync, openSync, statSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { LongshoreError } from "../../../engine/errors.ts";

/** How long a statement waits for another process's lock; the home lock makes such a wait rare. */
const BUSY_TIMEOUT_MS = 5_000;

/** SQLite's own 2 MiB do not hold the inner pages of the indexes of a hundred thousand jobs. */
const CACHE_KIB = 32 * 1024;
/** Pages of 4 KiB in the WAL before they are copied: the same few pages are written by every commit. */
const CHECKPOINT_PAGES = 8_000;

/** SQLite's primary result codes that an operator can act on: https://www.sqlite.org/rescode.html */
const RESULT_CODES: Readonly<Record<number, string>> = {
  1: "SQLITE_ERROR",
  3: "SQLITE_PERM",
  5: "SQLITE_BUSY",
  6: "SQLITE_LOCKED",
  7: "SQLITE_NOMEM",
  8: "SQLITE_READONLY",
  10: "SQLITE_IOERR",
  11: "SQLITE_CORRUPT",
  13: "SQLITE_FULL",
  14: "SQLITE_CANTOPEN",
  18: "SQLITE_TOOBIG",
  19: "SQLITE_CONSTRAINT",
  22: "SQLITE_NOLFS",
  26: "SQLITE_NOTADB",
};

/** SQLite's name for what was thrown, such as `SQLITE_FULL`; null when SQLite did not throw it. */
export function sqliteCode(thrown: unknown): string | null {
  if (!(thrown instanceof Error) || !("errcode" in thrown) || typeof thrown.errcode !== "number") return null;
  const primary = thrown.errcode & 0xff;
  return RESULT_CODES[primary] ?? `SQLITE_${primary}`;
}

/** A failure of the disk or of SQLite as LongshoreError UNAVAILABLE, with SQLite's code as the provider's. */
export function unavailable(thrown: unknown): LongshoreError {
  if (thrown instanceof LongshoreError) return thrown;
  const reason =
    thrown instanceof Error && "errstr" in thrown && typeof thrown.errstr === "string" ? thrown.errstr : "unknown";
  return new LongshoreError("UNAVAILABLE", `the table cannot be used: ${reason}`, {
    cause: thrown,
    providerCode: sqliteCode(thrown),
  });
}

/** Makes the file if it is missing and takes every right from group and others; SQLite gives its WAL the same mode. */
export function ownFile(file: string): void {
  if (file === ":memory:") return;
  try {
    if (!existsSync(file)) closeSync(openSync(file, "a", 0o600));
    const { mode } = statSync(file);
    if ((mode & 0o077) !== 0) chmodSync(file, mode & 0o700);
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : null;
    throw new LongshoreError("UNAVAILABLE", `the table's file cannot be opened: ${code ?? "unknown"}`, {
      cause: thrown,
      providerCode: code,
    });
  }
}

/** One connection with its prepared statements. */
export interface Connection {
  /** The statement for this SQL text, prepared once. */
  prepare(sql: string): StatementSync;
  exec(sql: string): void;
  inTransaction(): boolean;
  close(): void;
}

/**
 * Opens a database for one writer: WAL, every commit synced. The caller applies the schema.
 * @throws LongshoreError UNAVAILABLE when the file cannot be opened, written, or is no database.
 */
export function connect(file: string): Connection {
  ownFile(file);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: false });
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
      PRAGMA cache_size = -${CACHE_KIB}; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};`);
  } catch (thrown) {
    database?.close();
    throw unavailable(thrown);
  }
  const db = database;
  const statements = new Map<string, StatementSync>();
  return {
    prepare(sql) {
      let statement = statements.get(sql);
      if (statement === undefined) {
        statement = db.prepare(sql);
        statements.set(sql, statement);
      }
      return statement;
    },
    exec: (sql) => db.exec(sql),
    inTransaction: () => db.isTransaction,
    close() {
      statements.clear();
      db.close();
    },
  };
}
