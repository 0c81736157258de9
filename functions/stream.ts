import type { EngineContext } from "../engine/context.ts";
import type { JobId } from "../engine/ids.ts";
import { readEvents, readJob } from "../engine/ledger/read.ts";
import type { JobRecord } from "../engine/ledger/records.ts";
import { describeEvent } from "../engine/operations/describe.ts";
import { createLiveLogs, type LiveLogs } from "../engine/operations/live-log.ts";
import type { LogLine } from "../engine/operations/log-line.ts";
import { isTerminal, TERMINAL_STATUSES } from "../engine/states.ts";
import { type ArtifactDeps, makeHandler as artifacts, wantsArtifact } from "./artifacts.ts";
import { type ApiEvent, header, instanceOf, problem } from "./http.ts";
import { endMessage, logMessages, logQuery } from "./log-messages.ts";
import { eventParams, lastEventId } from "./params.ts";
import { askedLines, jobOf } from "./query.ts";
import { formatSse, type Progress, type SseMessage, withHeartbeats } from "./sse.ts";

/** An answer whose body comes bit by bit. */
export interface StreamResult {
  statusCode: number;
  headers: Record<string, string>;
  body: AsyncIterable<string | Uint8Array>;
}

/** Tells that a job may have changed. */
export interface Changes {
  /** `next` resolves when the job may have changed since it was called last (or since the subscription). */
  subscribe(jobId: JobId): { next(signal: AbortSignal): Promise<void>; end(): void };
}

export interface StreamDeps {
  ctx: EngineContext;
  changes: Changes;
  /** What is going on in a launch of this process, such as the progress of a pull; null when nothing is to be told. */
  progressOf(jobId: JobId): object | null;
  /** Calls `wake` when that has changed; returns the function that ends it. */
  onProgress(jobId: JobId, wake: () => void): () => void;
  /** The logs that are followed; given where several handlers share them, default: of this handler's own. */
  live?: LiveLogs;
  /** As `sign` of the handler of artifacts. */
  signArtifact?: ArtifactDeps["sign"];
}

const SSE_HEADERS = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
};
const TEXT_HEADERS = { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" };
const PAGE = 500;

/** Whether a request is for this handler: it follows, or it wants something else than one JSON document. */
export function wantsStream(event: ApiEvent): boolean {
  if (wantsArtifact(event)) return true;
  if (/\/events$/.test(event.path)) return follows(event);
  return /\/logs$/.test(event.path) && (follows(event) || accepts(event, "text/plain"));
}

/** Events and logs as server-sent events, logs as text, and the bytes of artifacts. `signal` aborts when the reader has gone. */
export function makeHandler(given: StreamDeps) {
  const { ctx, signArtifact, live = createLiveLogs(ctx) } = given;
  const deps = { ...given, live };
  const artifact = artifacts(signArtifact === undefined ? { ctx } : { ctx, sign: signArtifact });
  return async (event: ApiEvent, signal: AbortSignal): Promise<StreamResult> => {
    try {
      if (wantsArtifact(event)) return await artifact(event);
      const request = { job: await jobOf(deps.ctx, event), event, signal };
      if (/\/events$/.test(event.path)) return streamEvents(deps, request);
      if (accepts(event, "text/plain") && !accepts(event, "text/event-stream")) {
        return logText(deps, request);
      }
      return streamLogs(deps, request);
    } catch (error) {
      const { statusCode, headers, body } = problem(error, instanceOf(event), deps.ctx.logger);
      return { statusCode, headers: headers as Record<string, string>, body: one(body) };
    }
  };
}

type Following = StreamDeps & { live: LiveLogs };

/** One reader's request: the job, what is asked, and the signal that aborts when the reader has gone. */
interface Request {
  job: JobRecord;
  event: ApiEvent;
  signal: AbortSignal;
}

function accepts(event: ApiEvent, type: string): boolean {
  return (header(event, "accept") ?? "").includes(type);
}

function follows(event: ApiEvent): boolean {
  const { follow } = event.queryStringParameters ?? {};
  return accepts(event, "text/event-stream") || follow === "true" || follow === "1" || follow === "";
}

function streamEvents(deps: StreamDeps, request: Request): StreamResult {
  const { event } = request;
  const after = lastEventId(header(event, "last-event-id")) ?? eventParams(event).cursor;
  return sse(deps, request.job, eventMessages(deps, request, after));
}

async function* eventMessages(
  { ctx, changes }: StreamDeps,
  { job: { jobId }, signal }: Request,
  from: number,
): AsyncGenerator<SseMessage[]> {
  const subscription = changes.subscribe(jobId);
  try {
    for (let after = from; !signal.aborted; ) {
      const job = await readJob(ctx.ledger, jobId);
      if (job === undefined) return;
      const events = await readEvents(ctx.ledger, jobId, { after, limit: PAGE });
      const last = events.findIndex(({ type }) => isTerminalEvent(type)) + 1;
      const told = last > 0 ? events.slice(0, last) : events;
      after = told.at(-1)?.seq ?? after;
      if (told.length > 0) yield told.map((event) => ({ id: event.seq, event: "event", data: describeEvent(event) }));
      if (last > 0) return yield [await endMessage(ctx, jobId)];
      if (events.length === PAGE) continue;
      if (isTerminal(job.status)) return yield [await endMessage(ctx, jobId)];
      await subscription.next(signal);
    }
  } finally {
    subscription.end();
  }
}

function isTerminalEvent(type: string): boolean {
  return (TERMINAL_STATUSES as readonly string[]).includes(type);
}

function streamLogs(deps: Following, { job, event, signal }: Request): StreamResult {
  return sse(deps, job, logMessages(deps, { job, signal }, logQuery(event)));
}

function logText(deps: Following, { job, event, signal }: Request): StreamResult {
  const query = logQuery(event);
  const body = follows(event)
    ? followedText(logMessages(deps, { job, signal }, query))
    : text(askedLines(deps.ctx, job, { ...query, signal }));
  return { statusCode: 200, headers: TEXT_HEADERS, body };
}

async function* text(batches: AsyncIterable<LogLine[]>): AsyncGenerator<string> {
  for await (const lines of batches) yield lines.map((line) => `${line.text}\n`).join("");
}

async function* followedText(batches: AsyncIterable<SseMessage[]>): AsyncGenerator<string> {
  for await (const messages of batches) {
    const lines = messages.filter(({ event }) => event === "log").map(({ data }) => data as LogLine);
    if (lines.length > 0) yield lines.map((line) => `${line.text}\n`).join("");
  }
}

function sse(deps: StreamDeps, job: JobRecord, messages: AsyncIterable<SseMessage[]>): StreamResult {
  return { statusCode: 200, headers: SSE_HEADERS, body: formatted(withHeartbeats(messages, progressOf(deps, job))) };
}

/** The progress of a job's pull, as heartbeats tell it. */
export function progressOf(deps: StreamDeps, { jobId }: JobRecord): Progress {
  return {
    latest: () => deps.progressOf(jobId),
    subscribe: (wake) => deps.onProgress(jobId, wake),
  };
}

async function* formatted(batches: AsyncIterable<SseMessage[]>): AsyncGenerator<string> {
  for await (const messages of batches) yield messages.map(formatSse).join("");
}

async function* one(text: string): AsyncGenerator<string> {
  yield text;
}
