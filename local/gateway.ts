import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { LongshoreError } from "../engine/errors.ts";
import type { Logger } from "../engine/ports/logger.ts";
import { type ApiEvent, type ApiResult, MAX_BODY_BYTES, problem, tooLarge } from "../functions/http.ts";
import type { LogFeed } from "../functions/log-socket.ts";
import { matchPath } from "../functions/routes.ts";
import { type StreamResult, wantsStream } from "../functions/stream.ts";
import { docsFile, isDocs } from "./docs.ts";
import { checkOrigin, proxyEvent, readBody } from "./http-event.ts";
import { createLogSockets, type LogSockets, type Upgrade } from "./log-sockets.ts";

/** The functions behind the front door. */
export interface Functions {
  submit(event: ApiEvent): Promise<ApiResult>;
  query(event: ApiEvent): Promise<ApiResult>;
  stream(event: ApiEvent, signal: AbortSignal): Promise<StreamResult>;
  /** What a WebSocket of a log says; without it there are none. */
  logSocket?(event: ApiEvent, signal: AbortSignal): Promise<LogFeed>;
  /** The metrics, for a scraper that accepts these media types. Default: there is no such resource. */
  metrics?(accept: string | undefined): Promise<ApiResult>;
  /** Gets every request that was answered. Default: nobody. */
  answered?(request: { method: string; route: string; code: number }): void;
}

export interface Gateway {
  /** `http://127.0.0.1:PORT`. */
  url: string;
  /** Takes no more requests, ends the open ones. Idempotent. */
  close(): Promise<void>;
}

/** The contract's base path: the stage and the version, as API Gateway has them. */
const STAGE = "/api";
const LOG_SOCKET = new RegExp(`^${STAGE}/v1/jobs/[^/]+/logs/stream/?$`);
/** Where the metrics are: below the API, and where scrapers look by themselves. */
const METRICS_PATHS: readonly string[] = ["/metrics", `${STAGE}/v1/metrics`];

/**
 * The front door of the home on one machine: HTTP on loopback, which calls the same handlers that API Gateway calls.
 * @throws LongshoreError CONFLICT when the port is taken.
 */
export async function openGateway(functions: Functions, port: number, logger: Logger): Promise<Gateway> {
  const closing = new AbortController();
  const sockets = createLogSockets(logger, closing.signal);
  const door = { functions, logger, closing: closing.signal, sockets };
  // Whatever else asks for another protocol is answered in this one (RFC 9110, 7.8).
  const shouldUpgradeCallback = (request: IncomingMessage) => functions.logSocket !== undefined && wantsSocket(request);
  const server = createServer({ shouldUpgradeCallback }, (request, response) => {
    if (functions.answered !== undefined) tellAnswer(functions.answered, request, response);
    answer(door, request, response).catch((error: unknown) => {
      logger.debug({ error }, "a connection broke");
      response.destroy();
    });
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", (error) => logger.debug({ error }, "a connection broke"));
    openSocket(door, { request, socket, head }).catch((error: unknown) => {
      logger.debug({ error }, "a connection broke");
      socket.destroy();
    });
  });
  await listen(server, port);
  const { port: actual } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${actual}`,
    async close() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      closing.abort();
      server.closeIdleConnections();
      const patience = setTimeout(() => {
        server.closeAllConnections();
        sockets.terminate();
      }, 2000);
      await closed;
      clearTimeout(patience);
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  } catch (error) {
    throw new LongshoreError("CONFLICT", `port ${port} on 127.0.0.1 cannot be listened on`, { cause: error });
  }
}

interface Door {
  functions: Functions;
  logger: Logger;
  closing: AbortSignal;
  sockets: LogSockets;
}

/** Tells of the answer by the route that takes the path: a path itself is whatever a caller likes. */
function tellAnswer(
  told: NonNullable<Functions["answered"]>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  response.once("close", () => {
    // Who hung up before there was an answer got none.
    if (!response.headersSent) return;
    const path = pathOf(request);
    told({ method: request.method ?? "GET", route: routeOf(path), code: response.statusCode });
  });
}

function routeOf(path: string): string {
  if (METRICS_PATHS.includes(path)) return "/v1/metrics";
  const route = path.startsWith(`${STAGE}/`) ? matchPath(path.slice(STAGE.length)).route : undefined;
  return route ?? "none";
}

async function metrics(door: Door, request: IncomingMessage, path: string): Promise<ApiResult> {
  if (door.functions.metrics === undefined) throw new LongshoreError("NOT_FOUND", "there is no such resource");
  if (request.method === "GET") return await door.functions.metrics(request.headers.accept);
  const refused = problem(new LongshoreError("METHOD_NOT_ALLOWED", "only GET is possible here"), path, door.logger);
  return { ...refused, headers: { ...refused.headers, Allow: "GET" } };
}

async function answer(door: Door, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { functions, logger } = door;
  const path = pathOf(request);
  try {
    checkOrigin(request);
    if (METRICS_PATHS.includes(path)) return send(response, await metrics(door, request, path));
    if (isDocs(path)) return await showDocs(door, request, response);
    if (!path.startsWith(`${STAGE}/v1/`)) throw new LongshoreError("NOT_FOUND", "the API begins at /api/v1");
    const resource = path.slice(STAGE.length);
    const method = request.method ?? "GET";
    const { methods: allowed, parameters } = matchPath(resource);
    if (allowed.length === 0) throw new LongshoreError("NOT_FOUND", "there is no such resource");
    if (!allowed.includes(method)) return send(response, notAllowed(method, allowed, { path, logger }));
    const body = await readBody(request, MAX_BODY_BYTES, tooLarge);
    const event = proxyEvent(request, { path: resource, parameters, body });
    const isRead = method === "GET" || method === "HEAD";
    if (isRead && wantsStream(event)) return await stream(door, event, response);
    send(response, await (isRead ? functions.query(event) : functions.submit(event)));
  } catch (error) {
    // Who hung up while the body was read gets no answer, and is no error of ours.
    if (response.headersSent || request.errored) throw error;
    send(response, problem(error, path, logger));
  }
}

function notAllowed(method: string, allowed: string[], { path, logger }: { path: string; logger: Logger }): ApiResult {
  const refused = problem(new LongshoreError("METHOD_NOT_ALLOWED", `${method} is not possible here`), path, logger);
  return { ...refused, headers: { ...refused.headers, Allow: allowed.join(", ") } };
}

async function showDocs({ logger }: Door, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = pathOf(request);
  const { method = "GET" } = request;
  const allowed = ["GET", "HEAD"];
  if (!allowed.includes(method)) return send(response, notAllowed(method, allowed, { path, logger }));
  const { headers, body } = await docsFile(path);
  response.writeHead(200, { ...headers, "Content-Length": body.length });
  response.end(method === "HEAD" ? undefined : body);
}

/** The path that is asked for; what cannot be one asks for nothing that there is. */
function pathOf({ url = "/" }: IncomingMessage): string {
  return URL.parse(url, "http://localhost")?.pathname ?? "/";
}

/** Whether a request is to become a WebSocket of a log. */
function wantsSocket(request: IncomingMessage): boolean {
  const asks = /^websocket$/i.test(request.headers.upgrade ?? "");
  return asks && request.method === "GET" && LOG_SOCKET.test(pathOf(request));
}

async function openSocket({ functions, sockets, logger }: Door, upgrade: Upgrade): Promise<void> {
  const { request, socket } = upgrade;
  const path = pathOf(request);
  try {
    checkOrigin(request);
    const resource = path.slice(STAGE.length);
    const event = proxyEvent(request, { path: resource, parameters: matchPath(resource).parameters, body: null });
    await sockets.serve(upgrade, (signal) => {
      if (functions.logSocket === undefined) throw new LongshoreError("NOT_FOUND", "there is no such resource");
      return functions.logSocket(event, signal);
    });
  } catch (error) {
    if (socket.destroyed) return;
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket as Socket);
    response.on("finish", () => socket.end());
    send(response, problem(error, path, logger));
  }
}

function send(response: ServerResponse, { statusCode, headers, body }: ApiResult): void {
  // An answer without content has no length either, not even 0 (RFC 9110, 8.6).
  const length = [204, 304].includes(statusCode) ? {} : { "Content-Length": Buffer.byteLength(body) };
  response.writeHead(statusCode, { ...(headers as Record<string, string>), ...length });
  response.end(body);
}

async function stream({ functions, closing }: Door, event: ApiEvent, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  const signal = AbortSignal.any([gone.signal, closing]);
  const { statusCode, headers, body } = await functions.stream(event, signal);
  response.writeHead(statusCode, headers);
  response.flushHeaders();
  for await (const chunk of body) {
    if (signal.aborted) break;
    if (!response.write(chunk)) await drained(response, gone.signal);
  }
  response.end();
}

/** Resolves when a slow reader has taken what was written, or has gone. */
async function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  try {
    await once(response, "drain", { signal: gone });
  } catch (error) {
    if (!gone.aborted) throw error;
  }
}
