import type { JobError } from "./errors.ts";
import type { JobSpec } from "./spec/schema.ts";

export type RetryPolicy = JobSpec["retry"];

/**
 * Seconds to wait after `attempt` (from 1) has failed: `delaySeconds` × `backoff`^(attempt − 1), at most
 * `maxDelaySeconds`, of which a random half is taken off so that jobs that failed together do not come back together.
 * `random01` is from [0, 1); the result is between half of the delay and the whole of it.
 */
export function retryDelaySeconds(
  policy: Pick<RetryPolicy, "delaySeconds" | "backoff" | "maxDelaySeconds">,
  attempt: number,
  random01: number,
): number {
  // 0 × Infinity is not a number: without a delay there is nothing that could grow.
  if (policy.delaySeconds === 0) return 0;
  const grown = policy.delaySeconds * policy.backoff ** (attempt - 1);
  return Math.min(grown, policy.maxDelaySeconds) * (0.5 + random01 / 2);
}

/** Whether a job gets another attempt: there is one left, and the spec retries this category. */
export function mayRetry(
  policy: Pick<RetryPolicy, "maxAttempts" | "on">,
  error: Pick<JobError, "category">,
  attempt: number,
): boolean {
  return attempt < policy.maxAttempts && policy.on.includes(error.category);
}
