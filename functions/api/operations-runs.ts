import { runsSchema } from "../run-params.ts";
import * as examples from "./examples.ts";
import { BODY_PROBLEMS, JOB_IN_PATH, NEXT_LINK, operation, queryOf } from "./operation.ts";
import * as shapes from "./shapes.ts";

/** `/runs` and what is below it. */
export const RUN_OPERATIONS = {
  "GET /v1/runs": operation({
    id: "listRuns",
    tag: "runs",
    summary: "List finished jobs, those submitted last first",
    query: queryOf(runsSchema, {
      status: "only runs that ended in one of these statuses",
      runtime: "only runs on this runtime",
      label: "only runs with this label, as KEY:VALUE; of several all must match",
      name: "only runs with this name",
      finishedAfter: "only runs finished after this time, RFC 3339",
      finishedBefore: "only runs finished before this time, RFC 3339",
      limit: "runs a page",
      cursor: "the `nextCursor` of the page before",
    }),
    answers: {
      200: {
        description: "A page of runs",
        schema: shapes.runPage,
        example: { items: [examples.RUN], nextCursor: null },
        headers: NEXT_LINK,
      },
    },
    problems: [422],
  }),
  "POST /v1/runs/cleanup": operation({
    id: "cleanUpRuns",
    tag: "runs",
    summary: "Erase old runs, a bounded number for each call",
    body: {
      schema: shapes.runCleanup,
      examples: {
        week: { olderThan: "7d" },
        "only tell": { olderThan: "30d", status: ["SUCCEEDED"], keep: 100, dryRun: true },
      },
    },
    answers: {
      200: {
        description: "What was erased, or would be",
        schema: shapes.runCleanupAnswer,
        example: { removed: 1, dryRun: false, items: [examples.RUN.jobId], nextCursor: null },
      },
    },
    problems: BODY_PROBLEMS,
  }),
  "GET /v1/runs/{id}": operation({
    id: "getRun",
    tag: "runs",
    summary: "Show a run with its receipt",
    path: JOB_IN_PATH,
    answers: {
      200: {
        description: "The run",
        schema: shapes.runDetails,
        example: { ...examples.RUN, receipt: examples.RECEIPT },
      },
    },
    problems: [404],
  }),
  "DELETE /v1/runs/{id}": operation({
    id: "removeRun",
    tag: "runs",
    summary: "Erase a run and its job, with its log and its files",
    path: JOB_IN_PATH,
    answers: { 204: { description: "It is gone" } },
    problems: [...BODY_PROBLEMS, 404, 409],
  }),
  "GET /v1/runs/{id}/receipt": operation({
    id: "getRunReceipt",
    tag: "runs",
    summary: "Read the record of a run",
    path: JOB_IN_PATH,
    answers: { 200: { description: "The receipt", schema: shapes.receipt, example: examples.RECEIPT } },
    problems: [404],
  }),
  "GET /v1/runs/{id}/summary": operation({
    id: "getRunSummary",
    tag: "runs",
    summary: "Read the record of a run as a person would",
    path: JOB_IN_PATH,
    answers: {
      200: {
        description: "The summary",
        media: [{ type: "text/markdown", description: "Markdown", example: "# SUCCEEDED: nightly\n" }],
      },
    },
    problems: [404],
  }),
  "GET /v1/runs/{id}/events": operation({
    id: "listRunEvents",
    tag: "runs",
    summary: "Read the events of a run, one a line",
    path: JOB_IN_PATH,
    answers: {
      200: {
        description: "Every event, by its seq",
        media: [
          {
            type: "application/x-ndjson",
            description: "One event a line, as JSON",
            example: `${JSON.stringify(examples.EVENT)}\n`,
          },
        ],
      },
    },
    problems: [404],
  }),
} as const;
