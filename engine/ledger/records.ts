import type { ArtifactSummary } from "../artifacts/record.ts";
import type { Cost } from "../cost.ts";
import type { JobError } from "../errors.ts";
import type { DeadLetterId, JobId } from "../ids.ts";
import type { EventType, Phase, Status } from "../states.ts";
import type { TraceContext } from "../trace.ts";

/** A job as the ledger keeps it: under 4 KiB, so no spec and no attempts' details. Times are RFC 3339, UTC. */
export interface JobRecord {
  jobId: JobId;
  name: string;
  status: Status;
  phase: Phase | null;
  attempt: number;
  maxAttempts: number;
  runtime: string;
  image: string | null;
  externalRef: string | null;
  externalName: string | null;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  exitCode: number | null;
  error: JobError | null;
  labels: Record<string, string>;
  lane: string;
  priority: number;
  submittedBy: string;
  retryOf: JobId | null;
  specHash: string;
  cost: Cost | null;
  cancelRequestedAt: string | null;
  lastHeartbeatAt: string | null;
  /** Grows with every commit that changes the job; every conditional write is fenced by it. */
  version: number;

  // What follows is Longshore's own and never leaves through the API.
  /** The number of the last event. */
  seq: number;
  /** Grows when the same attempt needs another execution: the last one was lost, or its runtime did not answer. */
  generation: number;
  /** How often in a row a runtime that answered others did not take this attempt; absent: never. */
  refusals?: number;
  /** Which shard of the queue's bound this job counts against while it waits; null once admitted. */
  queueShard: number | null;
  /** Which shard of the runtime's slots this job holds; null without a slot. */
  slotShard: number | null;
  concurrencyKey: string | null;
  /** It waits behind its concurrency key, where admission does not look, until the key has room. */
  parked: boolean;
  timeoutSeconds: number;
  stopGraceSeconds: number;
  cleanup: "always" | "onSuccess" | "never";
  /** The attempt's resource has yet to be removed. */
  cleanupPending: boolean;
  /** When the next attempt is due, while RETRYING. */
  retryAt: string | null;
  /** The trace that it was submitted in; absent: one that begins with it, see `traceOfJob`. */
  trace?: TraceContext;
  /** The batch that this job was staged for, until the batch is accepted and the job made visible. */
  stagedIn?: string;
  /** What the item of the current attempt does not say yet, see `under-way.ts`. */
  underWay?: UnderWay;
}

/** What becomes known of an attempt between its dispatch and its verdict; what the job itself says is left out. */
export interface UnderWay
  extends Partial<Pick<AttemptRecord, "externalRef" | "startedAt" | "deadlineAt" | "stop" | "exit">> {
  attempt: number;
}

/** Why Longshore itself stopped an attempt. */
export type StopReason = "timeout" | "cancel" | "lost";

/** How an attempt ended, as its runtime told. `failure` is set when it was not the command itself that decided. */
export interface AttemptExit {
  exitCode: number | null;
  oom: boolean;
  failure: { category: JobError["category"]; message: string; providerCode: string | null } | null;
  finishedAt: string;
}

/** One attempt, in an item of its own. */
export interface AttemptRecord {
  attempt: number;
  runtime: string;
  externalName: string;
  externalRef: string | null;
  /** The task token to complete when the attempt has ended; replaced when *Run* is tried again. */
  token: string | null;
  /** When the attempt was dispatched first, since it was last deferred: from then on its runtime may have been asked. */
  dispatchedAt?: string;
  /** What its runtime made for it last and ended before the command was started; absent while there is none. */
  unstarted?: string;
  startedAt: string | null;
  /** When the spec's timeout is over; null until the start. */
  deadlineAt: string | null;
  stop: StopReason | null;
  exit: AttemptExit | null;
  /** The verdict, once finalized. */
  error: JobError | null;
  finishedAt: string | null;
  /** The seq of the last log line of the attempts before this one. */
  logBase: number;
  /** Whether values to mask may be stored for it; absent: nobody knows. */
  masked?: boolean;
  /** How many lines the attempt wrote; null until they are collected. */
  logLines: number | null;
  /** The end of its log, masked; absent before it is collected, and for a log without a line. */
  logTail?: LogTail;
  /** What became of the files that the spec asks for; absent where it asks for none, and until they are collected. */
  artifacts?: ArtifactSummary;
}

/** The newest lines of a log, as few bytes as may be: they cost with every write of their item. */
export interface LogTail {
  /** The time of the first line. */
  from: string;
  /** Of each its number in the attempt, from 1, its time in ms from the first one's, its stream's letter, its text. */
  lines: [n: number, ms: number, stream: "o" | "e" | "s", text: string][];
  /** These are all there are: the log has no object. */
  whole: boolean;
}

/** One immutable fact about a job. */
export interface EventRecord {
  jobId: JobId;
  seq: number;
  type: EventType;
  at: string;
  attempt: number;
  status: Status;
  phase: Phase | null;
  /** The job's runtime: not part of the event itself, but whoever reads the change feed needs it. */
  runtime: string;
  /** The job's concurrency key, if it has one: for the change feed as well. */
  concurrencyKey?: string;
  data: Record<string, unknown>;
}

/** What is kept of a job that failed for good, until its full spec is erased: from then on it could not be replayed. */
export interface DeadLetterRecord {
  id: DeadLetterId;
  jobId: JobId;
  name: string;
  /** Why the last attempt failed. */
  error: JobError | null;
  /** How many attempts were made. */
  attempts: number;
  /** When the job was given up. */
  createdAt: string;
  /** The job that was made of it. */
  replayedAs: JobId | null;
  /** Whether there is such a job: what the replay's conditional write looks at. */
  replayed: boolean;
}

/** A job and its current attempt: what every decision is made from. */
export interface Life {
  job: JobRecord;
  attempt: AttemptRecord | null;
}
