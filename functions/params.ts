import { z } from "zod";
import { LongshoreError } from "../engine/errors.ts";
import { isJobId, type JobId } from "../engine/ids.ts";
import type { JobFilter } from "../engine/ledger/list.ts";
import { STATUSES } from "../engine/states.ts";
import type { ApiEvent } from "./http.ts";

/** @throws LongshoreError NOT_FOUND: what is no job id names no job. */
export function jobIdOf(text: string): JobId {
  if (!isJobId(text)) throw new LongshoreError("NOT_FOUND", "there is no job with this id");
  return text;
}

const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((n) => n >= least && n <= most, `must be a whole number from ${least} to ${most}`);
const time = z
  .string()
  .refine((text) => !Number.isNaN(Date.parse(text)), "must be an RFC 3339 time")
  .transform((text) => new Date(text).toISOString());
const label = z.string().regex(/^[^:]+:.*$/, "must be KEY:VALUE");
const cursor = z.string().refine(isJobId, "is not a cursor of this list");
const seqCursor = wholeNumber(0, Number.MAX_SAFE_INTEGER);

const listSchema = z.object({
  status: z.array(z.enum(STATUSES)).optional(),
  runtime: z.string().optional(),
  label: z.array(label).optional(),
  name: z.string().optional(),
  createdAfter: time.optional(),
  createdBefore: time.optional(),
  limit: wholeNumber(1, 200).default(50),
  cursor: cursor.optional(),
});

const eventsSchema = z.object({ cursor: seqCursor.default(0), limit: wholeNumber(1, 1000).default(200) });

const STREAMS = ["stdout", "stderr", "system"] as const;
const logsSchema = z.object({
  tail: wholeNumber(0, 1_000_000).optional(),
  since: z.union([seqCursor, time]).optional(),
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
    ...(labels === undefined ? {} : { labels: Object.fromEntries(labels) }),
    ...(createdAfter === undefined ? {} : { createdAfter }),
    ...(createdBefore === undefined ? {} : { createdBefore }),
  };
  return params.cursor === undefined ? { filter, limit } : { filter, limit, cursor: params.cursor };
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
  const message = "Last-Event-ID: must be the id of a message of this stream";
  throw new LongshoreError("VALIDATION", message, {
    violations: [{ path: "Last-Event-ID", code: "invalid", message }],
  });
}

/** Repeatable parameters may also be given once, comma-separated. */
function parse<T>(schema: z.ZodType<T>, event: ApiEvent, repeatable: string[]): T {
  const given: Record<string, unknown> = { ...event.queryStringParameters };
  for (const name of repeatable) {
    const values = event.multiValueQueryStringParameters?.[name] ?? (given[name] === undefined ? [] : [given[name]]);
    if (values.length > 0) given[name] = values.flatMap((value) => String(value).split(","));
  }
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const violations = result.error.issues.map(({ path, code, message }) => {
    const name = String(path[0] ?? "");
    return { path: name, code, message: `${name}: ${message}` };
  });
  throw new LongshoreError("VALIDATION", violations[0]?.message ?? "a query parameter is invalid", { violations });
}

function splitOnce(text: string): [string, string] {
  const colon = text.indexOf(":");
  return [text.slice(0, colon), text.slice(colon + 1)];
}
