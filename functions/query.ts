import middy from "@middy/core";
import httpRouterHandler, { type Route } from "@middy/http-router";
import type { EngineContext } from "../engine/context.ts";
import { LongshoreError } from "../engine/errors.ts";
import { listDeadLetters } from "../engine/ledger/dead-letters.ts";
import { listJobs } from "../engine/ledger/list.ts";
import { readEvents, readJob } from "../engine/ledger/read.ts";
import type { JobRecord } from "../engine/ledger/records.ts";
import {
  describeArtifacts,
  describeDeadLetter,
  describeEvent,
  describeJob,
  describeRuntime,
  describeWholeJob,
} from "../engine/operations/describe.ts";
import { checkHealth } from "../engine/operations/health.ts";
import type { LogLine } from "../engine/operations/log-line.ts";
import { newestLines } from "../engine/operations/log-tail.ts";
import { readLogs } from "../engine/operations/read-logs.ts";
import { deadLetterOfJob } from "../engine/operations/replay.ts";
import { createTail } from "../engine/operations/tail.ts";
import { createUsageReader, type UsageReader } from "../engine/operations/usage.ts";
import { type ApiEvent, type ApiResult, json, listed, noRoute, pathParameter, problems } from "./http.ts";
import {
  deadLetterJobOf,
  deadLetterParams,
  eventParams,
  jobIdOf,
  type LogParams,
  listParams,
  logParams,
} from "./params.ts";
import { runReads } from "./run-routes.ts";

/** Lines in one answer, bytes: a Lambda's answer has 6 MB at most. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/**
 * Every call that only reads and answers with one JSON document.
 * @param usage what tells what jobs use, where a home has one already.
 */
export function makeHandler(ctx: EngineContext, usage: UsageReader = createUsageReader(ctx)) {
  const routes: Route<ApiEvent, ApiResult>[] = [
    { method: "GET", path: "/v1/jobs", handler: (event: ApiEvent) => list(ctx, event) },
    { method: "GET", path: "/v1/jobs/{id}", handler: (event: ApiEvent) => show(ctx, event) },
    { method: "GET", path: "/v1/jobs/{id}/events", handler: (event: ApiEvent) => events(ctx, event) },
    { method: "GET", path: "/v1/jobs/{id}/logs", handler: (event: ApiEvent) => logs(ctx, event) },
    { method: "GET", path: "/v1/jobs/{id}/logs/stream", handler: (event: ApiEvent) => plainCall(ctx, event) },
    { method: "GET", path: "/v1/jobs/{id}/artifacts", handler: (event: ApiEvent) => artifacts(ctx, event) },
    { method: "GET", path: "/v1/jobs/{id}/cost", handler: (event: ApiEvent) => cost(ctx, event) },
    ...runReads(ctx),
    { method: "GET", path: "/v1/dead-letters", handler: (event: ApiEvent) => deadLetters(ctx, event) },
    { method: "GET", path: "/v1/dead-letters/{id}", handler: (event: ApiEvent) => deadLetter(ctx, event) },
    { method: "GET", path: "/v1/runtimes", handler: () => runtimes(ctx) },
    { method: "GET", path: "/v1/runtimes/{name}", handler: (event: ApiEvent) => runtime(ctx, event) },
    { method: "GET", path: "/v1/usage", handler: async () => json(200, await usage()) },
    { method: "GET", path: "/v1/health", handler: () => health(ctx) },
    { method: "GET", path: "/v1/openapi.json", handler: description },
  ];
  return middy<ApiEvent, ApiResult>()
    .use(problems(ctx.logger))
    .handler(httpRouterHandler({ routes, notFoundResponse: noRoute }));
}

/** The job that a path names. */
export async function jobOf(ctx: EngineContext, event: ApiEvent): Promise<JobRecord> {
  const jobId = jobIdOf(pathParameter(event, "id"));
  const job = await readJob(ctx.ledger, jobId);
  if (job === undefined) throw new LongshoreError("NOT_FOUND", `there is no job ${jobId}`);
  return job;
}

async function list(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const { filter, ...page } = listParams(event);
  const { jobs, nextCursor } = await listJobs(ctx.ledger, filter, { ...page, since: ctx.home.createdAt });
  const items = await Promise.all(jobs.map((job) => describeJob(ctx, job)));
  return listed(event, items, nextCursor);
}

async function show(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  return json(200, await describeWholeJob(ctx, await jobOf(ctx, event)));
}

async function events(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const { jobId } = await jobOf(ctx, event);
  const { cursor, limit } = eventParams(event);
  const found = await readEvents(ctx.ledger, jobId, { after: cursor, limit });
  const nextCursor = found.length < limit ? null : String(found.at(-1)?.seq);
  return json(200, { items: found.map(describeEvent), nextCursor });
}

async function logs(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const job = await jobOf(ctx, event);
  const params = logParams(event);
  const items: LogLine[] = [];
  let bytes = 0;
  // Leaving the loop ends the reading of the runtime's log too.
  for await (const lines of askedLines(ctx, job, params)) {
    for (const line of lines) {
      bytes += answerBytes(line);
      // A tail is one answer; what is read on is paged.
      const isFull = items.length === params.limit || (bytes > MAX_ANSWER_BYTES && items.length > 0);
      if (params.tail === undefined && isFull) return json(200, { items, nextCursor: String(items.at(-1)?.seq) });
      items.push(line);
    }
  }
  return json(200, { items, nextCursor: null });
}

/** Who comes to the WebSocket of a log by a plain call. */
async function plainCall(ctx: EngineContext, event: ApiEvent): Promise<never> {
  await jobOf(ctx, event);
  const where = "a home in AWS has it at the stack's output LogStreamUrl";
  throw new LongshoreError("UPGRADE_REQUIRED", `this is a WebSocket, which a plain request cannot read; ${where}`);
}

/** The seq after which a log query begins to read. */
export function firstSeq({ since, cursor }: LogParams): number {
  return Math.max(cursor, typeof since === "number" ? since : 0);
}

/** The lines of a job that a query asks for so far, from the ledger alone where it holds them. */
export async function* askedLines(
  ctx: EngineContext,
  job: JobRecord,
  { signal, ...params }: LogParams & { signal?: AbortSignal },
): AsyncGenerator<LogLine[]> {
  const after = firstSeq(params);
  const { tail: count, since, stream } = params;
  const mayBeThere = count !== undefined && stream === undefined && typeof since !== "string";
  const newest = mayBeThere ? await newestLines(ctx, job, { count, after }) : undefined;
  if (newest === undefined) {
    yield* selectLines(readLogs(ctx, job, signal === undefined ? { after } : { after, signal }), params);
  } else if (newest.length > 0) yield newest;
}

/**
 * The lines that a query asks for, in batches that are never empty: its streams, from its time on, its tail. A tail holds at most about 4 MiB: of more,
 * the newest.
 */
export async function* selectLines(batches: AsyncIterable<LogLine[]>, params: LogParams): AsyncGenerator<LogLine[]> {
  const { since, stream, tail: maxItems } = params;
  const limits = { maxBytes: MAX_ANSWER_BYTES, least: 1, sizeOf: answerBytes };
  const tail = maxItems === undefined ? undefined : createTail<LogLine>({ ...limits, maxItems });
  const isAsked = (line: LogLine) =>
    (stream === undefined || stream.includes(line.stream)) && (typeof since !== "string" || line.time >= since);
  const isWhole = stream === undefined && typeof since !== "string";
  for await (const lines of batches) {
    const asked = isWhole ? lines : lines.filter(isAsked);
    if (tail !== undefined) for (const line of asked) tail.push(line);
    else if (asked.length > 0) yield asked;
  }
  const last = [...(tail?.items() ?? [])];
  if (last.length > 0) yield last;
}

/** What a line takes in an answer; a control character takes six bytes there. */
function answerBytes(line: LogLine): number {
  return Buffer.byteLength(JSON.stringify(line));
}

async function artifacts(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  return json(200, await describeArtifacts(ctx, await jobOf(ctx, event)));
}

async function cost(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const job = await jobOf(ctx, event);
  return json(200, job.cost ?? { amountUsd: null, basis: "unknown" });
}

async function deadLetters(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const page = { ...deadLetterParams(event), since: ctx.home.createdAt };
  const { letters, nextCursor } = await listDeadLetters(ctx.ledger, page);
  return listed(event, letters.map(describeDeadLetter), nextCursor);
}

async function deadLetter(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const letter = await deadLetterOfJob(ctx, deadLetterJobOf(pathParameter(event, "id")));
  return json(200, describeDeadLetter(letter));
}

async function runtimes(ctx: EngineContext): Promise<ApiResult> {
  return json(200, { items: await Promise.all(ctx.runtimes.all().map((one) => describeRuntime(ctx, one))) });
}

async function runtime(ctx: EngineContext, event: ApiEvent): Promise<ApiResult> {
  const name = pathParameter(event, "name");
  const found = ctx.runtimes.all().find((one) => one.name === name);
  if (found === undefined) throw new LongshoreError("NOT_FOUND", "there is no runtime with this name");
  return json(200, await describeRuntime(ctx, found));
}

/** The description of the API. It is made when somebody asks for it: what it takes is loaded then. */
async function description(event: ApiEvent): Promise<ApiResult> {
  const { describeApi } = await import("./api/serve.ts");
  return describeApi(event);
}

async function health(ctx: EngineContext): Promise<ApiResult> {
  const report = await checkHealth(ctx);
  return json(report.ok ? 200 : 503, report);
}
