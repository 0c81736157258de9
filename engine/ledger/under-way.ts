import type { AttemptRecord, JobRecord, Life } from "./records.ts";

// An attempt's item is written with its token and with its verdict. What comes in between (its start, its end, a stop) goes
// with the job's own item, which every commit writes anyway: an item less in each of them.

const NEWS = ["externalRef", "startedAt", "deadlineAt", "stop", "exit"] as const;

/** A job's current attempt as it is, from its item and the job. */
export function currentAttempt(job: JobRecord, stored: AttemptRecord | null): AttemptRecord | null {
  const { underWay } = job;
  if (stored === null || underWay === undefined || underWay.attempt !== stored.attempt) return stored;
  // Read a moment later than the job, with its verdict: nothing is missing there.
  if (stored.finishedAt !== null) return stored;
  return { ...stored, ...impliedBy(job), ...underWay };
}

/**
 * How a job and its attempt are stored after a commit.
 * @param before the attempt as it was, null for none.
 * @returns the job with what goes with it, and whether the attempt's own item must be written.
 */
export function storedLife(
  { job, attempt }: Life,
  before: AttemptRecord | null,
): { job: JobRecord; isWritten: boolean } {
  const { underWay, ...rest } = job;
  if (attempt === null || (attempt === before && underWay === undefined)) return { job, isWritten: false };
  if (before === null || before.attempt !== attempt.attempt || !differOnlyInNews(before, attempt)) {
    return { job: rest, isWritten: true };
  }
  const implied: Partial<AttemptRecord> = impliedBy(job);
  const own = NEWS.filter((name) => !same(attempt[name], implied[name])).map((name) => [name, attempt[name]]);
  return { job: { ...rest, underWay: { attempt: attempt.attempt, ...Object.fromEntries(own) } }, isWritten: false };
}

/** What a job's record says of its attempt, once something is under way. */
function impliedBy({ externalRef, startedAt, timeoutSeconds }: JobRecord) {
  const deadlineMs = Date.parse(startedAt ?? "") + timeoutSeconds * 1000;
  const deadlineAt = Number.isNaN(deadlineMs) ? null : new Date(deadlineMs).toISOString();
  return { externalRef, startedAt, deadlineAt, stop: null, exit: null };
}

function differOnlyInNews(before: AttemptRecord, after: AttemptRecord): boolean {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof AttemptRecord>;
  const others = [...names].filter((name) => !NEWS.some((news) => news === name));
  return others.every((name) => same(before[name], after[name]));
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
