import { decodeTime, monotonicFactory, ulid } from "ulid";

/** A job's id: `job_` and a ULID (26 characters of Crockford base32, upper case). */
export type JobId = string & { readonly __brand: "JobId" };

/** What a job's id looks like. */
export const JOB_ID = /^job_[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** The random part of a ULID has so many characters. */
const RANDOM_CHARACTERS = 16;

/** Numbers from 0 to below 1 in steps of 1/256, from the system's own randomness, which is asked once for a whole ULID. */
function randomForUlids(): () => number {
  const pool = new Uint8Array(RANDOM_CHARACTERS);
  let next = pool.length;
  return () => {
    if (next === pool.length) {
      crypto.getRandomValues(pool);
      next = 0;
    }
    return (pool[next++] ?? 0) / 256;
  };
}

// Ids of one process never go back, so that jobs submitted in one millisecond are listed in the order they came in.
// A ULID takes 5 bits a character, which 1/256 holds exactly.
const monotonicUlid = monotonicFactory(randomForUlids());

/** Mints a job id from the time (milliseconds since the epoch). */
export function mintJobId(nowMs: number): JobId {
  return `job_${monotonicUlid(nowMs)}` as JobId;
}

/** When a job id was minted, RFC 3339: the job's `createdAt`, so that both always fall into the same month. */
export function mintedAt(jobId: JobId): string {
  return new Date(decodeTime(jobId.slice("job_".length))).toISOString();
}

/** Mints an id for a home: `home_` and a ULID; it labels every resource that the home creates. */
export function mintHomeId(nowMs: number): string {
  return `home_${ulid(nowMs)}`;
}

/** Mints a name for whoever takes a lease: nobody else ever has the same. */
export function mintLeaseOwner(nowMs: number): string {
  return `lease_${ulid(nowMs)}`;
}

/** The id of a job's dead letter: `dl_` and the job's own ULID, so that a job can only ever have one. */
export type DeadLetterId = string & { readonly __brand: "DeadLetterId" };

export function deadLetterIdOf(jobId: JobId): DeadLetterId {
  return `dl_${jobId.slice("job_".length)}` as DeadLetterId;
}

/** The job that a dead letter's id speaks of; undefined for a text that is no such id. */
export function jobOfDeadLetter(text: string): JobId | undefined {
  const jobId = text.replace(/^dl_/, "job_");
  return text.startsWith("dl_") && isJobId(jobId) ? jobId : undefined;
}

/** Tells whether a text is a well-formed job id. */
export function isJobId(text: string): text is JobId {
  return JOB_ID.test(text);
}
