import * as z from "zod";
import { eventsSchema, flagSchema, listSchema, logsSchema } from "../params.ts";
import * as examples from "./examples.ts";
import {
  BODY_PROBLEMS,
  IDEMPOTENCY,
  IF_NONE_MATCH,
  JOB_IN_PATH,
  LAST_EVENT_ID,
  LOCATION,
  NEXT_LINK,
  operation,
  queryOf,
  TRACE,
} from "./operation.ts";
import * as shapes from "./shapes.ts";

/** What a log is asked for, as a document, a stream or a WebSocket. */
const LINES = queryOf(logsSchema, {
  tail: "only the last so many lines",
  since: "only lines after the one with this seq, or from this RFC 3339 time on",
  stream: "only lines of these streams; also as one value, separated by commas",
  cursor: "only lines after the one with this seq",
  limit: "lines a page",
});

const FOLLOW = {
  follow: {
    schema: z.string(),
    description: "`true` (or `1`, or nothing): a stream of server-sent events until the job has ended",
  },
} as const;

/** What a stream of a job's events or lines says besides them. */
const STREAM_MESSAGES = { end: shapes.job, heartbeat: shapes.heartbeat } as const;
const STREAM_DESCRIPTION =
  "Server-sent events, where `follow` or the `Accept` header asks for them. `id` is the seq, with which `Last-Event-ID` goes on; a `heartbeat` comes in every 15 s of silence; the last message is `end`.";

const ARTIFACT_IN_PATH = {
  ...JOB_IN_PATH,
  name: { schema: z.string().min(1), description: "the file's name", required: true },
} as const;

const BYTES = { type: "*/*", description: "The file's bytes, as they are stored" } as const;
const ETAG = { when: "always", description: "the file's SHA-256" } as const;
const PART = { when: "always", description: "which bytes these are" } as const;
const ADDRESS = { when: "always", description: "where the bytes are, for a few minutes" } as const;
const FILE = {
  200: { description: "The file", headers: { ETag: ETAG } },
  206: { description: "The range that was asked for", headers: { ETag: ETAG, "Content-Range": PART } },
  304: { description: "The caller has it already", headers: { ETag: ETAG } },
  307: { description: "In AWS: the file is elsewhere", headers: { Location: ADDRESS } },
} as const;

/** `/jobs` and what is below it. */
export const JOB_OPERATIONS = {
  "POST /v1/jobs": operation({
    id: "submitJob",
    tag: "jobs",
    summary: "Submit a job",
    description:
      "An accepted job ends in a terminal state, whatever dies in between. With `dryRun` nothing is stored: the answer tells what would become of the spec.",
    query: {
      dryRun: {
        schema: flagSchema,
        description: "`true` (or `1`, or nothing): only tell what would become of the spec",
      },
    },
    headers: { ...IDEMPOTENCY, ...TRACE },
    body: {
      schema: shapes.jobSpecInput,
      examples: { smallest: examples.SMALLEST_SPEC, "with limits and a secret value": examples.SPEC },
    },
    answers: {
      200: {
        description: "With `dryRun`: what would become of the spec",
        schema: shapes.dryRun,
        example: examples.DRY_RUN,
      },
      202: {
        description: "The job is accepted",
        schema: shapes.job,
        example: examples.ACCEPTED_JOB,
        headers: LOCATION,
      },
    },
    problems: [...BODY_PROBLEMS, 409],
  }),
  "GET /v1/jobs": operation({
    id: "listJobs",
    tag: "jobs",
    summary: "List jobs, newest first",
    query: queryOf(listSchema, {
      status: "only jobs in one of these statuses",
      runtime: "only jobs on this runtime",
      label: "only jobs with this label, as KEY:VALUE; of several all must match",
      name: "only jobs with this name",
      createdAfter: "only jobs created after this time, RFC 3339",
      createdBefore: "only jobs created before this time, RFC 3339",
      limit: "jobs a page",
      cursor: "the `nextCursor` of the page before",
    }),
    answers: {
      200: {
        description: "A page of jobs, without `spec`, `attempts` and `artifacts`",
        schema: shapes.jobPage,
        example: { items: [examples.SUMMARY], nextCursor: null },
        headers: NEXT_LINK,
      },
    },
    problems: [422],
  }),
  "POST /v1/jobs/batch": operation({
    id: "submitBatch",
    tag: "jobs",
    summary: "Submit up to 100 jobs: all or none",
    description: "The path of a violation begins with `jobs` and the place of the job in the list.",
    headers: { ...IDEMPOTENCY, ...TRACE },
    body: { schema: shapes.batchInput, examples: { two: { jobs: [examples.SMALLEST_SPEC, examples.SPEC] } } },
    answers: {
      202: { description: "All are accepted", schema: shapes.batchAnswer, example: { items: [examples.ACCEPTED_JOB] } },
    },
    problems: [...BODY_PROBLEMS, 409],
  }),
  "GET /v1/jobs/{id}": operation({
    id: "getJob",
    tag: "jobs",
    summary: "Show a job",
    path: JOB_IN_PATH,
    answers: { 200: { description: "The job", schema: shapes.job, example: examples.JOB } },
    problems: [404],
  }),
  "POST /v1/jobs/{id}/cancel": operation({
    id: "cancelJob",
    tag: "jobs",
    summary: "Cancel a job",
    description: "What runs is stopped first; only then the job is CANCELLED.",
    path: JOB_IN_PATH,
    answers: { 202: { description: "The job as it is then", schema: shapes.job, example: examples.CANCELLED_JOB } },
    problems: [...BODY_PROBLEMS, 404, 409],
  }),
  "POST /v1/jobs/{id}/retry": operation({
    id: "retryJob",
    tag: "jobs",
    summary: "Submit a job again that failed, timed out or was cancelled",
    path: JOB_IN_PATH,
    headers: { ...IDEMPOTENCY, ...TRACE },
    answers: {
      202: { description: "The new job", schema: shapes.job, example: examples.RETRIED_JOB, headers: LOCATION },
    },
    problems: [...BODY_PROBLEMS, 404, 409],
  }),
  "GET /v1/jobs/{id}/events": operation({
    id: "listEvents",
    tag: "jobs",
    summary: "Read or follow the events of a job",
    path: JOB_IN_PATH,
    query: {
      ...queryOf(eventsSchema, { cursor: "only events after the one with this seq", limit: "events a page" }),
      ...FOLLOW,
    },
    headers: LAST_EVENT_ID,
    answers: {
      200: {
        description: "Events by their seq",
        schema: shapes.eventPage,
        example: { items: [examples.EVENT], nextCursor: null },
        media: [
          {
            type: "text/event-stream",
            description: STREAM_DESCRIPTION,
            messages: { event: shapes.event, ...STREAM_MESSAGES },
            example: `id: 1\nevent: event\ndata: ${JSON.stringify(examples.EVENT)}\n\n`,
          },
        ],
      },
    },
    problems: [404, 422],
  }),
  "GET /v1/jobs/{id}/logs": operation({
    id: "readLogs",
    tag: "jobs",
    summary: "Read or follow the log of a job",
    path: JOB_IN_PATH,
    query: {
      ...LINES,
      ...FOLLOW,
    },
    headers: LAST_EVENT_ID,
    answers: {
      200: {
        description: "Lines by their seq",
        schema: shapes.logPage,
        example: { items: [examples.LINE], nextCursor: null },
        media: [
          {
            type: "text/event-stream",
            description: STREAM_DESCRIPTION,
            messages: { log: shapes.logLine, ...STREAM_MESSAGES },
            example: `id: 1\nevent: log\ndata: ${JSON.stringify(examples.LINE)}\n\n`,
          },
          {
            type: "text/plain",
            description: "The texts of the lines, where the `Accept` header asks for it; with `follow` as they come.",
            example: "hi\n",
          },
        ],
      },
    },
    problems: [404, 422],
  }),
  "GET /v1/jobs/{id}/logs/stream": operation({
    id: "streamLogs",
    tag: "jobs",
    summary: "Follow the log of a job over a WebSocket",
    description:
      "Each message is `{ id, event, data }`, as the messages of the server-sent events. In AWS a WebSocket API has no paths: the stack's output `LogStreamUrl` is its address, with `jobId` in the query. A call that asks for no WebSocket is answered 426.",
    path: JOB_IN_PATH,
    query: {
      ...LINES,
      lastEventId: LAST_EVENT_ID["Last-Event-ID"],
      batch: { schema: flagSchema, description: "`true`: a frame may hold several messages, one a line" },
    },
    headers: LAST_EVENT_ID,
    answers: { 101: { description: "The WebSocket is open", messages: { log: shapes.logLine, ...STREAM_MESSAGES } } },
    problems: [404, 422, 426],
  }),
  "GET /v1/jobs/{id}/artifacts": operation({
    id: "listArtifacts",
    tag: "jobs",
    summary: "List the files that a job left",
    path: JOB_IN_PATH,
    answers: {
      200: { description: "The files of the last attempt", schema: shapes.artifacts, example: examples.ARTIFACTS },
    },
    problems: [404],
  }),
  "GET /v1/jobs/{id}/artifacts/{name+}": operation({
    id: "getArtifact",
    tag: "jobs",
    summary: "Download a file that a job left",
    description: "The name's own slashes may be written as they are.",
    path: ARTIFACT_IN_PATH,
    headers: {
      ...IF_NONE_MATCH,
      Range: { schema: z.string(), description: "one range of bytes" },
      "If-Range": { schema: z.string(), description: "the `ETag` of the file that the range is of" },
    },
    answers: {
      ...FILE,
      200: { ...FILE[200], media: [BYTES] },
      206: { ...FILE[206], media: [BYTES] },
    },
    problems: [404, 416],
  }),
  "HEAD /v1/jobs/{id}/artifacts/{name+}": operation({
    id: "headArtifact",
    tag: "jobs",
    summary: "Tell of a file that a job left",
    path: ARTIFACT_IN_PATH,
    headers: IF_NONE_MATCH,
    answers: FILE,
    problems: [404, 416],
  }),
  "GET /v1/jobs/{id}/cost": operation({
    id: "getCost",
    tag: "jobs",
    summary: "Show what a job cost",
    path: JOB_IN_PATH,
    answers: {
      200: { description: "The cost so far", schema: shapes.cost, example: { amountUsd: 0, basis: "local" } },
    },
    problems: [404],
  }),
} as const;
