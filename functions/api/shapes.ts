import * as z from "zod";
import { CATEGORIES, PROTOCOL_CODES } from "../../engine/errors.ts";
import { JOB_ID } from "../../engine/ids.ts";
import { ARTIFACT_REFUSALS } from "../../engine/ports/runtime.ts";
import { receiptSchema } from "../../engine/runs/receipt.ts";
import { dnsLabel } from "../../engine/spec/fields.ts";
import { jobSpecSchema } from "../../engine/spec/schema.ts";
import { EVENT_TYPES, PHASES, STATUSES, TERMINAL_STATUSES } from "../../engine/states.ts";
import { MAX_BATCH } from "../params.ts";
import { cleanupSchema } from "../run-params.ts";
import { createComponents } from "./json-schema.ts";

// Every shape that leaves through the API. They are exact: what is not named here does not leave.

/** The shapes that the description of the API names. */
export const COMPONENTS = createComponents();
const named = COMPONENTS.add;

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const time = z.string().regex(TIME).meta({ format: "date-time", description: "RFC 3339, UTC, milliseconds" });
const count = z.int().min(0);
export const jobId = z.string().regex(JOB_ID).describe("`job_` and a ULID");
export const deadLetterId = z
  .string()
  .regex(new RegExp(JOB_ID.source.replace("job_", "dl_")))
  .describe("`dl_` and the ULID of its job");

const violation = named(
  "Violation",
  z.strictObject({
    path: z.string().describe("the field, its parts joined by dots: `env.A`, `volumes.0.source`"),
    code: z.string(),
    message: z.string(),
  }),
);

/** An RFC 9457 problem document. */
export const problem = named(
  "Problem",
  z.strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string().describe("for people; programs decide by `code`"),
    code: z.enum([...CATEGORIES, ...PROTOCOL_CODES]),
    instance: z.string().describe("the path that was called"),
    violations: z
      .array(violation)
      .optional()
      .describe("what is wrong with the request, field by field; with status 422"),
  }),
);

const jobError = named(
  "JobError",
  z.strictObject({
    category: z.enum(CATEGORIES),
    message: z.string(),
    retryable: z.boolean().describe("whether another attempt may help, as a rule of the category"),
    providerCode: z.string().nullable(),
    exitCode: z.int().nullable(),
  }),
);

const waitReason = named(
  "WaitReason",
  z.strictObject({
    code: z.enum(["QUEUE", "RUNTIME_CONCURRENCY", "KEY_CONCURRENCY", "RUNTIME_UNAVAILABLE", "BACKOFF", "DEPENDENCY"]),
    message: z.string(),
    since: time,
  }),
);

export const cost = named(
  "Cost",
  z.strictObject({
    amountUsd: z.number().nullable().describe("US dollars; null when nobody can tell"),
    basis: z.enum(["local", "estimate", "billed", "unknown"]),
  }),
);

const attempt = named(
  "Attempt",
  z.strictObject({
    attempt: z.int().min(1),
    runtime: z.string(),
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    exitCode: z.int().nullable(),
    error: jobError.nullable(),
  }),
);

export const artifact = named(
  "Artifact",
  z.strictObject({
    name: z.string().describe("what it is downloaded by; may hold slashes"),
    path: z.string().describe("where it was in the container"),
    sizeBytes: count,
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    contentType: z.string(),
    encoding: z.enum(["gzip"]).nullable(),
    storedAt: time,
  }),
);

export const artifacts = named(
  "Artifacts",
  z.strictObject({
    items: z.array(artifact),
    refused: z
      .array(z.strictObject({ path: z.string(), code: z.enum(ARTIFACT_REFUSALS), message: z.string() }))
      .describe("what the spec asks for and is not kept: the first ones"),
    refusedCount: count,
  }),
);

/** What a submitter may write. */
export const jobSpecInput = named("JobSpec", jobSpecSchema, "input");
const acceptedSpec = named("AcceptedSpec", z.strictObject({ ...jobSpecSchema.shape, name: dnsLabel }));

const summaryShape = {
  jobId,
  name: z.string(),
  status: z.enum(STATUSES),
  phase: z.enum(PHASES).nullable().describe("where inside its status the job stands; null at rest"),
  waitReason: waitReason.nullable().describe("why the job waits, as computed when it was read"),
  attempt: z.int().min(1),
  maxAttempts: z.int().min(1),
  runtime: z.string(),
  image: z.string().nullable(),
  externalRef: z.string().nullable().describe("the runtime's own id for the attempt's container"),
  externalName: z.string().nullable().describe("the name that Longshore gave to it"),
  createdAt: time,
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  durationMs: count.nullable(),
  exitCode: z.int().nullable(),
  error: jobError.nullable(),
  labels: z.record(z.string(), z.string()),
  lane: z.string(),
  priority: z.int(),
  submittedBy: z.string(),
  retryOf: jobId.nullable().describe("the job that this one was submitted again from"),
  specHash: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .describe("of the redacted, normalised spec"),
  cost: cost.nullable(),
  cancelRequestedAt: time.nullable(),
  lastHeartbeatAt: time.nullable(),
  version: z.int().min(1).describe("grows with every change"),
};

/** A job as lists show it. */
export const jobSummary = named("JobSummary", z.strictObject(summaryShape));

export const job = named(
  "Job",
  z.strictObject({
    ...summaryShape,
    spec: acceptedSpec.describe("the redacted spec: secret values are `***REDACTED***`"),
    attempts: z.array(attempt),
    artifacts: z.array(artifact),
  }),
);

export const event = named(
  "Event",
  z.strictObject({
    jobId,
    seq: z.int().min(1).describe("counts from 1 for each job, without gaps"),
    type: z.enum(EVENT_TYPES),
    at: time,
    attempt: z.int().min(1),
    status: z.enum(STATUSES),
    phase: z.enum(PHASES).nullable(),
    data: z.record(z.string(), z.unknown()),
  }),
);

export const logLine = named(
  "LogLine",
  z.strictObject({
    seq: z.int().min(1),
    time,
    stream: z.enum(["stdout", "stderr", "system"]),
    text: z.string(),
    attempt: z.int().min(1),
  }),
);

export const heartbeat = named(
  "Heartbeat",
  z.strictObject({
    phase: z.enum(PHASES).optional(),
    progress: z.strictObject({ currentBytes: count, totalBytes: count }).optional().describe("of the image's pull"),
  }),
);

export const dryRun = named(
  "DryRun",
  z.strictObject({
    spec: acceptedSpec,
    runtime: z.string().nullable().describe("the one that would run it; null when none fits"),
    verdicts: z.array(
      z.strictObject({
        runtime: z.string(),
        fits: z.boolean(),
        reasons: z.array(
          z.strictObject({
            code: z.string(),
            message: z.string(),
            path: z.string().optional().describe("the spec's field, where there is one"),
          }),
        ),
      }),
    ),
    cost: cost.nullable(),
  }),
);

export const deadLetter = named(
  "DeadLetter",
  z.strictObject({
    id: deadLetterId,
    jobId,
    name: z.string(),
    error: jobError.nullable().describe("why its last attempt failed"),
    attempts: z.int().min(1),
    createdAt: time.describe("when the job was given up"),
    replayedAs: jobId.nullable().describe("the job that was made of it"),
  }),
);

const flag = z.boolean();
const limit = z.number().nullable();

export const runtime = named(
  "Runtime",
  z.strictObject({
    name: z.string(),
    kind: z.string(),
    capabilities: z.strictObject({
      image: flag,
      gpu: flag,
      volumes: flag,
      sidecars: flag,
      initContainers: flag,
      healthCheck: flag,
      streamingLogs: flag,
      artifacts: flag,
      spot: flag,
      placement: flag,
      exec: flag,
      cpuLimit: flag,
      memoryLimit: flag,
      diskLimit: flag,
      user: flag,
      workdir: flag,
      readOnlyRoot: flag,
      networkModes: z.array(z.enum(["none", "isolated", "workflow"])).readonly(),
      addCapabilities: flag,
      registryAuth: flag,
    }),
    constraints: z
      .strictObject({
        maxTimeoutSeconds: limit,
        maxMemoryMiB: limit,
        maxCpu: limit,
        maxEnvBytes: limit,
        maxArtifactBytes: limit,
        maxConcurrent: z.number(),
      })
      .describe("null where there is no limit"),
    health: z.strictObject({ ok: flag, message: z.string(), checkedAt: time.nullable() }),
    circuit: z.enum(["closed", "open", "half-open"]),
    running: count,
    maxConcurrent: z.number(),
  }),
);

export const health = named(
  "Health",
  z.strictObject({
    ok: flag,
    version: z.string(),
    checks: z.array(z.strictObject({ name: z.string(), ok: flag, message: z.string() })),
  }),
);

const runShape = {
  jobId,
  name: z.string(),
  status: z.enum(TERMINAL_STATUSES),
  runtime: z.string(),
  startedAt: time.nullable(),
  finishedAt: time,
  durationMs: count.nullable(),
  exitCode: z.int().nullable(),
  receiptUrl: z.string().describe("the path of the record as JSON"),
  summaryUrl: z.string().describe("the path of the record as Markdown"),
  eventsUrl: z.string().describe("the path of the events, one a line"),
};

/** A finished job as lists show it. */
export const run = named("Run", z.strictObject(runShape));
export const receipt = named("RunReceipt", receiptSchema);
export const runDetails = named("RunDetails", z.strictObject({ ...runShape, receipt }));
export const runCleanup = named("RunCleanup", cleanupSchema, "input");
export const runCleanupAnswer = named(
  "RunCleanupAnswer",
  z.strictObject({
    removed: count,
    dryRun: z.boolean(),
    items: z.array(jobId),
    nextCursor: z.string().nullable().describe("where the next call goes on; null when nothing is left to look at"),
  }),
);

const measured = z.number().min(0);
export const usage = named(
  "Usage",
  z.strictObject({
    at: time.describe("when the runtimes were asked"),
    items: z.array(
      z.strictObject({
        jobId,
        name: z.string(),
        status: z.enum(STATUSES),
        phase: z.enum(PHASES).nullable(),
        runtime: z.string(),
        attempt: z.int().min(1),
        lane: z.string(),
        startedAt: time.nullable(),
        usage: z
          .strictObject({
            cpuSeconds: measured,
            memoryBytes: measured,
            memoryPeakBytes: measured.nullable(),
            networkReceivedBytes: measured.nullable(),
            networkSentBytes: measured.nullable(),
            diskReadBytes: measured.nullable(),
            diskWrittenBytes: measured.nullable(),
          })
          .nullable()
          .describe("since the start of the attempt; null where the runtime cannot tell"),
      }),
    ),
    leftOut: count.describe("how many more jobs run"),
    failures: z.array(z.strictObject({ runtime: z.string(), message: z.string() })),
  }),
);

const page = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), nextCursor: z.string().nullable() });

export const jobPage = named("JobPage", page(jobSummary));
export const eventPage = named("EventPage", page(event));
export const logPage = named("LogPage", page(logLine));
export const deadLetterPage = named("DeadLetterPage", page(deadLetter));
export const runPage = named("RunPage", page(run));
export const runtimeList = named("RuntimeList", z.strictObject({ items: z.array(runtime) }));
export const batchAnswer = named("BatchAnswer", z.strictObject({ items: z.array(job) }));
export const batchInput = named("Batch", z.object({ jobs: z.array(jobSpecInput).min(1).max(MAX_BATCH) }), "input");
