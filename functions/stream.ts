import type { EngineContext } from "../engine/context.ts";
import type { JobId } from "../engine/ids.ts";
import { readEvents, readJob } from "../engine/ledger/read.ts";
import type { JobRecord } from "../engine/ledger/records.ts";
import { describeEvent, describeWholeJob } from "../engine/operations/describe.ts";
import type { LogLine } from "../engine/operations/log-line.ts";
import { followLogs, readLogs } from "../engine/operations/read-logs.ts";
import { isTerminal, TERMINAL_STATUSES } from "../engine/states.ts";
import { type ArtifactDeps, makeHandler as artifacts, wantsArtifact } from "./artifacts.ts";
import { type ApiEvent, header, instanceOf, problem } from "./http.ts";
import { eventParams, type LogParams, lastEventId, logParams } from "./params.ts";
import { firstSeq, jobOf, selectLines } from "./query.ts";
import { formatSse, type SseMessage, withHeartbeats } from "./sse.ts";

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
export function makeHandler(deps: StreamDeps) {
  const { ctx, signArtifact } = deps;
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
): AsyncGenerator<SseMessage> {
  const subscription = changes.subscribe(jobId);
  try {
    for (let after = from; !signal.aborted; ) {
      const job = await readJob(ctx.ledger, jobId);
      if (job === undefined) return;
      const events = await readEvents(ctx.ledger, jobId, { after, limit: PAGE });
      for (const event of events) {
        after = event.seq;
        yield { id: event.seq, event: "event", data: describeEvent(event) };
        if (isTerminalEvent(event.type)) return yield* end(ctx, jobId);
      }
      if (events.length === PAGE) continue;
      if (isTerminal(job.status)) return yield* end(ctx, jobId);
      await subscription.next(signal);
    }
  } finally {
    subscription.end();
  }
}

function isTerminalEvent(type: string): boolean {
  return (TERMINAL_STATUSES as readonly string[]).includes(type);
}

async function* end(ctx: EngineContext, jobId: JobId): AsyncGenerator<SseMessage> {
  const job = await readJob(ctx.ledger, jobId);
  yield { event: "end", data: job === undefined ? {} : await describeWholeJob(ctx, job) };
}

function streamLogs(deps: StreamDeps, request: Request): StreamResult {
  return sse(deps, request.job, logMessages(deps, request, logQuery(request.event)));
}

/** What is asked of the log, checked before the answer begins; `resumed`: the last line that the reader has. */
function logQuery(event: ApiEvent): LogParams & { resumed?: number } {
  const resumed = lastEventId(header(event, "last-event-id"));
  return resumed === undefined ? logParams(event) : { ...logParams(event), resumed };
}

async function* logMessages(
  deps: StreamDeps,
  { job, signal }: Request,
  params: LogParams & { resumed?: number },
): AsyncGenerator<SseMessage> {
  const { tail, resumed, ...rest } = params;
  const subscription = deps.changes.subscribe(job.jobId);
  let after = resumed ?? firstSeq(params);
  try {
    // A reader that comes back gets what follows its last line; a new one may ask for the end of what is there.
    if (resumed === undefined && tail !== undefined) {
      // What was left out is not followed either: `tail=0` means only what comes from now on.
      const there = noted(readLogs(deps.ctx, job, { after, signal }), (line) => {
        after = line.seq;
      });
      for await (const line of selectLines(there, params)) yield { id: line.seq, event: "log", data: line };
    }
    const lines = followLogs(deps.ctx, job, { after, signal, changed: () => subscription.next(signal) });
    for await (const line of selectLines(lines, rest)) yield { id: line.seq, event: "log", data: line };
    if (!signal.aborted) yield* end(deps.ctx, job.jobId);
  } finally {
    subscription.end();
  }
}

function logText(deps: StreamDeps, request: Request): StreamResult {
  const { job, event, signal } = request;
  const params = logQuery(event);
  const body = follows(event)
    ? followedText(logMessages(deps, request, params))
    : text(selectLines(readLogs(deps.ctx, job, { after: firstSeq(params), signal }), params));
  return { statusCode: 200, headers: TEXT_HEADERS, body };
}

async function* text(lines: AsyncIterable<LogLine>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line.text}\n`;
}

async function* followedText(messages: AsyncIterable<SseMessage>): AsyncGenerator<string> {
  for await (const { event, data } of messages) if (event === "log") yield `${(data as LogLine).text}\n`;
}

function sse(deps: StreamDeps, job: JobRecord, messages: AsyncIterable<SseMessage>): StreamResult {
  const progress = {
    latest: () => deps.progressOf(job.jobId),
    subscribe: (wake: () => void) => deps.onProgress(job.jobId, wake),
  };
  return { statusCode: 200, headers: SSE_HEADERS, body: formatted(withHeartbeats(messages, progress)) };
}

async function* formatted(messages: AsyncIterable<SseMessage>): AsyncGenerator<string> {
  for await (const message of messages) yield formatSse(message);
}

async function* one(text: string): AsyncGenerator<string> {
  yield text;
}

async function* noted(lines: AsyncIterable<LogLine>, note: (line: LogLine) => void): AsyncGenerator<LogLine> {
  for await (const line of lines) {
    note(line);
    yield line;
  }
}
