import middy from "@middy/core";
import httpRouterHandler, { type Route } from "@middy/http-router";
import type { EngineContext } from "../engine/context.ts";
import { LongshoreError } from "../engine/errors.ts";
import { removeDeadLetter } from "../engine/ledger/dead-letters.ts";
import type { JobRecord } from "../engine/ledger/records.ts";
import { cancelJob, retryJob } from "../engine/operations/control.ts";
import { describeWholeJob } from "../engine/operations/describe.ts";
import { replayDeadLetter } from "../engine/operations/replay.ts";
import { dryRun, type SubmitOptions, submitBatch, submitJob } from "../engine/operations/submit.ts";
import {
  type ApiEvent,
  type ApiResult,
  callerOf,
  header,
  instanceOf,
  json,
  jsonBody,
  noContent,
  noRoute,
  optionalJsonBody,
  pathParameter,
  problems,
  traceOfCaller,
} from "./http.ts";
import {
  deadLetterJobOf,
  dryRunParam,
  IDEMPOTENCY_KEY,
  jobIdOf,
  MAX_BATCH,
  MAX_IDEMPOTENCY_KEY,
  refuseDryRun,
} from "./params.ts";
import { runErasures } from "./run-routes.ts";

/** Every call that changes something: submit, batch, dry run, cancel, retry; replay or remove a dead letter; erase runs. */
export function makeHandler(ctx: EngineContext) {
  const routes: Route<ApiEvent, ApiResult>[] = [
    { method: "POST", path: "/v1/jobs", handler: (event: ApiEvent) => submit(ctx, event) },
    { method: "POST", path: "/v1/jobs/batch", handler: (event: ApiEvent) => batch(ctx, event) },
    { method: "POST", path: "/v1/jobs/{id}/cancel", handler: (event: ApiEvent) => cancel(ctx, event) },
    { method: "POST", path: "/v1/jobs/{id}/retry", handler: (event: ApiEvent) => retry(ctx, event) },
    { method: "POST", path: "/v1/dead-letters/{id}/replay", handler: (event: ApiEvent) => replay(ctx, event) },
    { method: "DELETE", path: "/v1/dead-letters/{id}", handler: (event: ApiEvent) => remove(ctx, event) },
    ...runErasures(ctx),
  ];
  return middy<ApiEvent, ApiResult>()
    .use(problems(ctx.logger))
    .handler(httpRouterHandler({ routes, notFoundResponse: noRoute }));
}

async function submit(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const body = jsonBody(event);
  if (dryRunParam(event)) return json(200, dryRun(ctx, body));
  return await accepted(ctx, event, await submitJob(ctx, body, optionsOf(event)));
}

async function batch(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  refuseDryRun(event);
  const inputs = batchOf(jsonBody(event));
  const jobs = await submitBatch(ctx, inputs, optionsOf(event));
  return json(202, { items: await Promise.all(jobs.map((job) => describeWholeJob(ctx, job))) });
}

async function cancel(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  refuseDryRun(event);
  optionalJsonBody(event);
  const job = await cancelJob(ctx, jobIdOf(pathParameter(event, "id")), callerOf(event));
  return json(202, await describeWholeJob(ctx, job));
}

async function retry(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  refuseDryRun(event);
  optionalJsonBody(event);
  const job = await retryJob(ctx, jobIdOf(pathParameter(event, "id")), optionsOf(event));
  return await accepted(ctx, event, job);
}

async function replay(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  refuseDryRun(event);
  optionalJsonBody(event);
  const job = await replayDeadLetter(ctx, deadLetterJobOf(pathParameter(event, "id")), optionsOf(event));
  return await accepted(ctx, event, job);
}

async function remove(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  refuseDryRun(event);
  optionalJsonBody(event);
  await removeDeadLetter(ctx.ledger, deadLetterJobOf(pathParameter(event, "id")));
  return noContent();
}

async function accepted(ctx: EngineContext, event: ApiEvent, job: JobRecord): Promise<ApiResult> {
  const base = instanceOf(event).replace(/\/(jobs|dead-letters)(\/.*)?$/, "");
  return json(202, await describeWholeJob(ctx, job), { Location: `${base}/jobs/${job.jobId}` });
}

function batchOf(body: unknown): unknown[] {
  const jobs = typeof body === "object" && body !== null && "jobs" in body ? body.jobs : undefined;
  if (Array.isArray(jobs) && jobs.length >= 1 && jobs.length <= MAX_BATCH) return jobs;
  const message = `jobs: a list of 1 to ${MAX_BATCH} job specs is required`;
  throw new LongshoreError("VALIDATION", message, { violations: [{ path: "jobs", code: "invalid_batch", message }] });
}

function optionsOf(event: ApiEvent): SubmitOptions {
  const key = header(event, "idempotency-key");
  const options = { caller: callerOf(event), trace: traceOfCaller(event) };
  if (key === undefined) return options;
  if (key.length >= 1 && key.length <= MAX_IDEMPOTENCY_KEY && IDEMPOTENCY_KEY.test(key)) {
    return { ...options, idempotencyKey: key };
  }
  const message = `Idempotency-Key: 1 to ${MAX_IDEMPOTENCY_KEY} printable ASCII characters without spaces`;
  const violations = [{ path: "Idempotency-Key", code: "invalid_format", message }];
  throw new LongshoreError("VALIDATION", message, { violations });
}
