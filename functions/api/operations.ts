import * as z from "zod";
import { deadLettersSchema } from "../params.ts";
import * as examples from "./examples.ts";
import {
  BODY_PROBLEMS,
  DEAD_LETTER_IN_PATH,
  IDEMPOTENCY,
  IF_NONE_MATCH,
  LOCATION,
  NEXT_LINK,
  type Operation,
  operation,
  queryOf,
  type RouteName,
  TRACE,
} from "./operation.ts";
import { JOB_OPERATIONS } from "./operations-jobs.ts";
import { RUN_OPERATIONS } from "./operations-runs.ts";
import * as shapes from "./shapes.ts";

const DEAD_LETTER_OPERATIONS = {
  "GET /v1/dead-letters": operation({
    id: "listDeadLetters",
    tag: "dead letters",
    summary: "List jobs that failed for good, the latest failure first",
    query: queryOf(deadLettersSchema, { limit: "dead letters a page", cursor: "the `nextCursor` of the page before" }),
    answers: {
      200: {
        description: "A page of dead letters",
        schema: shapes.deadLetterPage,
        example: { items: [examples.DEAD_LETTER], nextCursor: null },
        headers: NEXT_LINK,
      },
    },
    problems: [422],
  }),
  "GET /v1/dead-letters/{id}": operation({
    id: "getDeadLetter",
    tag: "dead letters",
    summary: "Show a dead letter",
    path: DEAD_LETTER_IN_PATH,
    answers: { 200: { description: "The dead letter", schema: shapes.deadLetter, example: examples.DEAD_LETTER } },
    problems: [404],
  }),
  "DELETE /v1/dead-letters/{id}": operation({
    id: "removeDeadLetter",
    tag: "dead letters",
    summary: "Forget a dead letter",
    path: DEAD_LETTER_IN_PATH,
    answers: { 204: { description: "It is gone; its job is as it was" } },
    problems: [...BODY_PROBLEMS, 404],
  }),
  "POST /v1/dead-letters/{id}/replay": operation({
    id: "replayDeadLetter",
    tag: "dead letters",
    summary: "Run a job that failed for good again, once, as a new job",
    path: DEAD_LETTER_IN_PATH,
    headers: { ...IDEMPOTENCY, ...TRACE },
    answers: {
      202: { description: "The new job", schema: shapes.job, example: examples.RETRIED_JOB, headers: LOCATION },
    },
    problems: [...BODY_PROBLEMS, 404, 409],
  }),
} as const;

const HOME_OPERATIONS = {
  "GET /v1/runtimes": operation({
    id: "listRuntimes",
    tag: "runtimes",
    summary: "List the runtimes",
    answers: {
      200: {
        description: "Every runtime, in order of preference",
        schema: shapes.runtimeList,
        example: { items: [examples.RUNTIME] },
      },
    },
    problems: [],
  }),
  "GET /v1/runtimes/{name}": operation({
    id: "getRuntime",
    tag: "runtimes",
    summary: "Show a runtime",
    path: { name: { schema: z.string(), description: "the runtime", required: true } },
    answers: { 200: { description: "The runtime", schema: shapes.runtime, example: examples.RUNTIME } },
    problems: [404],
  }),
  "GET /v1/usage": operation({
    id: "getUsage",
    tag: "runtimes",
    summary: "Tell what the running jobs use",
    answers: {
      200: {
        description: "The jobs that were submitted last, as far as their runtimes can tell",
        schema: shapes.usage,
        example: examples.USAGE,
      },
    },
    problems: [],
  }),
  "GET /v1/metrics": operation({
    id: "getMetrics",
    tag: "home",
    summary: "Read the metrics of a local home",
    description:
      "Only the home on one machine has them here, and at `/metrics` of its door; in AWS they are in CloudWatch.",
    answers: {
      200: {
        description: "Every metric as it is now",
        media: [
          {
            type: "text/plain",
            description: "The text format of Prometheus",
            example: "# TYPE longshore_queue_jobs gauge\nlongshore_queue_jobs 3\n",
          },
          { type: "application/openmetrics-text", description: "OpenMetrics, where the `Accept` header asks for it" },
        ],
      },
    },
    problems: [404],
  }),
  "GET /v1/health": operation({
    id: "getHealth",
    tag: "home",
    summary: "Tell whether Longshore is well",
    answers: {
      200: { description: "The table and one runtime answer", schema: shapes.health, example: examples.HEALTH },
      503: { description: "They do not", schema: shapes.health, example: { ...examples.HEALTH, ok: false } },
    },
    problems: [],
  }),
  "GET /v1/openapi.json": operation({
    id: "getOpenApi",
    tag: "home",
    summary: "This description",
    headers: IF_NONE_MATCH,
    answers: {
      200: {
        description: "The API as OpenAPI 3.1; `servers` names where it was asked for",
        schema: z.record(z.string(), z.unknown()),
        headers: { ETag: { when: "always", description: "changes with the description" } },
      },
      304: {
        description: "The caller has it already",
        headers: { ETag: { when: "always", description: "changes with the description" } },
      },
    },
    problems: [],
  }),
} as const;

/** Every call of the API, by its route. */
export const OPERATIONS = {
  ...JOB_OPERATIONS,
  ...RUN_OPERATIONS,
  ...DEAD_LETTER_OPERATIONS,
  ...HOME_OPERATIONS,
} as const satisfies Record<RouteName, Operation>;
