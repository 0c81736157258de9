import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type WebSocket as Connection, WebSocketServer } from "ws";
import { createClient, type LogFollowOptions, type LongshoreClient } from "../../sdk/client.ts";
import type { Job, LogLine } from "../../sdk/types.ts";
import { aJob, aLine, JOB_ID, json, problem } from "./contract-server.ts";

const ended = aJob({ status: "SUCCEEDED", phase: null, exitCode: 0 });
const END = JSON.stringify({ event: "end", data: ended });
const logFrame = (line: LogLine) => JSON.stringify({ id: line.seq, event: "log", data: line });

/** A home whose WebSockets say what a test wants; every request that came is kept. */
interface Home {
  url: string;
  opened: URL[];
  asked: URL[];
  onSocket(connection: Connection, query: URLSearchParams): void;
  /** Answers plain requests. */
  onRequest(response: ServerResponse): void;
  refuses: boolean;
  close(): Promise<void>;
}

let home: Home;
let client: LongshoreClient;

beforeEach(async () => {
  const sockets = new WebSocketServer({ noServer: true });
  const urlOf = (request: IncomingMessage) => new URL(request.url ?? "/", "http://localhost");
  const server = createServer((request, response) => {
    home.asked.push(urlOf(request));
    home.onRequest(response);
  });
  server.on("upgrade", (request, socket, head) => {
    const url = urlOf(request);
    home.opened.push(url);
    if (home.refuses) return void socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
    sockets.handleUpgrade(request, socket, head, (connection) => home.onSocket(connection, url.searchParams));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  home = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    opened: [],
    asked: [],
    onSocket: (connection) => connection.send(END),
    onRequest: (response) => problem(response, { status: 404, code: "NOT_FOUND", detail: "no such job" }),
    refuses: false,
    async close() {
      for (const connection of sockets.clients) connection.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  client = createClient({ endpoint: home.url });
});
afterEach(async () => {
  await home.close();
});

const collect = (options: LogFollowOptions = {}): Promise<LogLine[]> =>
  Array.fromAsync(client.jobs.followLogs(JOB_ID, { transport: "websocket", backoffMs: () => 0, ...options }));

describe("a log by a WebSocket", () => {
  it("comes whole when it is cut 40 times at random, in frames of several lines, in parts, by a close or without", async () => {
    const lines = Array.from({ length: 150 }, (_, index) => aLine(index + 1, { text: `häß 🚢\n${"x".repeat(index)}` }));
    const cuts = fc.array(fc.nat({ max: 12 }), { minLength: 40, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(cuts, async (frames) => {
        let made = 0;
        home.onSocket = (connection, query) => {
          let left = frames[made] ?? Number.POSITIVE_INFINITY;
          made += 1;
          const send = (text: string) => {
            if (left > 0) connection.send(text);
            left -= 1;
          };
          const rest = lines.slice(Number(query.get("lastEventId") ?? 0));
          for (let at = 0; at < rest.length; at += 2) {
            const [one, other] = [rest[at], rest[at + 1]];
            if (one !== undefined && one.seq % 5 === 0) {
              const text = logFrame(one);
              const parts = [text.slice(0, 40), text.slice(40)];
              for (const [index, part] of parts.entries()) {
                const data = { part: index + 1, of: 2, text: part };
                send(JSON.stringify({ event: "part", data, ...(index === 1 ? { id: one.seq } : {}) }));
              }
            } else if (one !== undefined) send(logFrame(one));
            if (other !== undefined) send(`${JSON.stringify({ event: "heartbeat", data: {} })}\n${logFrame(other)}`);
          }
          send(END);
          if (left >= 0) connection.close(1000);
          else if (made % 2 === 0) connection.close(1001);
          else connection.terminate();
        };
        let end: Job | undefined;
        const seen = await collect({
          maxFailures: 60,
          onEnd: (job) => {
            end = job;
          },
        });
        expect(seen).toEqual(lines);
        expect(end).toEqual(ended);
        expect(made).toBeGreaterThan(5);
      }),
      { numRuns: 5 },
    );
  });

  it("comes in parts, message after message, on one connection", async () => {
    const lines = [aLine(1), aLine(2), aLine(3)];
    home.onSocket = (connection) => {
      for (const text of lines.map(logFrame)) {
        for (const [index, part] of [text.slice(0, 9), text.slice(9, 50), text.slice(50)].entries()) {
          connection.send(JSON.stringify({ event: "part", data: { part: index + 1, of: 3, text: part } }));
        }
      }
      connection.send(END);
    };
    expect(await collect()).toEqual(lines);
    expect(home.opened).toHaveLength(1);
  });

  it("is asked for from where it is to begin, and then from the last line", async () => {
    home.onSocket = (connection, query) => {
      if (query.has("lastEventId")) return connection.send(END);
      connection.send(logFrame(aLine(7)));
      connection.close(1001);
    };
    const seen = await collect({ tail: 3, since: "2026-01-01T00:00:00Z", streams: ["stdout", "system"] });
    expect(seen.map(({ seq }) => seq)).toEqual([7]);
    expect(home.opened.map(({ pathname }) => pathname)).toEqual(Array(2).fill(`/api/v1/jobs/${JOB_ID}/logs/stream`));
    expect(home.opened.map(({ searchParams }) => Object.fromEntries(searchParams))).toEqual([
      { stream: "stdout,system", tail: "3", since: "2026-01-01T00:00:00Z", batch: "true" },
      { stream: "stdout,system", lastEventId: "7", batch: "true" },
    ]);
  });

  it("that is refused says why, as a plain request is told, and is not asked for again", async () => {
    home.refuses = true;
    await expect(collect({ after: 3, tail: 5 })).rejects.toMatchObject({
      name: "ApiError",
      status: 404,
      message: "no such job",
    });
    expect(home.opened).toHaveLength(1);
    expect(home.asked.map(({ pathname, search }) => pathname + search)).toEqual([
      `/api/v1/jobs/${JOB_ID}/logs?cursor=3&limit=1`,
    ]);
  });

  it("that is refused though the job can be read is tried again, and given up at last", async () => {
    home.refuses = true;
    home.onRequest = (response) => json(response, { items: [], nextCursor: null });
    await expect(collect({ maxFailures: 3 })).rejects.toMatchObject({ name: "ConnectionError" });
    expect(home.opened).toHaveLength(3);
  });

  it.each([
    ["no JSON", "{oops"],
    ["no message", "null"],
    ["no event", "{}"],
    ["no number", JSON.stringify({ event: "log", data: aLine(1) })],
    ["a part of nothing", JSON.stringify({ event: "part", data: { part: 2, of: 2, text: "x" } })],
    ["bytes", Buffer.from("x")],
  ])("that holds %s is not passed on", async (_, garbage) => {
    home.onSocket = (connection) => connection.send(garbage);
    await expect(collect({ maxFailures: 2 })).rejects.toThrow(/the stream holds/);
  });

  it("counts as broken after too long a silence, and tells heartbeats", async () => {
    let connections = 0;
    home.onSocket = (connection) => {
      connections += 1;
      connection.send(JSON.stringify({ event: "heartbeat", data: { phase: "pulling" } }));
      if (connections > 1) connection.send(END);
    };
    const beats: unknown[] = [];
    const reasons: string[] = [];
    const seen = await collect({
      idleMs: 200,
      maxFailures: 100,
      onHeartbeat: (beat) => beats.push(beat),
      onReconnect: ({ message }) => reasons.push(message),
    });
    expect([seen, new Set(reasons)]).toEqual([[], new Set(["no sign of life for 200 ms"])]);
    expect(beats).toEqual(expect.arrayContaining([{ phase: "pulling" }]));
  });

  it("ends with the signal's reason when it is aborted, and closes its connection, as when the reader leaves", async () => {
    for (const how of ["abort", "leave"] as const) {
      const closed = Promise.withResolvers<void>();
      home.onSocket = (connection) => {
        connection.on("close", () => closed.resolve());
        connection.send(logFrame(aLine(1)));
      };
      const abort = new AbortController();
      const following = (async () => {
        const options = { transport: "websocket", signal: abort.signal } as const;
        for await (const { seq } of client.jobs.followLogs(JOB_ID, options)) {
          expect(seq).toBe(1);
          if (how === "leave") break;
          abort.abort(new Error("enough"));
        }
      })();
      if (how === "abort") await expect(following).rejects.toThrow("enough");
      else await following;
      await closed.promise;
    }
    expect(home.opened).toHaveLength(2);
  });
});

describe("the WebSocket of a home in AWS", () => {
  const credentials = { accessKeyId: "AKIALAB", secretAccessKey: "lab/secret+key", sessionToken: "a/session=+token" };
  const endpoint = "https://rest1234.execute-api.eu-west-1.amazonaws.com/api";
  const logStreamUrl = "wss://ws1234.execute-api.eu-west-1.amazonaws.com/logs";

  /** Stands for the global class: the test is not in AWS. It keeps its address, and is refused. */
  function keptAddresses(): URL[] {
    const addresses: URL[] = [];
    class Kept {
      onclose: (() => void) | undefined;
      constructor(url: string | URL) {
        addresses.push(new URL(url));
        setImmediate(() => this.onclose?.());
      }
      close(): void {
        this.onclose = undefined;
      }
    }
    vi.stubGlobal("WebSocket", Kept);
    return addresses;
  }
  afterEach(() => {
    vi.unstubAllGlobals();
  });
  const answers = (async () =>
    Object.defineProperty(Response.json({ items: [] }), "url", { value: endpoint })) as typeof fetch;
  const follow = (options: Partial<Parameters<typeof createClient>[0]>) => {
    const { jobs } = createClient({ endpoint, auth: { credentials }, fetch: answers, ...options });
    const how = { transport: "websocket", maxFailures: 1, since: "a b", streams: ["stdout"] } as const;
    return Array.fromAsync(jobs.followLogs(JOB_ID, how));
  };

  it("is opened at its own address, with the job and a signature in the query, and the session's token", async () => {
    const addresses = keptAddresses();
    await expect(follow({ logStreamUrl })).rejects.toThrow("refused");
    const [address] = addresses;
    expect(address?.href).toMatch(/^wss:\/\/ws1234\.execute-api\.eu-west-1\.amazonaws\.com\/logs\?/);
    expect(Object.fromEntries(address?.searchParams ?? [])).toMatchObject({
      jobId: JOB_ID,
      since: "a b",
      stream: "stdout",
      batch: "true",
      "X-Amz-Security-Token": credentials.sessionToken,
      "X-Amz-SignedHeaders": "host",
    });
    expect(address?.searchParams.get("X-Amz-Signature")).toBe(signatureOf(address as URL, credentials.secretAccessKey));
  });

  it("cannot be guessed from the endpoint", async () => {
    const addresses = keptAddresses();
    await expect(follow({})).rejects.toThrow(/logStreamUrl/);
    expect(addresses).toEqual([]);
    expect(() => createClient({ endpoint, logStreamUrl: "ftp://x/" })).toThrow(/logStreamUrl/);
    await expect(follow({ logStreamUrl: logStreamUrl.replace("wss", "ws") })).rejects.toThrow(/https/);
  });

  it("is not signed for a host that is none of AWS's, unless that is said", async () => {
    const addresses = keptAddresses();
    const elsewhere = "wss://logs.example.org/x";
    const plain = { endpoint: "https://jobs.example.org", logStreamUrl: elsewhere };
    await expect(follow({ ...plain, auth: "auto" })).rejects.toThrow("refused");
    await expect(follow({ ...plain, auth: { credentials, region: "eu-west-1" } })).rejects.toThrow("refused");
    expect(addresses.map(({ searchParams }) => searchParams.has("X-Amz-Signature"))).toEqual([false, true]);
  });
});

/** Signature Version 4 of a query, made anew from https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html */
function signatureOf(url: URL, secret: string): string {
  const hash = (text: string) => createHash("sha256").update(text).digest("hex");
  const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
  const pairs = url.search
    .slice(1)
    .split("&")
    .filter((pair) => !pair.startsWith("X-Amz-Signature="))
    .sort();
  const canonical = ["GET", url.pathname, pairs.join("&"), `host:${url.host}`, "", "host", hash("")].join("\n");
  const date = url.searchParams.get("X-Amz-Date") ?? "";
  const [, ...scope] = (url.searchParams.get("X-Amz-Credential") ?? "").split("/");
  const toSign = ["AWS4-HMAC-SHA256", date, scope.join("/"), hash(canonical)].join("\n");
  const key = scope.reduce<string | Buffer>((made, part) => hmac(made, part), `AWS4${secret}`);
  return hmac(key, toSign).toString("hex");
}
