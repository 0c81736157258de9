import type { ErrorCode, JobError, Violation } from "../engine/errors.ts";
import type { ArtifactRefusal, RuntimeCapabilities, RuntimeConstraints } from "../engine/ports/runtime.ts";
import type { RunReceipt } from "../engine/runs/receipt.ts";
import type { JobSpec, JobSpecInput } from "../engine/spec/schema.ts";
import type { EventType, Phase, Status, TerminalStatus } from "../engine/states.ts";

export type {
  ErrorCode,
  EventType,
  JobError,
  JobSpec,
  JobSpecInput,
  Phase,
  RunReceipt,
  Status,
  TerminalStatus,
  Violation,
};

// Times are RFC 3339, UTC, with milliseconds.

/** An RFC 9457 problem document. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  code: ErrorCode;
  instance?: string;
  /** What is wrong with the request, field by field; with status 422. */
  violations?: Violation[];
}

/** Why a job waits, as computed when it was read. */
export interface WaitReason {
  code: "QUEUE" | "RUNTIME_CONCURRENCY" | "KEY_CONCURRENCY" | "RUNTIME_UNAVAILABLE" | "BACKOFF" | "DEPENDENCY";
  message: string;
  since: string;
}

export interface Cost {
  /** US dollars; null when nobody can tell. */
  amountUsd: number | null;
  basis: "local" | "estimate" | "billed" | "unknown";
}

export interface Attempt {
  attempt: number;
  runtime: string;
  startedAt: string | null;
  finishedAt: string | null;
  exitCode: number | null;
  error: JobError | null;
}

/** A file that a job left. */
export interface Artifact {
  name: string;
  /** As the job saw it: absolute in a container, relative to the working directory of a process. */
  path: string;
  /** Of the bytes as they are downloaded, like the hash. */
  sizeBytes: number;
  sha256: string;
  /** Of the file itself, whatever its encoding. */
  contentType: string;
  encoding: "gzip" | null;
  storedAt: string;
}

/** A file that the job's spec asks for and that is not kept; `path` is a glob where nothing was found. */
export type RefusedArtifact = ArtifactRefusal;

/** The files of a job's last attempt. Of `refusedCount` refusals the first ones are shown. */
export interface Artifacts {
  items: Artifact[];
  refused: RefusedArtifact[];
  refusedCount: number;
}

/** A job as lists show it. */
export interface JobSummary {
  jobId: string;
  name: string;
  status: Status;
  phase: Phase | null;
  waitReason: WaitReason | null;
  attempt: number;
  maxAttempts: number;
  runtime: string;
  image: string | null;
  externalRef: string | null;
  externalName: string | null;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  durationMs: number | null;
  exitCode: number | null;
  error: JobError | null;
  labels: Record<string, string>;
  lane: string;
  priority: number;
  submittedBy: string;
  retryOf: string | null;
  specHash: string;
  cost: Cost | null;
  cancelRequestedAt: string | null;
  lastHeartbeatAt: string | null;
  version: number;
}

/** A job with everything that is known of it. `spec` is the redacted one. */
export interface Job extends JobSummary {
  spec: JobSpec;
  attempts: Attempt[];
  artifacts: Artifact[];
}

/** One fact about a job; `seq` counts from 1 per job, without gaps. */
export interface Event {
  jobId: string;
  seq: number;
  type: EventType;
  at: string;
  attempt: number;
  status: Status;
  phase: Phase | null;
  data: Record<string, unknown>;
}

export interface LogLine {
  seq: number;
  time: string;
  stream: "stdout" | "stderr" | "system";
  text: string;
  attempt: number;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** A job that failed for good: kept until it can no longer be replayed. */
export interface DeadLetter {
  id: string;
  jobId: string;
  name: string;
  /** Why its last attempt failed. */
  error: JobError | null;
  /** How many attempts were made. */
  attempts: number;
  /** When the job was given up. */
  createdAt: string;
  /** The id of the job that was made of it. */
  replayedAs: string | null;
}

/** A finished job as lists show it. */
export interface Run {
  jobId: string;
  name: string;
  status: TerminalStatus;
  runtime: string;
  startedAt: string | null;
  finishedAt: string;
  durationMs: number | null;
  exitCode: number | null;
  /** Paths of the forms of its record: JSON, Markdown, one event a line. */
  receiptUrl: string;
  summaryUrl: string;
  eventsUrl: string;
}

/** A run with its record. */
export interface RunDetails extends Run {
  receipt: RunReceipt;
}

/** What an erasure of old runs did, or would do. */
export interface RunCleanup {
  removed: number;
  dryRun: boolean;
  /** The ids of these runs. */
  items: string[];
  /** Where the next call goes on; null when nothing is left to look at. */
  nextCursor: string | null;
}

/** What would become of a spec. `runtime` is null when none fits. */
export interface DryRun {
  spec: JobSpec;
  runtime: string | null;
  verdicts: { runtime: string; fits: boolean; reasons: { code: string; message: string; path?: string }[] }[];
  /** Null when no runtime fits. */
  cost: Cost | null;
}

export interface Runtime {
  name: string;
  kind: string;
  capabilities: RuntimeCapabilities;
  constraints: RuntimeConstraints;
  health: { ok: boolean; message: string; checkedAt: string | null };
  circuit: "closed" | "open" | "half-open";
  running: number;
  maxConcurrent: number;
}

/** What a running attempt has used since its start; null: its runtime cannot tell. */
export interface ResourceUsage {
  cpuSeconds: number;
  memoryBytes: number;
  memoryPeakBytes: number | null;
  networkReceivedBytes: number | null;
  networkSentBytes: number | null;
  diskReadBytes: number | null;
  diskWrittenBytes: number | null;
}

export interface JobUsage {
  jobId: string;
  name: string;
  status: Status;
  phase: Phase | null;
  runtime: string;
  attempt: number;
  lane: string;
  /** Of the attempt. */
  startedAt: string | null;
  usage: ResourceUsage | null;
}

/** What the running jobs use: the 200 that were submitted last. */
export interface Usage {
  /** When the runtimes were asked. */
  at: string;
  items: JobUsage[];
  /** How many more run. */
  leftOut: number;
  /** The runtimes that could not be asked. */
  failures: { runtime: string; message: string }[];
}

export interface Health {
  ok: boolean;
  version: string;
  checks: { name: string; ok: boolean; message: string }[];
}

/** Bytes of the image that are here, of how many. */
export interface PullProgress {
  currentBytes: number;
  totalBytes: number;
}

/** A sign of life on a stream that has nothing else to say. */
export interface Heartbeat {
  phase?: Phase;
  progress?: PullProgress;
}
