import { LongshoreError } from "../errors.ts";
import { deadLetterIdOf, type JobId, jobOfDeadLetter } from "../ids.ts";
import { type Change, ConflictError } from "../ports/table.ts";
import { isExpired, unexpired } from "./expiry.ts";
import { recordOf } from "./items.ts";
import { deadLetterKey, deadLetterPartition } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { listNewest } from "./newest.ts";
import type { DeadLetterRecord, EventRecord, JobRecord } from "./records.ts";

/** The dead letter of a job, from its record and the DEAD_LETTERED event. */
export function deadLetterOf({ jobId, name, error, attempt }: JobRecord, { at }: EventRecord): DeadLetterRecord {
  const id = deadLetterIdOf(jobId);
  return { id, jobId, name, error, attempts: attempt, createdAt: at, replayedAs: null, replayed: false };
}

/** The dead letter, or undefined when there is none (any more). */
export async function readDeadLetter(ledger: Ledger, jobId: JobId): Promise<DeadLetterRecord | undefined> {
  const item = unexpired(ledger, await ledger.table.get(deadLetterKey(jobId)));
  return item === undefined ? undefined : recordOf<DeadLetterRecord>(item);
}

export interface DeadLetterPage {
  letters: DeadLetterRecord[];
  nextCursor: string | null;
}

/** When the dead letter that a cursor points at was made, ms since the epoch; undefined for what is no cursor of the list. */
export function deadLetterCursorMs(cursor: string): number | undefined {
  const at = cursor.slice(0, cursor.indexOf("_"));
  const ms = Date.parse(at);
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== at) return undefined;
  return jobOfDeadLetter(cursor.slice(at.length + 1)) === undefined ? undefined : ms;
}

/**
 * Dead letters, those of the latest failures first.
 * @param page.since when the home was made (RFC 3339): nothing is older.
 */
export async function listDeadLetters(
  ledger: Ledger,
  { limit, cursor, since }: { limit: number; cursor?: string; since: string },
): Promise<DeadLetterPage> {
  const startMs = cursor === undefined ? undefined : deadLetterCursorMs(cursor);
  const { items, nextCursor } = await listNewest(ledger, {
    partition: deadLetterPartition,
    limit,
    cursor,
    startMs: startMs ?? Infinity,
    oldestMs: Date.parse(since),
    matches: (item) => !isExpired(ledger, item),
  });
  return { letters: items.map((item) => recordOf<DeadLetterRecord>(item)), nextCursor };
}

/**
 * Marks a dead letter as replayed by a new job, in the commit that accepts that job. The race that it wins: of several
 * replays at once one is let through, and none of a dead letter that is removed meanwhile.
 */
export function replayMark(jobId: JobId, replayedAs: JobId): Change {
  return {
    kind: "patch",
    key: deadLetterKey(jobId),
    set: { replayedAs, replayed: true },
    guard: { exists: true, equals: { replayed: false } },
  };
}

/**
 * Removes a dead letter; its job stays. The race that it wins: of two removals one is told that there was none.
 * @throws LongshoreError NOT_FOUND.
 */
export async function removeDeadLetter(ledger: Ledger, jobId: JobId): Promise<void> {
  const gone = new LongshoreError("NOT_FOUND", `there is no dead letter ${deadLetterIdOf(jobId)}`);
  if ((await readDeadLetter(ledger, jobId)) === undefined) throw gone;
  try {
    await ledger.table.commit([{ kind: "delete", key: deadLetterKey(jobId), guard: { exists: true } }]);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    throw gone;
  }
}
