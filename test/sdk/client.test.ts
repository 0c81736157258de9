import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createClient, type LongshoreClient } from "../../sdk/client.ts";
import { ApiError, ConnectionError } from "../../sdk/errors.ts";
import {
  aJob,
  aLine,
  anEvent,
  type ContractServer,
  JOB_ID,
  json,
  problem,
  type Route,
  startContractServer,
} from "./contract-server.ts";

let server: ContractServer;
let client: LongshoreClient;

beforeEach(async () => {
  server = await startContractServer();
  client = createClient({ endpoint: server.url });
});
afterEach(async () => {
  await server.close();
});

describe("an endpoint", () => {
  it.each(["", "localhost:7070", "ftp://localhost", "not a url"])("%j is refused", (endpoint) => {
    expect(() => createClient({ endpoint })).toThrow(TypeError);
  });

  it("with credentials is refused without repeating them", () => {
    expect(() => createClient({ endpoint: "https://me:hunter2@example.org" })).toThrow(
      /^(?!.*hunter2).*must not carry credentials/,
    );
  });

  it.each(["", "/", "/api", "/api/", "/api/v1", "/api/v1/"])("may end in %j", async (end) => {
    await createClient({ endpoint: server.url + end }).health();
    expect(server.received[0]?.path).toBe("/health");
  });

  it("that nobody listens on gives a ConnectionError that names it", async () => {
    const { port } = server;
    await server.close();
    const error: unknown = await client.jobs.cancel(JOB_ID).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(String(error)).toContain(`http://127.0.0.1:${port} (ECONNREFUSED)`);
    server = await startContractServer();
  });

  it("that is no Longshore gives a ConnectionError", async () => {
    server.routes["GET /runtimes"] = (_, response) => {
      response.end("<html>");
    };
    await expect(client.runtimes.list()).rejects.toThrow("no Longshore");
  });

  it("that does not speak HTTP gives a ConnectionError", async () => {
    const garbage = createServer((socket) => socket.end("SSH-2.0-x\r\n", () => socket.destroy()));
    await new Promise<void>((resolve) => garbage.listen(0, "127.0.0.1", resolve));
    const { port } = garbage.address() as { port: number };
    await expect(createClient({ endpoint: `http://127.0.0.1:${port}` }).jobs.retry(JOB_ID)).rejects.toThrow(
      ConnectionError,
    );
    await new Promise((resolve) => garbage.close(resolve));
  });

  it("may move: it is asked for again after a connection was lost", async () => {
    const gone = await startContractServer();
    await gone.close();
    const places = [gone.url, server.url];
    let lost = 0;
    const moving = createClient({
      endpoint: {
        url: async () => places[lost] ?? "",
        lost: () => {
          lost += 1;
        },
      },
    });
    expect((await moving.health()).ok).toBe(true);
    expect(lost).toBe(1);
  });
});

describe("an error answer", () => {
  it("becomes an ApiError with the whole problem", async () => {
    const violations = [{ path: "env.A", code: "invalid_type", message: "must be a text" }];
    server.routes["POST /jobs"] = (_, response) =>
      problem(response, { status: 422, code: "VALIDATION", detail: "the spec is invalid", violations });
    const error = await client.jobs.submit({}).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 422, code: "VALIDATION", message: "the spec is invalid", violations });
    expect(server.received).toHaveLength(1);
  });

  it("tells when to come again", async () => {
    server.routes["POST /jobs"] = (_, response) =>
      problem(response, { status: 429, code: "QUEUE_FULL" }, { "retry-after": "7" });
    await expect(client.jobs.submit({})).rejects.toMatchObject({ code: "QUEUE_FULL", retryAfterSeconds: 7 });
  });

  it.each([
    ["an HTML page", "<html>", "text/html"],
    ["nothing", "", "text/plain"],
    ["another JSON", "[1]", "application/json"],
    ["null", "null", "application/json"],
  ])("of a proxy that holds %s keeps its status", async (_, body, type) => {
    server.routes["GET /runtimes"] = (_request, response) => {
      response.writeHead(502, { "content-type": type }).end(body);
    };
    await expect(client.runtimes.list()).rejects.toMatchObject({
      status: 502,
      code: "UNKNOWN",
      message: "Bad Gateway",
    });
  });
});

describe("a lost answer", () => {
  it("of a submit is asked for again under the same key", async () => {
    let tries = 0;
    server.routes["POST /jobs"] = (_, response) => {
      tries += 1;
      if (tries === 1) response.destroy();
      else json(response, aJob(), 202);
    };
    expect((await client.jobs.submit({ image: "alpine" })).jobId).toBe(JOB_ID);
    const keys = server.received.map((request) => request.headers["idempotency-key"]);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(keys[1]).toBe(keys[0]);
  });

  it("that broke off half-way is asked for again", async () => {
    let tries = 0;
    server.routes[`GET /jobs/${JOB_ID}`] = (_, response) => {
      tries += 1;
      const whole = JSON.stringify(aJob());
      response.writeHead(200, { "content-length": Buffer.byteLength(whole) });
      if (tries === 1) response.write(whole.slice(0, 50), () => response.destroy());
      else response.end(whole);
    };
    expect(await client.jobs.get(JOB_ID)).toEqual(aJob());
    expect(tries).toBe(2);
  });

  it("of a retry is not asked for again: it would make a second job", async () => {
    server.routes[`POST /jobs/${JOB_ID}/retry`] = (_, response) => {
      response.destroy();
    };
    await expect(client.jobs.retry(JOB_ID)).rejects.toThrow(ConnectionError);
    expect(server.received).toHaveLength(1);
  });
});

describe("a call", () => {
  it("submits with the caller's key, headers and signature", async () => {
    server.routes["POST /jobs"] = (_, response) => json(response, aJob(), 202);
    const signing = createClient({
      endpoint: server.url,
      headers: { "x-team": "data" },
      sign: ({ method, url, headers, body }) => ({ ...headers, authorization: `${method} ${url.pathname} ${body}` }),
    });
    await signing.jobs.submit({ image: "alpine" }, { idempotencyKey: "k" });
    expect(server.received[0]?.headers).toMatchObject({
      "x-team": "data",
      "idempotency-key": "k",
      "content-type": "application/json",
      authorization: 'POST /api/v1/jobs {"image":"alpine"}',
    });
    expect(server.received[0]?.body).toBe('{"image":"alpine"}');
  });

  it("submits a batch, and asks what would become of a spec", async () => {
    server.routes["POST /jobs/batch"] = (_, response) => json(response, { items: [aJob(), aJob()] }, 202);
    server.routes["POST /jobs"] = (request, response) => json(response, { dry: request.query.get("dryRun") });
    expect(await client.jobs.submitBatch([{ name: "a" }, { name: "b" }])).toHaveLength(2);
    expect(JSON.parse(server.received[0]?.body ?? "")).toEqual({ jobs: [{ name: "a" }, { name: "b" }] });
    expect(await client.jobs.dryRun({ name: "a" })).toEqual({ dry: "true" });
    expect(server.received[1]?.headers["idempotency-key"]).toBeUndefined();
  });

  it("submits in the trace of the call, else of the client, and asks for nothing in any", async () => {
    const client = createClient({ endpoint: server.url, trace: { traceparent: "of-client", tracestate: "a=b" } });
    server.routes["POST /jobs"] = (_, response) => json(response, aJob(), 202);
    server.routes[`POST /jobs/${JOB_ID}/retry`] = (_, response) => json(response, aJob(), 202);
    server.routes["GET /usage"] = (_, response) => json(response, { at: "now", items: [], leftOut: 0, failures: [] });
    await client.jobs.submit({});
    await client.jobs.submit({}, { trace: { traceparent: "of-call" } });
    await client.jobs.retry(JOB_ID);
    expect(await client.usage()).toMatchObject({ at: "now", items: [] });
    const traces = server.received.map(({ headers }) => [headers.traceparent, headers.tracestate]);
    expect(traces).toEqual([
      ["of-client", "a=b"],
      ["of-call", undefined],
      ["of-client", "a=b"],
      [undefined, undefined],
    ]);
  });

  it("lists over all the pages with its filters", async () => {
    server.routes["GET /jobs"] = (request, response) => {
      const cursor = request.query.get("cursor");
      json(response, cursor === "2" ? { items: [3], nextCursor: null } : { items: [1, 2], nextCursor: "2" });
    };
    const filter = { status: ["FAILED", "TIMED_OUT"], labels: { team: "a:b", tier: "1" }, limit: 2 } as const;
    expect(await Array.fromAsync(client.jobs.list(filter))).toEqual([1, 2, 3]);
    expect(server.received.map((request) => request.query.toString())).toEqual([
      "status=FAILED&status=TIMED_OUT&limit=2&label=team%3Aa%3Ab&label=tier%3A1",
      "status=FAILED&status=TIMED_OUT&limit=2&label=team%3Aa%3Ab&label=tier%3A1&cursor=2",
    ]);
  });

  it("reads events and lines", async () => {
    server.routes[`GET /jobs/${JOB_ID}/events`] = (_, response) =>
      json(response, { items: [anEvent(1)], nextCursor: null });
    server.routes[`GET /jobs/${JOB_ID}/logs`] = (_, response) =>
      json(response, { items: [aLine(1)], nextCursor: null });
    expect(await Array.fromAsync(client.jobs.events(JOB_ID))).toEqual([anEvent(1)]);
    const filter = { tail: 3, since: "2026-01-01T00:00:00Z", streams: ["stdout", "stderr"] } as const;
    expect(await Array.fromAsync(client.jobs.logs(JOB_ID, filter))).toEqual([aLine(1)]);
    expect(server.received[1]?.query.toString()).toBe("tail=3&since=2026-01-01T00%3A00%3A00Z&stream=stdout%2Cstderr");
  });

  it("lists, shows, replays and removes dead letters", async () => {
    server.routes["GET /dead-letters"] = (request, response) => {
      const cursor = request.query.get("cursor");
      json(response, cursor === "2" ? { items: [3], nextCursor: null } : { items: [1, 2], nextCursor: "2" });
    };
    server.routes["GET /dead-letters/dl_1"] = (_, response) => json(response, { id: "dl_1" });
    server.routes["POST /dead-letters/dl_1/replay"] = (_, response) => json(response, aJob(), 202);
    server.routes["DELETE /dead-letters/dl_1"] = (_, response) => void response.writeHead(204).end();
    expect(await Array.fromAsync(client.deadLetters.list({ limit: 2 }))).toEqual([1, 2, 3]);
    expect(await client.deadLetters.listPage({ cursor: "2" })).toEqual({ items: [3], nextCursor: null });
    expect(await client.deadLetters.get("dl_1")).toEqual({ id: "dl_1" });
    expect(await client.deadLetters.replay("dl_1", { idempotencyKey: "k" })).toEqual(aJob());
    expect(server.received.at(-1)).toMatchObject({ body: "", headers: { "idempotency-key": "k" } });
    expect(await client.deadLetters.remove("dl_1")).toBeUndefined();
    expect(server.received.map(({ method, path, query }) => `${method} ${path}?${query}`)).toEqual([
      "GET /dead-letters?limit=2",
      "GET /dead-letters?limit=2&cursor=2",
      "GET /dead-letters?cursor=2",
      "GET /dead-letters/dl_1?",
      "POST /dead-letters/dl_1/replay?",
      "DELETE /dead-letters/dl_1?",
    ]);
  });

  it("lists, shows, erases and cleans up runs", async () => {
    server.routes["GET /runs"] = (request, response) => {
      const cursor = request.query.get("cursor");
      json(response, cursor === "2" ? { items: [3], nextCursor: null } : { items: [1, 2], nextCursor: "2" });
    };
    server.routes[`GET /runs/${JOB_ID}`] = (_, response) => json(response, { jobId: JOB_ID, receipt: {} });
    server.routes[`GET /runs/${JOB_ID}/receipt`] = (_, response) => json(response, { schema: "x" });
    server.routes[`GET /runs/${JOB_ID}/summary`] = (_, response) => void response.end("# FAILED\n");
    server.routes[`GET /runs/${JOB_ID}/events`] = (_, response) =>
      void response.end(`${JSON.stringify(anEvent(1))}\n${JSON.stringify(anEvent(2))}\n`);
    server.routes[`DELETE /runs/${JOB_ID}`] = (_, response) => void response.writeHead(204).end();
    server.routes["POST /runs/cleanup"] = (_, response) =>
      json(response, { removed: 1, dryRun: false, items: [JOB_ID], nextCursor: null });
    const filter = {
      status: ["FAILED", "TIMED_OUT"],
      labels: { a: "b" },
      finishedAfter: "2026-01-01T00:00:00Z",
    } as const;
    expect(await Array.fromAsync(client.runs.list(filter))).toEqual([1, 2, 3]);
    expect(server.received[0]?.query.toString()).toBe(
      "status=FAILED&status=TIMED_OUT&finishedAfter=2026-01-01T00%3A00%3A00Z&label=a%3Ab",
    );
    expect(await client.runs.listPage({ cursor: "2" })).toEqual({ items: [3], nextCursor: null });
    expect(await client.runs.get(JOB_ID)).toEqual({ jobId: JOB_ID, receipt: {} });
    expect(await client.runs.receipt(JOB_ID)).toEqual({ schema: "x" });
    expect(await client.runs.summary(JOB_ID)).toBe("# FAILED\n");
    expect(await client.runs.events(JOB_ID)).toEqual([anEvent(1), anEvent(2)]);
    expect(await client.runs.remove(JOB_ID)).toBeUndefined();
    const query = { olderThan: "7d", status: ["FAILED"], keep: 3, dryRun: true } as const;
    expect(await client.runs.cleanup(query)).toMatchObject({ removed: 1 });
    expect(JSON.parse(server.received.at(-1)?.body ?? "")).toEqual(query);
  });

  it("tells of a summary that broke off", async () => {
    server.routes[`GET /runs/${JOB_ID}/summary`] = (_, response) => {
      response.writeHead(200, { "content-length": "100" }).write("# FAIL");
      response.destroy();
    };
    await expect(client.runs.summary(JOB_ID)).rejects.toBeInstanceOf(ConnectionError);
  });

  it("asks again for a replay whose answer was lost, with the same key, and not for a removal", async () => {
    let lost = 0;
    const lose: Route = (_, response) => {
      lost += 1;
      response.destroy();
    };
    server.routes["POST /dead-letters/dl_1/replay"] = (request, response) =>
      lost === 0 ? lose(request, response) : json(response, aJob(), 202);
    server.routes["DELETE /dead-letters/dl_1"] = lose;
    expect(await client.deadLetters.replay("dl_1")).toEqual(aJob());
    const keys = server.received.map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/./);
    await expect(client.deadLetters.remove("dl_1")).rejects.toBeInstanceOf(ConnectionError);
    expect(server.received.filter(({ method }) => method === "DELETE")).toHaveLength(1);
  });

  it("cannot leave its place by an id or a name", async () => {
    await expect(client.jobs.get("../health")).rejects.toMatchObject({ status: 404 });
    await expect(client.deadLetters.remove("../jobs")).rejects.toMatchObject({ status: 404 });
    await expect(client.runtimes.get("a/b?c#d")).rejects.toMatchObject({ status: 404 });
    const paths = ["/jobs/..%2Fhealth", "/dead-letters/..%2Fjobs", "/runtimes/a%2Fb%3Fc%23d"];
    expect(server.received.map((request) => request.path)).toEqual(paths);
  });

  it("resolves a health that is not well, and no other 503", async () => {
    const ill = { ok: false, version: "1", checks: [{ name: "table", ok: false, message: "gone" }] };
    server.routes["GET /health"] = (_, response) => json(response, ill, 503);
    server.routes["GET /runtimes"] = (_, response) => problem(response, { status: 503, code: "UNAVAILABLE" });
    expect(await client.health()).toEqual(ill);
    await expect(client.runtimes.list()).rejects.toMatchObject({ status: 503 });
  });

  it("rejects with the signal's reason", async () => {
    const abort = new AbortController();
    server.routes["GET /runtimes"] = () => abort.abort(new Error("enough"));
    await expect(client.runtimes.list({ signal: abort.signal })).rejects.toThrow("enough");
  });
});
