import * as z from "zod";
import { eventsSchema, flagSchema, listSchema, logsSchema } from "../params.ts";
import * as examples from "./examples.ts";
import {
  BODY_PROBLEMS,
  IDEMPOTENCY,
  JOB_IN_PATH,
  LAST_EVENT_ID,
  LOCATION,
  NEXT_LINK,
  operation,
  queryOf,
} from "./operation.ts";
import * as shapes from "./shapes.ts";

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
    headers: IDEMPOTENCY,
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
    headers: IDEMPOTENCY,
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
    headers: IDEMPOTENCY,
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
      ...queryOf(logsSchema, {
        tail: "only the last so many lines",
        since: "only lines after the one with this seq, or from this RFC 3339 time on",
        stream: "only lines of these streams; also as one value, separated by commas",
        cursor: "only lines after the one with this seq",
        limit: "lines a page",
      }),
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
