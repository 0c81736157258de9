import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { Context } from "aws-lambda";
import type { Logger } from "../../engine/ports/logger.ts";
import type { ApiEvent, ApiResult } from "../http.ts";
import { type StreamResult, wantsStream } from "../stream.ts";
import { refusalOf } from "./api.ts";
import type { Work } from "./work.ts";

/** What Lambda's Node.js runtime has for a function that streams: https://docs.aws.amazon.com/lambda/latest/dg/config-rs-write-functions.html */
interface LambdaStreaming {
  streamifyResponse<E>(handler: (event: E, response: Writable, context: Context) => Promise<void>): unknown;
  HttpResponseStream: {
    from(response: Writable, head: { statusCode: number; headers: Record<string, string> }): Writable;
  };
}

declare const awslambda: LambdaStreaming;

/** An event with the place where its answer goes. */
export interface Streamed {
  event: ApiEvent;
  response: Writable;
}

/** Exports a handler of streamed answers as Lambda wants it. */
export function streamify(handler: (streamed: Streamed, context: Context) => Promise<void>): unknown {
  return awslambda.streamifyResponse<ApiEvent>((event, response, context) => handler({ event, response }, context));
}

export interface StreamedDeps {
  logger: Logger;
  work: Work;
  stream(event: ApiEvent, signal: AbortSignal): Promise<StreamResult>;
  /** Answers what is asked of the same resources as one JSON document. */
  query(event: ApiEvent, context: Context): Promise<ApiResult> | ApiResult;
}

/**
 * Answers bit by bit, until the job has ended, the reader has gone, or the invocation's time is nearly over: a reader
 * then comes back with `Last-Event-ID`.
 */
export function streaming({ logger, work, stream, query }: StreamedDeps) {
  return async ({ event, response }: Streamed, context: Context): Promise<void> => {
    const gone = new AbortController();
    const onGone = () => gone.abort();
    response.once("close", onGone);
    response.once("error", onGone);
    const signal = AbortSignal.any([gone.signal, work.signal()]);
    const answer = wantsStream(event)
      ? await stream(event, signal)
      : whole(refusalOf(event, logger) ?? (await query(event, context)));
    const head = { statusCode: answer.statusCode, headers: { "X-Content-Type-Options": "nosniff", ...answer.headers } };
    const body = awslambda.HttpResponseStream.from(response, head);
    for await (const chunk of answer.body) {
      if (signal.aborted) break;
      if (!body.write(chunk)) await drained(body, signal);
    }
    if (gone.signal.aborted) return;
    body.end();
    await finished(body);
  };
}

function whole({ statusCode, headers, body }: ApiResult): StreamResult {
  return { statusCode, headers: headers as Record<string, string>, body: one(body) };
}

async function* one(text: string): AsyncGenerator<string> {
  yield text;
}

async function drained(body: Writable, signal: AbortSignal): Promise<void> {
  const wait = Promise.withResolvers<void>();
  const resolve = () => wait.resolve();
  body.once("drain", resolve);
  signal.addEventListener("abort", resolve, { once: true });
  if (signal.aborted) resolve();
  await wait.promise;
  body.off("drain", resolve);
  signal.removeEventListener("abort", resolve);
}
