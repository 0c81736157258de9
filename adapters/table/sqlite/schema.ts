import { LongshoreError } from "../../../engine/errors.ts";
import { type Connection, unavailable } from "./database.ts";

/** Grows with every change of the tables below; a migration for each step goes into `migrate`. */
const SCHEMA_VERSION = 1;

// Items are ordinary rowid tables: SQLite advises against WITHOUT ROWID for rows of more than a few hundred bytes.
// The outbox's positions are AUTOINCREMENT so that a trimmed position is never given again.
const CREATE = `
CREATE TABLE items (
  pk TEXT NOT NULL, sk TEXT NOT NULL,
  i1pk TEXT, i1sk TEXT, i2pk TEXT, i2sk TEXT,
  ttl INTEGER,
  body TEXT NOT NULL,
  PRIMARY KEY (pk, sk)
) STRICT;
CREATE INDEX items_index1 ON items (i1pk, i1sk, pk, sk) WHERE i1pk IS NOT NULL;
CREATE INDEX items_index2 ON items (i2pk, i2sk, pk, sk) WHERE i2pk IS NOT NULL;
CREATE INDEX items_ttl ON items (ttl) WHERE ttl IS NOT NULL;
CREATE TABLE outbox (position INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT NOT NULL) STRICT;
CREATE TABLE cursors (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;
PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Brings the database to this program's schema.
 * @throws LongshoreError UNAVAILABLE when a newer program wrote it, or the disk fails.
 */
export function migrate(db: Connection): void {
  try {
    db.exec("BEGIN IMMEDIATE");
    const row = db.prepare("PRAGMA user_version").get();
    const version = Number(row?.user_version);
    if (version > SCHEMA_VERSION) {
      throw new LongshoreError(
        "UNAVAILABLE",
        `the table was written by a newer Longshore: its schema version is ${version}, this one knows ${SCHEMA_VERSION}`,
      );
    }
    if (version === 0) db.exec(CREATE);
    db.exec("COMMIT");
  } catch (thrown) {
    if (db.inTransaction()) db.exec("ROLLBACK");
    throw unavailable(thrown);
  }
}
