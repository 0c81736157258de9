import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { Event, Job, LogLine } from "../../sdk/types.ts";

export interface Received {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage["headers"];
  body: string;
}

export type Route = (request: Received, response: ServerResponse) => void | Promise<void>;

export interface ContractServer {
  url: string;
  port: number;
  received: Received[];
  /** Replaces the routes; a key is `METHOD /path`, below /api/v1. */
  routes: Record<string, Route>;
  close(): Promise<void>;
}

/** A small HTTP server that answers as the contract says what a test tells it to. */
export async function startContractServer(routes: Record<string, Route> = {}): Promise<ContractServer> {
  const received: Received[] = [];
  const state = { routes: { "GET /health": health, ...routes } as Record<string, Route> };
  const server: Server = createServer((request, response) => {
    void answer(request, response);
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const one: Received = {
      method: request.method ?? "",
      path: url.pathname.replace("/api/v1", ""),
      query: url.searchParams,
      headers: request.headers,
      body: await text(request),
    };
    received.push(one);
    const route = state.routes[`${one.method} ${one.path}`];
    if (route) await route(one, response);
    else problem(response, { status: 404, code: "NOT_FOUND", detail: `no route ${one.method} ${one.path}` });
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    received,
    get routes() {
      return state.routes;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function health(_: Received, response: ServerResponse): void {
  json(response, { ok: true, version: "0.0.0", checks: [] });
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

export function problem(
  response: ServerResponse,
  body: { status: number; code: string; detail?: string; violations?: unknown[] },
  headers: Record<string, string> = {},
): void {
  response
    .writeHead(body.status, { "content-type": "application/problem+json", ...headers })
    .end(JSON.stringify({ type: "about:blank", title: body.code, ...body }));
}

export function sse(message: { id?: number; event: string; data: unknown }): string {
  const id = message.id === undefined ? "" : `id: ${message.id}\n`;
  return `${id}event: ${message.event}\ndata: ${JSON.stringify(message.data)}\n\n`;
}

export function openStream(response: ServerResponse): ServerResponse {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
  return response;
}

export const JOB_ID = "job_01J00000000000000000000000";

export function aJob(over: Partial<Job> = {}): Job {
  return {
    jobId: JOB_ID,
    name: "alpine",
    status: "PENDING",
    phase: "queued",
    waitReason: null,
    attempt: 1,
    maxAttempts: 1,
    runtime: "docker",
    image: "alpine:3.20",
    externalRef: null,
    externalName: null,
    createdAt: "2026-01-02T03:04:05.000Z",
    startedAt: null,
    finishedAt: null,
    durationMs: null,
    exitCode: null,
    error: null,
    labels: {},
    lane: "default",
    priority: 0,
    submittedBy: "local",
    retryOf: null,
    specHash: "sha256:00",
    cost: null,
    cancelRequestedAt: null,
    lastHeartbeatAt: null,
    version: 1,
    spec: {} as Job["spec"],
    attempts: [],
    artifacts: [],
    ...over,
  };
}

export function aLine(seq: number, over: Partial<LogLine> = {}): LogLine {
  return { seq, time: "2026-01-02T03:04:06.000Z", stream: "stdout", text: `line ${seq}`, attempt: 1, ...over };
}

export function anEvent(seq: number, over: Partial<Event> = {}): Event {
  return {
    jobId: JOB_ID,
    seq,
    type: "SUBMITTED",
    at: "2026-01-02T03:04:05.000Z",
    attempt: 1,
    status: "PENDING",
    phase: "queued",
    data: {},
    ...over,
  };
}
