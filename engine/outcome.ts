import { type JobError, jobError } from "./errors.ts";
import type { AttemptExit, AttemptRecord, JobRecord } from "./ledger/records.ts";
import type { TerminalStatus } from "./states.ts";

export interface Outcome {
  status: TerminalStatus;
  error: JobError | null;
}

/**
 * How an ended attempt is judged. A requested cancel wins over everything, since whoever asked was told yes. A timeout
 * counts only when the command had not ended by itself before the deadline, both by the runtime's own clock.
 */
export function judge(job: JobRecord, attempt: AttemptRecord, exit: AttemptExit): Outcome {
  if (job.cancelRequestedAt !== null) return { status: "CANCELLED", error: null };
  if (isTimeout(attempt, exit)) {
    const message = `the job ran longer than its timeout of ${job.timeoutSeconds} s`;
    return { status: "TIMED_OUT", error: jobError("TIMEOUT", message, { exitCode: exit.exitCode }) };
  }
  if (attempt.startedAt === null && attempt.stop !== null && exit.failure === null) {
    return failed(jobError("RUNTIME_UNAVAILABLE", "the attempt was not started in the time that it had for that"));
  }
  if (attempt.stop === "lost" && exit.failure === null) {
    const message = "the attempt could not be followed to its end and was stopped";
    return failed(jobError("RUNTIME_UNAVAILABLE", message, { exitCode: exit.exitCode }));
  }
  if (exit.failure !== null) {
    const { category, message, providerCode } = exit.failure;
    return failed(jobError(category, message, { providerCode, exitCode: exit.exitCode }));
  }
  if (exit.oom) {
    return failed(
      jobError("OOM", "the job used more memory than its limit and was killed", { exitCode: exit.exitCode }),
    );
  }
  if (exit.exitCode === 0) return { status: "SUCCEEDED", error: null };
  if (exit.exitCode === null) return failed(jobError("UNKNOWN", "the runtime could not tell how the job ended"));
  return failed(jobError("USER_CODE", describeExit(exit.exitCode), { exitCode: exit.exitCode }));
}

function failed(error: JobError): Outcome {
  return { status: "FAILED", error };
}

function isTimeout(attempt: AttemptRecord, exit: AttemptExit): boolean {
  if (exit.failure?.category === "TIMEOUT") return true;
  if (attempt.stop !== "timeout" || attempt.deadlineAt === null) return false;
  return Date.parse(exit.finishedAt) >= Date.parse(attempt.deadlineAt);
}

const SIGNALS: Record<number, string> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  6: "SIGABRT",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  15: "SIGTERM",
};

function describeExit(exitCode: number): string {
  const signal = SIGNALS[exitCode - 128];
  return signal === undefined
    ? `the command exited with code ${exitCode}`
    : `the command ended by ${signal} (exit code ${exitCode})`;
}
