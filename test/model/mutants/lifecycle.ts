import type { Mutant } from "./mutant.ts";

/** Broken decisions. */
export const LIFECYCLE_MUTANTS: readonly Mutant[] = [
  {
    name: "late-news-applied",
    breaks: "news of an older attempt are taken for news of the current one",
    search: "  return occurrence.attempt !== job.attempt;",
    replace: "  return occurrence.attempt > job.attempt;",
  },
  {
    name: "requeued-before-clean",
    breaks: "the next attempt does not wait until the last resource is gone",
    search: "if (draft.job.cleanupPending) {\n    throw",
    replace: "if (draft.job.cleanupPending && draft.job.attempt > 99) {\n    throw",
  },
  {
    name: "cancelled-before-stopped",
    breaks: "a cancel ends the record of a running job at once",
    search: 'if (stage !== "queued" && stage !== "retrying") return draft.effect("stop-resource");',
    replace:
      'draft.setJob({ slotShard: null, cleanupPending: true });\n  draft.effect("stop-resource");\n  if (stage === "collecting") return;',
  },
  {
    name: "cancelled-keeps-queue-place",
    breaks: "a job that is cancelled in the queue keeps its place there",
    search: "finishedAt: draft.at,\n    queueShard: null,",
    replace: "finishedAt: draft.at,",
  },
  {
    name: "event-number-reused",
    breaks: "the second event of a decision gets the number of the first",
    search: "this.job = { ...this.job, seq: seq + 1 };",
    replace: "this.job = { ...this.job, seq: Math.max(seq, this.#events.length > 2 ? 0 : seq + 1) };",
  },
  {
    name: "dead-letter-forgotten-on-timeout",
    breaks: "a job that ran out of time leaves no dead letter",
    search: 'return status === "FAILED" || status === "TIMED_OUT";\n}\n\n/** Where',
    replace: 'return status === "FAILED";\n}\n\n/** Where',
  },
  {
    name: "one-attempt-too-many",
    breaks: "a retry is allowed beyond maxAttempts",
    search: "attempt < policy.maxAttempts",
    replace: "attempt <= policy.maxAttempts",
  },
  {
    name: "timeout-forgotten",
    breaks: "an attempt that was stopped by its deadline counts as failed by itself",
    search: "if (isTimeout(attempt, exit)) {",
    replace: "if (isTimeout(attempt, exit) && exit.failure !== null) {",
  },
  {
    name: "cancel-overruled",
    breaks: "a job whose cancel was accepted ends by its exit code",
    search: "if (job.cancelRequestedAt !== null) return",
    replace: "if (job.cancelRequestedAt !== null && exit.exitCode !== 0) return",
  },
  {
    name: "exit-counted-twice",
    breaks: "an end that is told twice is recorded twice",
    search: 'EXIT: "ignore",\n    KEEP',
    replace: 'EXIT: "apply",\n    KEEP',
  },
  {
    name: "cleanup-forgotten-on-failure",
    breaks: "what a failed job leaves stays on the runtime",
    search: "const cleanupPending = retry !== null || !kept;",
    replace: 'const cleanupPending = retry !== null || (!kept && outcome.status !== "FAILED");',
  },
  {
    name: "relaunch-without-generation",
    breaks: "a lost execution is started again under its old name",
    search: "draft.setJob({ generation: draft.job.generation + 1 });",
    replace: "draft.setJob({ generation: draft.job.generation });",
  },
  {
    name: "deferred-and-kept-its-token",
    breaks: "a deferred attempt counts as one that was handed to the runtime",
    search: 'draft.setAttempt({ token: null });\n  draft.setJob({\n    status: "PENDING"',
    replace: 'draft.setJob({\n    status: "PENDING"',
  },
];
