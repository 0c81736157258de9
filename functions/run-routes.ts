import type { Route } from "@middy/http-router";
import type { EngineContext } from "../engine/context.ts";
import { LongshoreError } from "../engine/errors.ts";
import type { JobRecord } from "../engine/ledger/records.ts";
import { listRuns } from "../engine/ledger/runs.ts";
import { cleanUpRuns } from "../engine/operations/cleanup-runs.ts";
import { eraseRun } from "../engine/operations/erase-run.ts";
import { describeRun, readRun, receiptOf } from "../engine/operations/run-record.ts";
import { type RunFile, renderRun } from "../engine/runs/files.ts";
import {
  type ApiEvent,
  type ApiResult,
  json,
  jsonBody,
  listed,
  noContent,
  optionalJsonBody,
  pathParameter,
} from "./http.ts";
import { refuseDryRun } from "./params.ts";
import { cleanupQuery, runIdOf, runParams } from "./run-params.ts";

/** The calls about runs that only read. */
export function runReads(ctx: EngineContext): Route<ApiEvent, ApiResult>[] {
  const form = (file: RunFile, type: string) => async (event: ApiEvent) => {
    const receipt = await receiptOf(ctx, await runOf(ctx, event));
    return { statusCode: 200, headers: { "Content-Type": type }, body: renderRun(receipt, file) };
  };
  return [
    { method: "GET", path: "/v1/runs", handler: (event: ApiEvent) => list(ctx, event) },
    { method: "GET", path: "/v1/runs/{id}", handler: (event: ApiEvent) => show(ctx, event) },
    { method: "GET", path: "/v1/runs/{id}/receipt", handler: form("run_receipt.json", "application/json") },
    { method: "GET", path: "/v1/runs/{id}/summary", handler: form("summary.md", "text/markdown; charset=utf-8") },
    { method: "GET", path: "/v1/runs/{id}/events", handler: form("events.jsonl", "application/x-ndjson") },
  ];
}

/** The calls about runs that erase. */
export function runErasures(ctx: EngineContext): Route<ApiEvent, ApiResult>[] {
  return [
    { method: "DELETE", path: "/v1/runs/{id}", handler: (event: ApiEvent) => remove(ctx, event) },
    { method: "POST", path: "/v1/runs/cleanup", handler: (event: ApiEvent) => cleanUp(ctx, event) },
  ];
}

async function list(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const { filter, ...page } = runParams(event);
  const { jobs, nextCursor } = await listRuns(ctx.ledger, filter, { ...page, since: ctx.home.createdAt });
  return listed(event, jobs.map(describeRun), nextCursor);
}

async function show(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const job = await runOf(ctx, event);
  return json(200, { ...describeRun(job), receipt: await receiptOf(ctx, job) });
}

/** The finished job that a path names. */
async function runOf(ctx: EngineContext, event: ApiEvent): Promise<JobRecord> {
  const jobId = runIdOf(pathParameter(event, "id"));
  const job = await readRun(ctx, jobId);
  if (job === undefined) throw new LongshoreError("NOT_FOUND", `there is no run ${jobId}, or it is not finished yet`);
  return job;
}

async function remove(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  refuseDryRun(event);
  optionalJsonBody(event);
  await eraseRun(ctx, runIdOf(pathParameter(event, "id")));
  return noContent();
}

async function cleanUp(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  refuseDryRun(event);
  const query = cleanupQuery(jsonBody(event), ctx.clock());
  const done = await cleanUpRuns(ctx, query);
  return json(200, { ...done, dryRun: query.dryRun });
}
