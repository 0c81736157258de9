import type { Job } from "../sdk/types.ts";

/** What `longshore` exits with, beside the exit codes of containers. */
export const EXIT = {
  ok: 0,
  usage: 2,
  timedOut: 124,
  /** Longshore's own failure, or a job that never started. */
  failed: 125,
  cancelled: 130,
  /** 128 + SIGPIPE: what a Unix tool ends with when nobody reads its output. */
  brokenPipe: 141,
} as const;

/** The exit code that tells how a job ended. */
export function exitCodeOf(job: Pick<Job, "status" | "exitCode">): number {
  if (job.status === "TIMED_OUT") return EXIT.timedOut;
  if (job.status === "CANCELLED") return EXIT.cancelled;
  if (job.status === "SUCCEEDED") return job.exitCode ?? EXIT.ok;
  // A command that ended well in a job that failed was failed by Longshore: its 0 would tell a lie.
  return job.exitCode || EXIT.failed;
}
