import type * as z from "zod";
import { ERRORS, type ErrorCode } from "../../engine/errors.ts";
import type { JobSpecInput } from "../../engine/spec/schema.ts";
import type * as shapes from "./shapes.ts";

// One story, told by every example: a nightly job that ran once, and one that failed.

const JOB_ID = "job_01J8ZQ4D3N5V7X9YB2C4E6G8HK";
export const FAILED_JOB_ID = "job_01J8ZQ4D3N5V7X9YB2C4E6G8HM";
const NEW_JOB_ID = "job_01J8ZR7T5W9A1C3E5G7J9M1P3R";

export const SPEC: JobSpecInput = {
  name: "nightly",
  image: "alpine:3.20",
  command: ["sh", "-c"],
  args: ["echo hi"],
  env: { LOG_LEVEL: "debug", DB_PASSWORD: "hunter2" },
  resources: { cpu: 0.5, memoryMiB: 256 },
  timeoutSeconds: 600,
  labels: { team: "data" },
};
export const SMALLEST_SPEC: JobSpecInput = { image: "alpine:3.20", args: ["true"] };

const ACCEPTED_SPEC: z.output<typeof shapes.dryRun>["spec"] = {
  name: "nightly",
  image: "alpine:3.20",
  command: ["sh", "-c"],
  args: ["echo hi"],
  env: { LOG_LEVEL: "debug", DB_PASSWORD: "***REDACTED***" },
  secrets: {},
  sensitive: [],
  resources: { cpu: 0.5, memoryMiB: 256 },
  timeoutSeconds: 600,
  retry: {
    maxAttempts: 1,
    delaySeconds: 5,
    backoff: 2,
    maxDelaySeconds: 300,
    on: ["AUTH", "IMAGE_PULL", "RUNTIME_UNAVAILABLE", "UNKNOWN"],
  },
  logs: { maxBytes: 10_485_760 },
  volumes: [],
  network: { mode: "isolated" },
  security: { readOnlyRoot: false, addCapabilities: [] },
  labels: { team: "data" },
  lane: "default",
  priority: 0,
  stopGraceSeconds: 10,
  cleanup: "always",
  sidecars: [],
  initContainers: [],
};

export const SUMMARY: z.output<typeof shapes.jobSummary> = {
  jobId: JOB_ID,
  name: "nightly",
  status: "SUCCEEDED",
  phase: null,
  waitReason: null,
  attempt: 1,
  maxAttempts: 1,
  runtime: "docker",
  image: "alpine:3.20",
  externalRef: "3f4e8c1d2b7a",
  externalName: "longshore-2c4e6g8hk-nightly-a1",
  createdAt: "2026-03-01T02:00:00.000Z",
  startedAt: "2026-03-01T02:00:01.250Z",
  finishedAt: "2026-03-01T02:00:03.500Z",
  durationMs: 2250,
  exitCode: 0,
  error: null,
  labels: { team: "data" },
  lane: "default",
  priority: 0,
  submittedBy: "local",
  retryOf: null,
  specHash: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  cost: { amountUsd: 0, basis: "local" },
  cancelRequestedAt: null,
  lastHeartbeatAt: "2026-03-01T02:00:03.500Z",
  version: 12,
};

export const JOB: z.output<typeof shapes.job> = {
  ...SUMMARY,
  spec: ACCEPTED_SPEC,
  attempts: [
    {
      attempt: 1,
      runtime: "docker",
      startedAt: "2026-03-01T02:00:01.250Z",
      finishedAt: "2026-03-01T02:00:03.500Z",
      exitCode: 0,
      error: null,
    },
  ],
  artifacts: [],
};

export const ACCEPTED_JOB: z.output<typeof shapes.job> = {
  ...JOB,
  status: "PENDING",
  phase: "queued",
  waitReason: { code: "QUEUE", message: "the job is about to be admitted", since: "2026-03-01T02:00:00.000Z" },
  externalRef: null,
  externalName: null,
  startedAt: null,
  finishedAt: null,
  durationMs: null,
  exitCode: null,
  cost: null,
  attempts: [],
  lastHeartbeatAt: null,
  version: 1,
};

export const RETRIED_JOB: z.output<typeof shapes.job> = {
  ...ACCEPTED_JOB,
  jobId: NEW_JOB_ID,
  retryOf: FAILED_JOB_ID,
};

export const CANCELLED_JOB: z.output<typeof shapes.job> = {
  ...ACCEPTED_JOB,
  status: "CANCELLED",
  phase: null,
  waitReason: null,
  finishedAt: "2026-03-01T02:00:00.400Z",
  cancelRequestedAt: "2026-03-01T02:00:00.400Z",
  version: 2,
};

export const EVENT: z.output<typeof shapes.event> = {
  jobId: JOB_ID,
  seq: 1,
  type: "SUBMITTED",
  at: "2026-03-01T02:00:00.000Z",
  attempt: 1,
  status: "PENDING",
  phase: "queued",
  data: { submittedBy: "local" },
};

export const LINE: z.output<typeof shapes.logLine> = {
  seq: 1,
  time: "2026-03-01T02:00:01.300Z",
  stream: "stdout",
  text: "hi",
  attempt: 1,
};

export const DRY_RUN: z.output<typeof shapes.dryRun> = {
  spec: ACCEPTED_SPEC,
  runtime: "docker",
  verdicts: [
    { runtime: "docker", fits: true, reasons: [] },
    {
      runtime: "process",
      fits: false,
      reasons: [{ code: "explicit_only", message: "process: runs a job only when its spec names it", path: "runtime" }],
    },
  ],
  cost: { amountUsd: 0, basis: "local" },
};

export const DEAD_LETTER: z.output<typeof shapes.deadLetter> = {
  id: FAILED_JOB_ID.replace("job_", "dl_"),
  jobId: FAILED_JOB_ID,
  name: "nightly",
  error: {
    category: "USER_CODE",
    message: "the command exited with 3",
    retryable: false,
    providerCode: null,
    exitCode: 3,
  },
  attempts: 1,
  createdAt: "2026-03-01T02:10:00.000Z",
  replayedAs: null,
};

export const RUNTIME: z.output<typeof shapes.runtime> = {
  name: "docker",
  kind: "docker",
  capabilities: {
    image: true,
    gpu: false,
    volumes: true,
    sidecars: false,
    initContainers: false,
    healthCheck: false,
    streamingLogs: true,
    artifacts: true,
    spot: false,
    placement: false,
    exec: false,
    cpuLimit: true,
    memoryLimit: true,
    diskLimit: false,
    user: true,
    workdir: true,
    readOnlyRoot: true,
    networkModes: ["none", "isolated"],
    addCapabilities: true,
    registryAuth: true,
  },
  constraints: {
    maxTimeoutSeconds: null,
    maxMemoryMiB: 24_576,
    maxCpu: 8,
    maxEnvBytes: null,
    maxArtifactBytes: null,
    maxConcurrent: 64,
  },
  health: { ok: true, message: "Docker answers", checkedAt: "2026-03-01T02:00:00.000Z" },
  circuit: "closed",
  running: 3,
  maxConcurrent: 64,
};

export const HEALTH: z.output<typeof shapes.health> = {
  ok: true,
  version: "0.1.0",
  checks: [
    { name: "table", ok: true, message: "the table takes commits" },
    { name: "docker", ok: true, message: "Docker answers" },
  ],
};

/** A file that holds `hi` and a newline. */
export const ARTIFACT: z.output<typeof shapes.artifact> = {
  name: "out/report.csv",
  path: "/out/report.csv",
  sizeBytes: 3,
  sha256: "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4",
  contentType: "text/csv",
  encoding: null,
  storedAt: "2026-03-01T02:00:03.400Z",
};
export const ARTIFACTS: z.output<typeof shapes.artifacts> = {
  items: [ARTIFACT],
  refused: [{ path: "/out/latest.csv", code: "symlink", message: "it is a symbolic link" }],
  refusedCount: 1,
};

export const RUN: z.output<typeof shapes.run> = {
  jobId: JOB_ID,
  name: "nightly",
  status: "SUCCEEDED",
  runtime: "docker",
  startedAt: "2026-03-01T02:00:01.250Z",
  finishedAt: "2026-03-01T02:00:03.500Z",
  durationMs: 2250,
  exitCode: 0,
  receiptUrl: `/api/v1/runs/${JOB_ID}/receipt`,
  summaryUrl: `/api/v1/runs/${JOB_ID}/summary`,
  eventsUrl: `/api/v1/runs/${JOB_ID}/events`,
};

export const RECEIPT: z.output<typeof shapes.receipt> = {
  schema: "longshore.run-receipt.v1",
  longshoreVersion: "0.1.0",
  jobId: JOB_ID,
  name: "nightly",
  status: "SUCCEEDED",
  exitCode: 0,
  error: null,
  runtime: "docker",
  image: "alpine:3.20",
  labels: { team: "data" },
  lane: "default",
  priority: 0,
  submittedBy: "local",
  retryOf: null,
  createdAt: SUMMARY.createdAt,
  startedAt: "2026-03-01T02:00:01.250Z",
  finishedAt: "2026-03-01T02:00:03.500Z",
  durationMs: 2250,
  cancelRequestedAt: null,
  spec: { ...ACCEPTED_SPEC },
  specHash: SUMMARY.specHash,
  maxAttempts: 1,
  attempts: JOB.attempts,
  artifacts: [ARTIFACT],
  logs: { lines: 1, bytes: 3, truncated: false, path: `/api/v1/jobs/${JOB_ID}/logs`, tail: [] },
  cost: { amountUsd: 0, basis: "local" },
  deadLetterId: null,
  events: [EVENT],
};

export const USAGE: z.output<typeof shapes.usage> = {
  at: "2026-03-01T02:00:02.000Z",
  items: [
    {
      jobId: JOB_ID,
      name: "nightly",
      status: "RUNNING",
      phase: "running",
      runtime: "docker",
      attempt: 1,
      lane: "default",
      startedAt: "2026-03-01T02:00:01.250Z",
      usage: {
        cpuSeconds: 0.42,
        memoryBytes: 8_388_608,
        memoryPeakBytes: 9_437_184,
        networkReceivedBytes: 1024,
        networkSentBytes: 512,
        diskReadBytes: 0,
        diskWrittenBytes: 4096,
      },
    },
  ],
  leftOut: 0,
  failures: [],
};

const DETAILS: Partial<Record<ErrorCode, string>> = {
  NOT_FOUND: "there is no job with this id",
  CONFLICT: "a job that is SUCCEEDED cannot take a cancel",
  VALIDATION: "the job spec is invalid: timeoutSeconds: must be at least 1",
  MALFORMED: "the body is not valid JSON (at position 12)",
  UNSUPPORTED_MEDIA_TYPE: "the body must be application/json",
  PAYLOAD_TOO_LARGE: "the body is larger than 262144 bytes",
  QUEUE_FULL: "10000 jobs are waiting: try again later",
  FORBIDDEN: "the Host header does not name this machine",
  UNAUTHENTICATED: "the request is not signed",
};

/** A problem document as an example. */
export function problemExample(code: ErrorCode): z.output<typeof shapes.problem> {
  const { http, title } = ERRORS[code];
  const violations = [{ path: "timeoutSeconds", code: "too_small", message: "must be at least 1" }];
  return {
    type: "about:blank",
    title,
    status: http,
    detail: DETAILS[code] ?? title,
    code,
    instance: "/api/v1/jobs",
    ...(http === 422 ? { violations } : {}),
  };
}
