import type { JobId } from "./ids.ts";

const MAX_DNS_LABEL = 63;

/**
 * The deterministic name of an attempt's resource: `longshore-<last 10 of the id>-<slug>-a<attempt>`, lower case, a
 * DNS label of at most 63 characters. The first ten characters of a ULID are its time and would collide.
 */
export function externalName(jobId: JobId, jobName: string, attempt: number): string {
  const prefix = `longshore-${jobId.slice(-10).toLowerCase()}-`;
  const suffix = `-a${attempt}`;
  const room = MAX_DNS_LABEL - prefix.length - suffix.length;
  const slug = jobName.slice(0, room).replace(/-+$/, "");
  return `${prefix}${slug}${suffix}`;
}

/** The labels that every resource of an attempt carries. */
export const LABELS = {
  home: "longshore.home",
  job: "longshore.job",
  attempt: "longshore.attempt",
  cleanup: "longshore.cleanup",
} as const;

/** The name of an execution: `<jobId>-<attempt>-<generation>`; Step Functions keeps a closed name for 90 days. */
export function executionName(jobId: JobId, attempt: number, generation: number): string {
  return `${jobId}-${attempt}-${generation}`;
}

/**
 * The context under which the values to mask of a job's attempts are sealed. Another than the spec's, which is the job's
 * id: whoever may read a log may be let at these values and not at the spec.
 */
export function masksContext(jobId: string): string {
  return `${jobId}#masks`;
}
