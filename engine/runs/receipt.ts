import * as z from "zod";
import { CATEGORIES } from "../errors.ts";
import { EVENT_TYPES, PHASES, STATUSES, TERMINAL_STATUSES } from "../states.ts";

/** Grows when a receipt changes so that a reader of the one before would misread it; what is added leaves it as it is. */
export const RECEIPT_SCHEMA = "longshore.run-receipt.v1";

const time = z.iso.datetime();
const count = z.int().min(0);

const error = z
  .object({
    category: z.enum(CATEGORIES),
    message: z.string(),
    retryable: z.boolean(),
    providerCode: z.string().nullable(),
    exitCode: z.int().nullable(),
  })
  .nullable();

const cost = z
  .object({
    amountUsd: z.number().nullable().describe("US dollars; null: nobody can tell"),
    basis: z.enum(["local", "estimate", "billed", "unknown"]),
  })
  .nullable();

const attempt = z.object({
  attempt: z.int().min(1),
  runtime: z.string(),
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
  exitCode: z.int().nullable(),
  error,
});

const artifact = z.object({
  name: z.string(),
  path: z.string(),
  sizeBytes: count,
  sha256: z.string(),
  contentType: z.string(),
  encoding: z.string().nullable(),
  storedAt: time,
});

const event = z.object({
  jobId: z.string(),
  seq: z.int().min(1),
  type: z.enum(EVENT_TYPES),
  at: time,
  attempt: z.int().min(1),
  status: z.enum(STATUSES),
  phase: z.enum(PHASES).nullable(),
  data: z.record(z.string(), z.unknown()),
});

const line = z.object({
  seq: z.int().min(1),
  time: z.string(),
  stream: z.enum(["stdout", "stderr", "system"]),
  text: z.string(),
  attempt: z.int().min(1),
});

/**
 * The account of a finished job: everything that is known of it, in one document from which its other forms are made. No
 * time in it is that of its writing, so that it has the same bytes whenever it is written.
 */
export const receiptSchema = z.object({
  schema: z.literal(RECEIPT_SCHEMA),
  longshoreVersion: z.string(),
  jobId: z.string().regex(/^job_[0-7][0-9A-HJKMNP-TV-Z]{25}$/),
  name: z.string(),
  status: z.enum(TERMINAL_STATUSES),
  exitCode: z.int().nullable().describe("of the last attempt; null when no command ended"),
  error,
  runtime: z.string(),
  image: z.string().nullable(),
  labels: z.record(z.string(), z.string()),
  lane: z.string(),
  priority: z.int(),
  submittedBy: z.string(),
  retryOf: z.string().nullable(),
  createdAt: time,
  startedAt: time.nullable(),
  finishedAt: time,
  durationMs: count.nullable().describe("from the first start to the end"),
  cancelRequestedAt: time.nullable(),
  spec: z.record(z.string(), z.unknown()).nullable().describe("as people may see it: secret values are replaced"),
  specHash: z.string().describe("of the redacted, normalised spec"),
  maxAttempts: z.int().min(1),
  attempts: z.array(attempt),
  artifacts: z.array(artifact),
  logs: z.object({
    lines: count.describe("written by all attempts, also those that were not kept"),
    bytes: count.describe("of text that is kept, newlines included"),
    truncated: z.boolean(),
    path: z.string().describe("of the log in the API"),
    tail: z.array(line).describe("the last lines, for a job that did not succeed"),
  }),
  cost,
  deadLetterId: z.string().nullable(),
  events: z.array(event).describe("by seq, from 1 on, without gaps"),
});

export type RunReceipt = z.infer<typeof receiptSchema>;

/** The published JSON schema (2020-12) of a receipt. */
export function receiptJsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(receiptSchema, { io: "input" });
  return { $schema, $id: `${RECEIPT_SCHEMA}.json`, title: "The receipt of a run of Longshore, version 1", ...rest };
}
