import type { IncomingMessage } from "node:http";
import { LongshoreError } from "../engine/errors.ts";
import type { ApiEvent } from "../functions/http.ts";

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;
const LOOPBACK_ORIGIN = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

/**
 * Lets only this machine's own programs in: a web page could reach loopback with a name of its own (`Host`) or from
 * its own `Origin`. An Origin must be the very door that the request came through.
 * @throws LongshoreError FORBIDDEN.
 */
export function checkOrigin({ headers }: IncomingMessage): void {
  const { host = "", origin } = headers;
  if (!LOOPBACK_HOST.test(host)) throw new LongshoreError("FORBIDDEN", "the Host header does not name this machine");
  if (origin === undefined) return;
  if (!LOOPBACK_ORIGIN.test(origin) || origin.slice("http://".length).toLowerCase() !== host.toLowerCase()) {
    throw new LongshoreError("FORBIDDEN", "requests from other origins are refused");
  }
}

/**
 * The request's body as text. What is too large is read to its end all the same, so that the sender hears the answer.
 * @throws LongshoreError MALFORMED for what is not UTF-8; what `tooLarge` makes.
 */
export async function readBody(
  request: IncomingMessage,
  maxBytes: number,
  tooLarge: () => Error,
): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop must not cut the connection: the answer has to get through it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
    if (size > maxBytes * 64) break;
  }
  if (size > maxBytes) {
    // What still comes is read and forgotten, until the server's own limit for one request.
    request.resume();
    throw tooLarge();
  }
  if (size === 0) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    throw new LongshoreError("MALFORMED", "the body is not UTF-8", { cause: error });
  }
}

/** A request as API Gateway would hand it to a function (REST API, proxy integration). */
export function proxyEvent(
  request: IncomingMessage,
  matched: { path: string; parameters: Record<string, string>; body: string | null },
): ApiEvent {
  const url = new URL(request.url ?? "/", "http://localhost");
  // Without a prototype: a parameter may have the name of what every object inherits.
  const single: Record<string, string> = Object.create(null);
  const multi: Record<string, string[]> = Object.create(null);
  for (const [name, value] of url.searchParams) {
    single[name] = value;
    multi[name] = [...(multi[name] ?? []), value];
  }
  const headers = Object.entries(request.headers).map(([name, value]) => [name, [value].flat().join(", ")]);
  const path = matched.path.replace(/(.)\/$/, "$1");
  return {
    httpMethod: request.method ?? "GET",
    path,
    resource: path,
    headers: Object.fromEntries(headers),
    multiValueHeaders: {},
    queryStringParameters: single,
    multiValueQueryStringParameters: multi,
    pathParameters: matched.parameters,
    stageVariables: null,
    body: matched.body,
    isBase64Encoded: false,
    requestContext: { path: url.pathname } as ApiEvent["requestContext"],
  };
}
