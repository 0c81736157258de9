import { ulid } from "ulid";

/** A job's id: `job_` and a ULID (26 characters of Crockford base32, upper case). */
export type JobId = string & { readonly __brand: "JobId" };

const JOB_ID = /^job_[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Mints a job id whose first ten ULID characters are `nowMs` (milliseconds since the epoch). */
export function mintJobId(nowMs: number): JobId {
  return `job_${ulid(nowMs)}` as JobId;
}

/** Mints an id for a home: `home_` and a ULID; it labels every resource that the home creates. */
export function mintHomeId(nowMs: number): string {
  return `home_${ulid(nowMs)}`;
}

/** Tells whether a text is a well-formed job id. */
export function isJobId(text: string): text is JobId {
  return JOB_ID.test(text);
}
