import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { LongshoreError } from "../../engine/errors.ts";
import { finalizeAttempt } from "../../engine/operations/finalize.ts";
import { createLiveLogs, type LiveLogs } from "../../engine/operations/live-log.ts";
import { observeExit } from "../../engine/operations/observe.ts";
import { makeHandler as logSocket } from "../../functions/log-socket.ts";
import { makeHandler as query } from "../../functions/query.ts";
import { makeHandler as streamed } from "../../functions/stream.ts";
import { createChanges } from "../../local/changes.ts";
import { type Gateway, openGateway } from "../../local/gateway.ts";
import { invoke } from "../../local/invoke.ts";
import { type GrowingLog, growingLog } from "../engine/operations/growing-log.ts";
import { launched, openWorld, type World } from "../engine/operations/world.ts";
import { waitUntil } from "../lab/wait-until.ts";
import { type Answer, call, follow, problemOf } from "../scenarios/client.ts";

let world: World;
let log: GrowingLog;
let live: LiveLogs;
let gateway: Gateway;
let task: Awaited<ReturnType<typeof launched>>;
const target = { api: () => `${gateway.url}/api/v1` };

beforeEach(async () => {
  world = await openWorld();
  log = growingLog(world);
  const { ctx, ledger } = world;
  live = createLiveLogs(ctx);
  const answer = query(ctx);
  const changes = createChanges(ledger.sqlite.feed);
  const streams = { ctx, changes, live, progressOf: () => null, onProgress: () => () => undefined };
  gateway = await openGateway(
    {
      submit: () => Promise.reject(new Error("nothing is submitted here")),
      query: (event) => invoke(answer, event),
      stream: streamed(streams),
      logSocket: logSocket(streams, { maxBytes: 64 * 1024 }),
    },
    0,
    ctx.logger,
  );
  task = await launched(world);
});
afterEach(async () => {
  await gateway.close();
  await waitUntil(() => expect([live.stats().readers, log.opened.open]).toEqual([0, 0]));
  await world.dispose();
});

const addressOf = (search = "", jobId: string = task.jobId) =>
  `${gateway.url.replace("http", "ws")}/api/v1/jobs/${jobId}/logs/stream${search}`;

interface Said {
  id?: number;
  event: string;
  data: { seq?: number; text?: string; status?: string };
}

/** Opens a WebSocket and keeps what it says. */
function open(search = "", options: { headers?: Record<string, string>; jobId?: string } = {}) {
  const { headers = {}, jobId } = options;
  const client = new WebSocket(addressOf(search, jobId), { headers });
  const frames: string[] = [];
  client.on("message", (data) => frames.push(String(data)));
  const closed = once(client, "close").then(([code, reason]) => ({ code: code as number, reason: String(reason) }));
  const messages = () => frames.flatMap((frame) => frame.split("\n")).map((text) => JSON.parse(text) as Said);
  return {
    client,
    frames,
    messages,
    closed,
    seqs: () => messages().flatMap(({ event, data }) => (event === "log" ? [data.seq] : [])),
    has: (seq: number) => waitUntil(() => expect(messages().at(-1)?.id).toBe(seq)),
  };
}

/** The answer to a handshake that is refused. */
async function refused(address: string, headers: Record<string, string> = {}): Promise<Answer<unknown>> {
  const client = new WebSocket(address, { headers });
  const [request, response] = await once(client, "unexpected-response");
  let text = "";
  for await (const chunk of response) text += chunk;
  request.destroy();
  const body = JSON.parse(text);
  return { status: response.statusCode, headers: new Headers(response.headers), text, body };
}

/** A handshake by hand; gives the connection once the answer's head is there. */
async function byHand(lines: string[]): Promise<{ socket: Socket; head: string }> {
  const { port, host } = new URL(gateway.url);
  const socket = connect(Number(port), "127.0.0.1");
  const path = new URL(addressOf()).pathname;
  socket.write([`GET ${path} HTTP/1.1`, `Host: ${host}`, ...lines, "", ""].join("\r\n"));
  const [first] = await once(socket, "data");
  return { socket, head: String(first) };
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("a WebSocket of a log", () => {
  it("says what the server-sent events say, and is closed with 1000 after the end", async () => {
    log.write(120);
    const socket = open();
    await socket.has(120);
    log.write(1, () => "snow ☃ and \u0000 and \n a newline");
    await socket.has(121);
    log.end();
    await finalizeAttempt(world.ctx, { ...task, failure: "lost" });
    expect(await socket.closed).toEqual({ code: 1000, reason: "" });
    expect(socket.frames).toHaveLength(122);
    const events: unknown[] = [];
    for await (const { id, event, data } of follow(target, `/jobs/${task.jobId}/logs`)) {
      events.push(id === undefined ? { event, data } : { id: Number(id), event, data });
    }
    expect(socket.messages().slice(0, -1)).toEqual(events.slice(0, -1));
    // The job may have been cleaned up between the two.
    for (const end of [socket.messages().at(-1), events.at(-1)]) {
      expect(end).toMatchObject({ event: "end", data: { jobId: task.jobId, status: "FAILED" } });
    }
  });

  it.each([
    ["since=100", {}, range(101, 120)],
    ["tail=3", {}, [118, 119, 120]],
    ["stream=stderr&since=100", {}, [102, 105, 108, 111, 114, 117, 120]],
    ["lastEventId=117", {}, [118, 119, 120]],
    ["", { "Last-Event-ID": "118" }, [119, 120]],
    ["tail=3", { "Last-Event-ID": "116" }, [117, 118, 119, 120]],
  ])("begins where ?%s %j says", async (search, headers, seqs) => {
    log.write(120);
    const socket = open(`?${search}`, { headers });
    await socket.has(120);
    expect(socket.seqs()).toEqual(seqs);
    socket.client.close();
    expect(await socket.closed).toMatchObject({ code: 1005 });
  });

  it("carries several lines in a frame for those who ask for it, and no more than 64 KiB", async () => {
    log.write(500, (n) => `${n} ${"y".repeat(1000)}`);
    const socket = open("?batch=true");
    await socket.has(500);
    expect(socket.seqs()).toEqual(range(1, 500));
    expect(socket.frames.length).toBeLessThan(20);
    for (const frame of socket.frames) expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(64 * 1024);
    socket.client.close();
    await socket.closed;
  });

  it("lets the runtime's log go when its reader leaves, by a close or by a broken connection", async () => {
    log.write(3);
    for (const leave of ["close", "terminate"] as const) {
      const socket = open();
      await socket.has(3);
      expect(log.opened.open).toBe(1);
      socket.client[leave]();
      await socket.closed;
      await waitUntil(() => expect(log.opened.open).toBe(0));
    }
  });

  it("of a reader that takes nothing keeps one batch; the log is read no further, and others are not held up", async () => {
    const { socket, head } = await byHand(HANDSHAKE);
    socket.pause();
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    // More than the kernel keeps for a connection on loopback.
    log.write(40_000, (n) => `${n} ${"z".repeat(1000)}`);
    await waitUntil(() => expect(log.read).toBeGreaterThan(1000));
    const before = await settledAt(() => log.read);
    expect(before).toBeLessThan(40_000);
    const other = open("?batch=1&since=39000");
    await other.has(40_000);
    expect(live.stats().lines).toBeLessThanOrEqual(1000);
    expect(live.stats().bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    other.client.close();
    await other.closed;
    socket.destroy();
  });

  it("listens to nothing that a client says, and ends with one that says too much", async () => {
    log.write(1);
    const socket = open();
    await socket.has(1);
    socket.client.send("tail -f /etc/passwd");
    socket.client.send(Buffer.alloc(1000));
    log.write(1);
    await socket.has(2);
    socket.client.send("x".repeat(2000));
    expect(await socket.closed).toMatchObject({ code: 1009 });
  });

  it("is closed with 1001 when the home is closed", async () => {
    log.write(2);
    const socket = open();
    await socket.has(2);
    await gateway.close();
    expect(await socket.closed).toEqual({ code: 1001, reason: "the home is being closed" });
    expect(socket.messages().map(({ event }) => event)).toEqual(["log", "log"]);
  });

  it("does not keep the home open when its reader does not answer the close", async () => {
    const { socket } = await byHand(HANDSHAKE);
    socket.pause();
    await gateway.close();
    socket.destroy();
  });

  it("is closed with 1011 and the code when the log cannot be read now", async () => {
    log.write(2);
    const socket = open();
    await socket.has(2);
    log.fail(new LongshoreError("RUNTIME_UNAVAILABLE", "engine at /var/run/secret.sock has gone"));
    expect(await socket.closed).toEqual({ code: 1011, reason: "RUNTIME_UNAVAILABLE" });
  });

  it("gives what was stored of a job that has ended", async () => {
    log.write(7);
    log.end();
    const ended = await launched(world, { name: "other" }, {});
    await observeExit(world.ctx, ended);
    await finalizeAttempt(world.ctx, ended);
    log.remove();
    const socket = open("?since=2", { jobId: ended.jobId });
    expect(await socket.closed).toMatchObject({ code: 1000 });
    expect(socket.seqs()).toEqual([3, 4, 5, 6, 7]);
  });
});

const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION = "Sec-WebSocket-Version: 13";
const UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"];
const HANDSHAKE = [...UPGRADE, KEY, VERSION];

/** Resolves with a count that has not changed for so many turns of the event loop, and of the kernel's. */
async function settledAt(count: () => number): Promise<number> {
  for (let before = count(), same = 0; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    same = count() === before ? same + 1 : 0;
    before = count();
    if (same === 20) return before;
  }
}

describe("a WebSocket that is refused", () => {
  it("of a job that there is not", async () => {
    problemOf(await refused(addressOf("", "job_01J00000000000000000000000")), 404, "NOT_FOUND");
    problemOf(await refused(addressOf("", "nonsense")), 404, "NOT_FOUND");
    problemOf(await refused(`${addressOf()}/more`), 404, "NOT_FOUND");
  });

  it("for a Host or an Origin that is not this machine's own", async () => {
    problemOf(await refused(addressOf(), { Host: "evil.example" }), 403, "FORBIDDEN");
    problemOf(await refused(addressOf(), { Origin: "http://evil.example" }), 403, "FORBIDDEN");
    const port = new URL(gateway.url).port;
    problemOf(await refused(addressOf(), { Origin: `http://127.0.0.1:${Number(port) + 1}` }), 403, "FORBIDDEN");
    expect(live.stats().readers).toBe(0);
  });

  it.each(["since=yesterday", "stream=stdfoo", "tail=-1", "lastEventId=x", "batch=maybe"])(
    "for ?%s",
    async (search) => {
      const { violations } = problemOf(await refused(addressOf(`?${search}`)), 422, "VALIDATION");
      expect(violations).toHaveLength(1);
    },
  );

  it.each([
    ["without a key", [...UPGRADE, VERSION]],
    ["with a key that is none", [...UPGRADE, "Sec-WebSocket-Key: short", VERSION]],
    ["of a version that there is not", [...UPGRADE, KEY, "Sec-WebSocket-Version: 12"]],
  ])("%s", async (_, lines) => {
    const { socket, head } = await byHand(lines);
    expect(head).toMatch(/^HTTP\/1\.1 400 /);
    expect(head).toContain('"code":"MALFORMED"');
    expect(head.toLowerCase()).toContain("connection: close");
    socket.resume();
    await once(socket, "end");
    socket.destroy();
  });

  it("where another method or another place is asked for, as without the wish", async () => {
    const headers = { Connection: "Upgrade", Upgrade: "websocket" };
    const { port } = new URL(gateway.url);
    for (const [method, path, status] of [
      ["POST", `/api/v1/jobs/${task.jobId}/logs/stream`, 405],
      ["GET", `/api/v1/jobs/${task.jobId}`, 200],
      ["GET", "/elsewhere", 404],
    ] as const) {
      const socket = connect(Number(port), "127.0.0.1");
      const lines = Object.entries({ Host: `127.0.0.1:${port}`, ...headers, "Content-Length": 0 });
      socket.write(`${method} ${path} HTTP/1.1\r\n${lines.map((pair) => pair.join(": ")).join("\r\n")}\r\n\r\n`);
      const [first] = await once(socket, "data");
      expect(String(first)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      socket.destroy();
    }
  });

  it("since it is a plain request: 426, and 404 where there is no job", async () => {
    const answer = await call(target, `/jobs/${task.jobId}/logs/stream`);
    problemOf(answer, 426, "UPGRADE_REQUIRED");
    expect(answer.headers.get("upgrade")).toBe("websocket");
    problemOf(await call(target, "/jobs/job_01J00000000000000000000000/logs/stream"), 404, "NOT_FOUND");
    const wrong = await call(target, `/jobs/${task.jobId}/logs/stream`, { method: "DELETE" });
    problemOf(wrong, 405, "METHOD_NOT_ALLOWED");
    expect(wrong.headers.get("allow")).toBe("GET");
  });

  it("by a client that is gone before it is answered leaves nothing open", async () => {
    const { port, host } = new URL(gateway.url);
    for (let n = 0; n < 20; n++) {
      const socket = connect(Number(port), "127.0.0.1").resume();
      const lines = [`GET ${new URL(addressOf()).pathname} HTTP/1.1`, `Host: ${host}`, ...HANDSHAKE, "", ""];
      socket.write(lines.join("\r\n"), () => (n % 2 === 0 ? socket.destroy() : socket.end()));
      await once(socket, "close");
    }
    await waitUntil(() => expect(live.stats().readers).toBe(0));
  });
});
