/** The shapes of the public contract, as a reader of it writes them down: nothing is taken from the product's sources. */
export interface JobError {
  category: string;
  message: string;
  retryable: boolean;
  providerCode: string | null;
  exitCode: number | null;
}

export interface Attempt {
  attempt: number;
  runtime: string;
  startedAt: string | null;
  finishedAt: string | null;
  exitCode: number | null;
  error: JobError | null;
}

export interface Job {
  jobId: string;
  name: string;
  status: string;
  phase: string | null;
  waitReason: { code: string; message: string; since: string } | null;
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
  spec: Spec;
  specHash: string;
  cost: { amountUsd: number | null; basis: string } | null;
  attempts: Attempt[];
  artifacts: unknown[];
  cancelRequestedAt: string | null;
  lastHeartbeatAt: string | null;
  version: number;
}

/** A job spec as a submitter writes it; hostile ones are written as raw text. */
export type Spec = Record<string, unknown>;

export interface JobEvent {
  jobId: string;
  seq: number;
  type: string;
  at: string;
  attempt: number;
  status: string;
  phase: string | null;
  data: Record<string, unknown>;
}

export interface LogLine {
  seq: number;
  time: string;
  stream: string;
  text: string;
  attempt: number;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  instance: string;
  violations?: { path: string; code: string; message: string }[];
}

export const SUMMARY_KEYS = [
  "jobId",
  "name",
  "status",
  "phase",
  "waitReason",
  "attempt",
  "maxAttempts",
  "runtime",
  "image",
  "externalRef",
  "externalName",
  "createdAt",
  "startedAt",
  "finishedAt",
  "durationMs",
  "exitCode",
  "error",
  "labels",
  "lane",
  "priority",
  "submittedBy",
  "retryOf",
  "specHash",
  "cost",
  "cancelRequestedAt",
  "lastHeartbeatAt",
  "version",
].sort();
export const JOB_KEYS = [...SUMMARY_KEYS, "spec", "attempts", "artifacts"].sort();
export const EVENT_KEYS = ["jobId", "seq", "type", "at", "attempt", "status", "phase", "data"].sort();
export const LINE_KEYS = ["seq", "time", "stream", "text", "attempt"].sort();
export const ATTEMPT_KEYS = ["attempt", "runtime", "startedAt", "finishedAt", "exitCode", "error"].sort();
export const ERROR_KEYS = ["category", "message", "retryable", "providerCode", "exitCode"].sort();

/** UTC, RFC 3339, milliseconds. */
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
export const JOB_ID = /^job_[0-9A-HJKMNP-TV-Z]{26}$/;
export const TERMINAL = ["SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"];
