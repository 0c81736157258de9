import * as z from "zod";
import { LongshoreError } from "../engine/errors.ts";
import { isJobId, JOB_ID, type JobId, jobOfDeadLetter } from "../engine/ids.ts";
import { deadLetterCursorMs } from "../engine/ledger/dead-letters.ts";
import type { JobFilter } from "../engine/ledger/list.ts";
import { STATUSES } from "../engine/states.ts";
import type { ApiEvent } from "./http.ts";

/** Job specs in one batch at most. */
export const MAX_BATCH = 100;
/** Characters of an idempotency key at most, and which ones. */
export const MAX_IDEMPOTENCY_KEY = 255;
export const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/;

/** @throws LongshoreError NOT_FOUND: what is no job id names no job. */
export function jobIdOf(text: string): JobId {
  if (!isJobId(text)) throw new LongshoreError("NOT_FOUND", "there is no job with this id");
  return text;
}

/**
 * The job that a dead letter's id speaks of.
 * @throws LongshoreError NOT_FOUND: what is no such id names no dead letter.
 */
export function deadLetterJobOf(text: string): JobId {
  const jobId = jobOfDeadLetter(text);
  if (jobId === undefined) throw new LongshoreError("NOT_FOUND", "there is no dead letter with this id");
  return jobId;
}

// What is a text in a query is something else to who reads the API's description: `json` is what it says there.

const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be a whole number from ${least} to ${most}`)
    .meta({ json: { type: "integer", minimum: least, maximum: most } });
/** A date, or a date and a time with its offset; what else `Date.parse` understands depends on where it runs. */
const TIME = /^\d{4}-\d\d-\d\d([Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d))?$/;
const NOT_A_TIME = "must be an RFC 3339 time with a year from 0 to 9999";
export const time = z
  .string()
  // The offset may lead out of the years that have four digits, and that is how times are compared.
  .refine((text) => TIME.test(text) && /^\d{4}-/.test(utc(text)), NOT_A_TIME)
  .transform(utc)
  .meta({ json: { type: "string", pattern: TIME.source } });
export const label = z.string().regex(/^[^:]+:.*$/, "must be KEY:VALUE");
const NOT_A_CURSOR = "is not a cursor of this list";
export const cursor = z.string().refine(isJobId, NOT_A_CURSOR).meta({ pattern: JOB_ID.source });
const deadLetterCursor = z
  .string()
  .refine((text) => deadLetterCursorMs(text) !== undefined, NOT_A_CURSOR)
  .meta({ pattern: JOB_ID.source.replace("^job_", "^[^_]+_dl_") });
export const pageLimit = wholeNumber(1, 200).default(50);
const seqCursor = wholeNumber(0, Number.MAX_SAFE_INTEGER);

function utc(text: string): string {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString();
}

export const listSchema = z.object({
  status: z.array(z.enum(STATUSES)).optional(),
  runtime: z.string().optional(),
  label: z.array(label).optional(),
  name: z.string().optional(),
  createdAfter: time.optional(),
  createdBefore: time.optional(),
  limit: pageLimit,
  cursor: cursor.optional(),
});

export const deadLettersSchema = z.object({ limit: pageLimit, cursor: deadLetterCursor.optional() });

export const eventsSchema = z.object({ cursor: seqCursor.default(0), limit: wholeNumber(1, 1000).default(200) });

const STREAMS = ["stdout", "stderr", "system"] as const;
export const logsSchema = z.object({
  tail: wholeNumber(0, 1_000_000).optional(),
  since: z.union([seqCursor, time], "must be the number of a line or an RFC 3339 time").optional(),
  stream: z.array(z.enum(STREAMS)).optional(),
  cursor: seqCursor.default(0),
  limit: wholeNumber(1, 10_000).default(1000),
});

/** What `GET /jobs/{id}/logs` asks for. `since`: a seq (lines after it), or a time (lines from it on). */
export type LogParams = z.output<typeof logsSchema>;

export function listParams(event: ApiEvent): { filter: JobFilter; limit: number; cursor?: string } {
  const params = parse(listSchema, event, ["status", "label"]);
  const { status, runtime, name, createdAfter, createdBefore, limit } = params;
  const labels = params.label?.map((text) => splitOnce(text));
  const filter: JobFilter = {
    ...(status === undefined ? {} : { status }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(name === undefined ? {} : { name }),
    ...(labels === undefined ? {} : { labels }),
    ...(createdAfter === undefined ? {} : { createdAfter }),
    ...(createdBefore === undefined ? {} : { createdBefore }),
  };
  return params.cursor === undefined ? { filter, limit } : { filter, limit, cursor: params.cursor };
}

export function deadLetterParams(event: ApiEvent): { limit: number; cursor?: string } {
  const { limit, cursor } = parse(deadLettersSchema, event, []);
  return cursor === undefined ? { limit } : { limit, cursor };
}

export function eventParams(event: ApiEvent): { cursor: number; limit: number } {
  return parse(eventsSchema, event, []);
}

export function logParams(event: ApiEvent): LogParams {
  return parse(logsSchema, event, ["stream"]);
}

/** Where a stream is resumed: after this seq. A malformed `Last-Event-ID` is one that this server never gave. */
export function lastEventId(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const parsed = seqCursor.safeParse(text);
  if (parsed.success) return parsed.data;
  throw invalidParam("Last-Event-ID", "invalid", "must be the id of a message of this stream");
}

/** What `dryRun` may be given, and any other flag. */
export const flagSchema = z.enum(["true", "1", "", "false", "0"]);

/**
 * Whether a submission is only to be tried: `true`, `1` or the bare name. What is neither true nor false is refused: a
 * slip must not submit what was only to be tried.
 * @throws LongshoreError VALIDATION.
 */
export function dryRunParam(event: ApiEvent): boolean {
  return flag(event, "dryRun");
}

/**
 * Whether a WebSocket may carry several messages in a frame.
 * @throws LongshoreError VALIDATION.
 */
export function batchParam(event: ApiEvent): boolean {
  return flag(event, "batch");
}

function flag(event: ApiEvent, name: string): boolean {
  const given = repeated(event, name);
  const isTrue = given.every((value) => ["true", "1", ""].includes(value));
  const isFalse = given.every((value) => ["false", "0"].includes(value));
  if (isTrue !== isFalse) return isTrue;
  if (given.length === 0) return false;
  throw invalidParam(name, "invalid_value", "must be true or false");
}

/**
 * Refuses a trial of what cannot be tried.
 * @throws LongshoreError VALIDATION.
 */
export function refuseDryRun(event: ApiEvent): void {
  if (!dryRunParam(event)) return;
  throw invalidParam("dryRun", "unsupported", "is possible only where one job is submitted: POST /jobs");
}

function invalidParam(name: string, code: string, problem: string): LongshoreError {
  const message = `${name}: ${problem}`;
  return new LongshoreError("VALIDATION", message, { violations: [{ path: name, code, message }] });
}

/** Every value that a parameter was given. */
function repeated(event: ApiEvent, name: string): string[] {
  const single = event.queryStringParameters?.[name];
  return event.multiValueQueryStringParameters?.[name] ?? (single === undefined ? [] : [single]);
}

/** Repeatable parameters may also be given once, comma-separated. @throws LongshoreError VALIDATION. */
export function parse<T>(schema: z.ZodType<T>, event: ApiEvent, repeatable: string[]): T {
  const given: Record<string, unknown> = { ...event.queryStringParameters };
  for (const name of repeatable) {
    const values = repeated(event, name);
    if (values.length > 0) given[name] = values.flatMap((value) => value.split(","));
  }
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const violations = result.error.issues.map(({ path, code, message }) => {
    const name = String(path[0] ?? "");
    return { path: name, code, message: `${name}: ${message}` };
  });
  throw new LongshoreError("VALIDATION", violations[0]?.message ?? "a query parameter is invalid", { violations });
}

/** `KEY:VALUE` as a pair. */
export function splitOnce(text: string): [string, string] {
  const colon = text.indexOf(":");
  return [text.slice(0, colon), text.slice(colon + 1)];
}
