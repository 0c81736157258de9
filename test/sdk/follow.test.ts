import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createClient, type LongshoreClient } from "../../sdk/client.ts";
import { ApiError, ConnectionError } from "../../sdk/errors.ts";
import type { Heartbeat, Job, LogLine } from "../../sdk/types.ts";
import {
  aJob,
  aLine,
  anEvent,
  type ContractServer,
  JOB_ID,
  json,
  openStream,
  problem,
  sse,
  startContractServer,
} from "./contract-server.ts";

const LOGS = `GET /jobs/${JOB_ID}/logs`;
const atOnce = { backoffMs: () => 0 };
const ended = aJob({ status: "SUCCEEDED", phase: null, exitCode: 0 });

let server: ContractServer;
let client: LongshoreClient;

beforeEach(async () => {
  server = await startContractServer();
  client = createClient({ endpoint: server.url });
});
afterEach(async () => {
  await server.close();
});

async function collect(options: Parameters<LongshoreClient["jobs"]["followLogs"]>[1] = {}): Promise<LogLine[]> {
  return Array.fromAsync(client.jobs.followLogs(JOB_ID, { ...atOnce, ...options }));
}

/** Sends what follows the client's `Last-Event-ID`, cut off after so many bytes when `cut` says so. */
function serveLines(lines: LogLine[], cut: (connection: number) => number | undefined): void {
  let connections = 0;
  server.routes[LOGS] = (request, response) => {
    const last = Number(request.headers["last-event-id"] ?? 0);
    const rest = lines.filter((line) => line.seq > last);
    const whole = Buffer.from(
      rest.map((line) => sse({ id: line.seq, event: "log", data: line })).join("") + sse({ event: "end", data: ended }),
    );
    const bytes = cut(connections);
    connections += 1;
    openStream(response);
    if (bytes === undefined || bytes >= whole.length) response.end(whole);
    else response.write(whole.subarray(0, bytes), () => response.destroy());
  };
}

describe("a stream that breaks", () => {
  it("gives every line exactly once when it is cut 50 times at random bytes", async () => {
    const lines = Array.from({ length: 120 }, (_, index) => aLine(index + 1, { text: `häß 🚢 ${"x".repeat(index)}` }));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 900 }), { minLength: 50, maxLength: 50 }), async (cuts) => {
        let made = 0;
        serveLines(lines, (connection) => {
          made = connection + 1;
          return cuts[connection];
        });
        let end: Job | undefined;
        const seen = await collect({
          maxFailures: 60,
          onEnd: (job) => {
            end = job;
          },
        });
        expect(seen).toEqual(lines);
        expect(end).toEqual(ended);
        expect(made).toBeGreaterThan(20);
      }),
      { numRuns: 4 },
    );
  });

  it("drops what a server sends twice", async () => {
    server.routes[LOGS] = (_, response) => {
      for (const seq of [1, 2, 2, 1, 3]) {
        openedOnce(response).write(sse({ id: seq, event: "log", data: aLine(seq) }));
      }
      response.end(sse({ event: "end", data: ended }));
    };
    expect((await collect()).map((line) => line.seq)).toEqual([1, 2, 3]);
  });

  it("goes on when it ends cleanly before the job has", async () => {
    let connections = 0;
    server.routes[LOGS] = (request, response) => {
      connections += 1;
      openStream(response);
      if (connections === 1) response.end(sse({ id: 1, event: "log", data: aLine(1) }));
      else {
        expect(request.headers["last-event-id"]).toBe("1");
        expect(request.query.get("tail")).toBeNull();
        response.end(sse({ id: 2, event: "log", data: aLine(2) }) + sse({ event: "end", data: ended }));
      }
    };
    expect((await collect({ tail: 5 })).map((line) => line.seq)).toEqual([1, 2]);
    expect(server.received[0]?.query.get("tail")).toBe("5");
  });

  it.each([0, 40])(
    "that was to begin at the end comes back behind where that was (%i), though it got no line",
    async (end) => {
      let connections = 0;
      server.routes[LOGS] = (request, response) => {
        connections += 1;
        openStream(response);
        if (connections === 1) response.end(sse({ id: end, event: "heartbeat", data: {} }));
        else {
          expect([request.headers["last-event-id"], request.query.get("tail")]).toEqual([String(end), null]);
          response.end(sse({ id: end + 1, event: "log", data: aLine(end + 1) }) + sse({ event: "end", data: ended }));
        }
      };
      expect((await collect({ tail: 0 })).map((line) => line.seq)).toEqual([end + 1]);
    },
  );

  it("starts after the number that it is given", async () => {
    serveLines([aLine(1), aLine(2), aLine(3)], () => undefined);
    expect((await collect({ after: 2 })).map((line) => line.seq)).toEqual([3]);
  });

  it("counts as broken after too long a silence", async () => {
    let connections = 0;
    server.routes[LOGS] = (_, response) => {
      connections += 1;
      openStream(response);
      if (connections > 1) response.end(sse({ event: "end", data: ended }));
    };
    const reasons: string[] = [];
    const options = { idleMs: 200, maxFailures: 100, onReconnect: (error: Error) => reasons.push(error.message) };
    expect(await collect(options)).toEqual([]);
    // On a busy machine a connection that would have answered may count as silent too.
    expect(new Set(reasons)).toEqual(new Set(["no sign of life for 200 ms"]));
  });

  it("is given up after too many failures in a row", async () => {
    server.routes[LOGS] = (_, response) => {
      response.destroy();
    };
    await expect(collect({ maxFailures: 3 })).rejects.toThrow(ConnectionError);
    expect(server.received).toHaveLength(3);
  });

  it("outlives answers of a home that is just starting", async () => {
    let connections = 0;
    server.routes[LOGS] = (_, response) => {
      connections += 1;
      if (connections < 3) problem(response, { status: 503, code: "UNAVAILABLE" }, { "retry-after": "0" });
      else openStream(response).end(sse({ event: "end", data: ended }));
    };
    expect(await collect()).toEqual([]);
    expect(connections).toBe(3);
  });

  it.each([
    ["no JSON", "id: 1\nevent: log\ndata: {oops\n\n"],
    ["no number", `event: log\ndata: ${JSON.stringify(aLine(1))}\n\n`],
    ["a number that is none", `id: one\nevent: log\ndata: ${JSON.stringify(aLine(1))}\n\n`],
  ])("does not pass on a message with %s", async (_, garbage) => {
    server.routes[LOGS] = (_request, response) => {
      openStream(response).end(garbage);
    };
    await expect(collect({ maxFailures: 2 })).rejects.toThrow(/the stream holds/);
  });

  it("does not take another document for a stream", async () => {
    server.routes[LOGS] = (_, response) => json(response, { items: [], nextCursor: null });
    await expect(collect({ maxFailures: 2 })).rejects.toThrow("sent no stream");
  });
});

describe("a stream", () => {
  it("tells what keeps it from finding its endpoint, and does not take that for a broken connection", async () => {
    let asked = 0;
    const url = async () => {
      asked += 1;
      throw new Error("the ledger is broken");
    };
    const lost = createClient({ endpoint: { url, lost: () => undefined } });
    await expect(Array.fromAsync(lost.jobs.followLogs(JOB_ID, atOnce))).rejects.toThrow("the ledger is broken");
    expect(asked).toBe(1);
  });

  it("is refused at once when Longshore refuses it", async () => {
    server.routes[LOGS] = (_, response) => problem(response, { status: 404, code: "NOT_FOUND", detail: "no such job" });
    await expect(collect()).rejects.toMatchObject({ name: "ApiError", status: 404, message: "no such job" });
    expect(server.received).toHaveLength(1);
    await expect(collect()).rejects.toBeInstanceOf(ApiError);
  });

  it("ends with the signal's reason when it is aborted, and closes its connection", async () => {
    const closed = Promise.withResolvers<void>();
    const abort = new AbortController();
    server.routes[LOGS] = (_, response) => {
      response.on("close", () => closed.resolve());
      openStream(response).write(sse({ id: 1, event: "log", data: aLine(1) }));
    };
    const seen: number[] = [];
    const following = (async () => {
      for await (const line of client.jobs.followLogs(JOB_ID, { ...atOnce, signal: abort.signal })) {
        seen.push(line.seq);
        abort.abort(new Error("enough"));
      }
    })();
    await expect(following).rejects.toThrow("enough");
    await closed.promise;
    expect(seen).toEqual([1]);
    expect(server.received).toHaveLength(1);
  });

  it("closes its connection when the reader leaves", async () => {
    const closed = Promise.withResolvers<void>();
    server.routes[LOGS] = (_, response) => {
      response.on("close", () => closed.resolve());
      openStream(response).write(sse({ id: 1, event: "log", data: aLine(1) }));
    };
    for await (const line of client.jobs.followLogs(JOB_ID)) {
      expect(line.seq).toBe(1);
      break;
    }
    await closed.promise;
    expect(server.received).toHaveLength(1);
  });

  it("tells how far an image has been pulled, and gives events", async () => {
    server.routes[`GET /jobs/${JOB_ID}/events`] = (_, response) => {
      openStream(response).end(
        sse({ id: 1, event: "event", data: anEvent(1) }) +
          sse({ event: "heartbeat", data: { phase: "pulling", progress: { currentBytes: 1, totalBytes: 2 } } }) +
          sse({ event: "heartbeat", data: {} }) +
          sse({ id: 2, event: "event", data: anEvent(2, { type: "SUCCEEDED", status: "SUCCEEDED", phase: null }) }) +
          sse({ event: "end", data: ended }),
      );
    };
    const heartbeats: Heartbeat[] = [];
    const events = await Array.fromAsync(
      client.jobs.followEvents(JOB_ID, { onHeartbeat: (heartbeat) => heartbeats.push(heartbeat) }),
    );
    expect(events.map((event) => event.type)).toEqual(["SUBMITTED", "SUCCEEDED"]);
    expect(heartbeats).toEqual([{ phase: "pulling", progress: { currentBytes: 1, totalBytes: 2 } }, {}]);
  });
});

function openedOnce<R extends { headersSent: boolean }>(response: R): R {
  if (!response.headersSent) openStream(response as never);
  return response;
}
