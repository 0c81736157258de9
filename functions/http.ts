import type { APIGatewayProxyEvent, APIGatewayProxyResult } from "aws-lambda";
import { asLongshoreError, ERRORS, LongshoreError } from "../engine/errors.ts";
import type { Logger } from "../engine/ports/logger.ts";
import { type TraceContext, traceOf } from "../engine/trace.ts";

export type ApiEvent = APIGatewayProxyEvent;
export type ApiResult = APIGatewayProxyResult;

/** The largest body that the API takes, bytes. */
export const MAX_BODY_BYTES = 256 * 1024;

export function json(statusCode: number, body: unknown, headers: Record<string, string> = {}): ApiResult {
  return { statusCode, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
}

/** The answer to a call that leaves nothing to tell. */
export function noContent(): ApiResult {
  return { statusCode: 204, headers: {}, body: "" };
}

/**
 * Anything thrown, as an RFC 9457 problem document. Only what Longshore says on purpose gets out: an unforeseen error
 * is logged and answered without its text.
 */
export function problem(thrown: unknown, instance: string, logger: Logger): ApiResult {
  const error = asLongshoreError(thrown);
  const { http, title } = ERRORS[error.code];
  if (http >= 500) logger.error({ error, instance }, "request failed");
  const body = {
    type: "about:blank",
    title,
    status: http,
    detail: error.message,
    code: error.code,
    instance,
    ...(error.violations === undefined ? {} : { violations: error.violations }),
  };
  const headers: Record<string, string> = { "Content-Type": "application/problem+json" };
  if (error.retryAfterSeconds !== undefined) headers["Retry-After"] = String(error.retryAfterSeconds);
  if (error.code === "UPGRADE_REQUIRED") headers.Upgrade = "websocket";
  return { statusCode: http, headers, body: JSON.stringify(body) };
}

/** A middleware that turns what a handler throws into a problem document. */
export function problems(logger: Logger) {
  return {
    onError: (request: { event: ApiEvent; error: Error | null; response: unknown }) => {
      request.response = problem(request.error, instanceOf(request.event), logger);
    },
  };
}

/** Answers what reaches a function that has no route for it: API Gateway takes a path with a slash behind it for another. */
export function noRoute(): never {
  throw new LongshoreError("NOT_FOUND", "there is no such resource");
}

/** The path that was called, as the caller wrote it. */
export function instanceOf(event: ApiEvent): string {
  return event.requestContext?.path ?? event.path;
}

/** The answer of a list: a page, and a `Link` to the next one. */
export function listed(event: ApiEvent, items: unknown[], nextCursor: string | null): ApiResult {
  return json(200, { items, nextCursor }, nextCursor === null ? {} : { Link: nextLink(event, nextCursor) });
}

/** The same query with the next cursor, as a `Link` header. */
function nextLink(event: ApiEvent, cursor: string): string {
  const query = new URLSearchParams();
  for (const [name, values] of Object.entries(event.multiValueQueryStringParameters ?? {})) {
    if (name !== "cursor") for (const value of values ?? []) query.append(name, value);
  }
  query.set("cursor", cursor);
  return `<${instanceOf(event)}?${query}>; rel="next"`;
}

/** A header's value, whatever its case; undefined when it is not there. */
export function header(event: ApiEvent, name: string): string | undefined {
  const wanted = name.toLowerCase();
  for (const [key, value] of Object.entries(event.headers ?? {})) if (key.toLowerCase() === wanted) return value;
  return undefined;
}

/**
 * The request's body, parsed.
 * @throws LongshoreError PAYLOAD_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE or MALFORMED. The messages never quote the body.
 */
export function jsonBody(event: ApiEvent): unknown {
  const raw = event.body ?? "";
  const text = event.isBase64Encoded ? Buffer.from(raw, "base64").toString("utf8") : raw;
  if (Buffer.byteLength(text) > MAX_BODY_BYTES) throw tooLarge();
  const type = header(event, "content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new LongshoreError("UNSUPPORTED_MEDIA_TYPE", "the body must be application/json");
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    // The parser's own message quotes the text, and that may hold a secret value.
    const position = /position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
    const where = position === undefined ? "" : ` (at position ${position})`;
    throw new LongshoreError("MALFORMED", `the body is not valid JSON${where}`);
  }
}

/**
 * The body of a call that needs none: undefined when there is none, and no other form than JSON even then, so that no
 * web page can send it as a form.
 * @throws LongshoreError as `jsonBody`.
 */
export function optionalJsonBody(event: ApiEvent): unknown {
  return event.body === null || event.body === "" ? undefined : jsonBody(event);
}

export function tooLarge(): LongshoreError {
  return new LongshoreError("PAYLOAD_TOO_LARGE", `the body is larger than ${MAX_BODY_BYTES} bytes`);
}

/** The trace that a caller says to be in. A `traceparent` that comes twice says nothing. */
export function traceOfCaller(event: ApiEvent): TraceContext | undefined {
  const times = Object.entries(event.multiValueHeaders ?? {}).find(([name]) => name.toLowerCase() === "traceparent");
  if ((times?.[1]?.length ?? 0) > 1) return undefined;
  return traceOf({ traceparent: header(event, "traceparent"), tracestate: header(event, "tracestate") });
}

/** Who calls: the IAM identity where API Gateway authenticated one, else the machine's own user. */
export function callerOf(event: ApiEvent): string {
  return event.requestContext?.identity?.userArn ?? "local";
}

export function pathParameter(event: ApiEvent, name: string): string {
  const value = event.pathParameters?.[name] ?? "";
  try {
    return decodeURIComponent(value);
  } catch {
    throw new LongshoreError("MALFORMED", `the path's ${name} is not correctly percent-encoded`);
  }
}
