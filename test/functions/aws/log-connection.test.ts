import { ApiGatewayManagementApiClient } from "@aws-sdk/client-apigatewaymanagementapi";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { createApiGatewayConnections } from "../../../adapters/connections/api-gateway/index.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { createLiveLogs, type LiveLogs } from "../../../engine/operations/live-log.ts";
import type { Connections } from "../../../engine/ports/connections.ts";
import {
  type ConnectEvent,
  type FollowTask,
  jobIdOfConnection,
  logConnection,
} from "../../../functions/aws/log-connection.ts";
import { createWork, type Work } from "../../../functions/aws/work.ts";
import { makeHandler } from "../../../functions/log-socket.ts";
import { createChanges } from "../../../local/changes.ts";
import { type GrowingLog, growingLog } from "../../engine/operations/growing-log.ts";
import { launched, openWorld, type World } from "../../engine/operations/world.ts";
import {
  type ConnectionsServer,
  type LabConnection,
  openConnection,
  startConnectionsServer,
} from "../../lab/connections-server.ts";
import { waitUntil } from "../../lab/wait-until.ts";
import { silentLogger } from "./silent.ts";

const ID = "L0SM9cOFvHcCIhw=";
const FRAME_BYTES = 32 * 1024;

let world: World;
let log: GrowingLog;
let live: LiveLogs;
let task: Awaited<ReturnType<typeof launched>>;
let server: ConnectionsServer;
let connection: LabConnection;
let client: ApiGatewayManagementApiClient;
let handedOver: { follow: FollowTask }[];
let failToHandOver = false;

beforeEach(async () => {
  world = await openWorld();
  log = growingLog(world);
  live = createLiveLogs(world.ctx);
  task = await launched(world);
  server = await startConnectionsServer();
  connection = openConnection();
  server.connections.set(ID, connection);
  handedOver = [];
  failToHandOver = false;
  client = new ApiGatewayManagementApiClient({
    ...clientDefaults("apiGateway"),
    region: "us-east-1",
    credentials: { accessKeyId: "lab", secretAccessKey: "lab" },
    endpoint: server.endpoint,
  });
});
afterEach(async () => {
  await waitUntil(() => expect([live.stats().readers, log.opened.open]).toEqual([0, 0]));
  client.destroy();
  await server.close();
  await world.dispose();
});

/** The function in one invocation, which has so much time: ms. */
function invocation(remainingMs = 900_000) {
  const { ctx, ledger } = world;
  const work: Work = createWork(silentLogger);
  work.begin(remainingMs);
  const driver = createApiGatewayConnections({
    endpoint: server.endpoint,
    functionName: "x",
    clients: { management: client },
  });
  const connections: Connections = {
    ...driver,
    async handOver(one) {
      if (failToHandOver) throw new LongshoreError("UNAVAILABLE", "throttled");
      handedOver.push(JSON.parse(JSON.stringify(one)));
    },
  };
  const changes = createChanges(ledger.sqlite.feed);
  const none = { progressOf: () => null, onProgress: () => () => undefined };
  const feed = makeHandler({ ctx, changes, live, ...none }, { maxBytes: FRAME_BYTES, inParts: true });
  const expiry = new AbortController();
  const signal = AbortSignal.any([work.signal(), expiry.signal]);
  const timed: Work = { ...work, signal: () => signal };
  const handle = logConnection({ logger: ctx.logger, work: timed, connections, feed, pauseMs: 5 });
  return {
    /** Its time is nearly over. */
    expire: () => expiry.abort(),
    async run(event: ConnectEvent | { follow: FollowTask }) {
      try {
        return await handle(event);
      } finally {
        work.end();
      }
    },
  };
}

const connectEvent = (query: Record<string, string[]>, headers: Record<string, string> = {}): ConnectEvent => ({
  headers,
  queryStringParameters: Object.fromEntries(Object.entries(query).map(([name, values]) => [name, values.at(-1)])),
  multiValueQueryStringParameters: query,
  requestContext: { routeKey: "$connect", connectionId: ID },
});
const followOf = (over: Partial<FollowTask> = {}) => ({
  follow: { connectionId: ID, jobId: task.jobId, query: { batch: ["true"] }, isOpen: true, ...over },
});

interface Said {
  id?: number;
  event: string;
  data: { seq: number; text: string; status?: string };
}

/** The messages that have arrived, parts joined. */
function messages(): Said[] {
  let parts = "";
  return connection.texts
    .flatMap((text) => text.split("\n"))
    .flatMap((text) => {
      const message = JSON.parse(text);
      if (message.event !== "part") return [message];
      parts += message.data.text;
      if (message.data.part < message.data.of) return [];
      const whole = JSON.parse(parts);
      parts = "";
      return [whole];
    });
}
const seqs = () => messages().flatMap(({ event, data }) => (event === "log" ? [data.seq] : []));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const endJob = async () => {
  log.end();
  await finalizeAttempt(world.ctx, { ...task, failure: "lost" });
};

describe("a WebSocket that is opened", () => {
  it("is handed over with what was asked, and nothing is read yet", async () => {
    const event = connectEvent({
      jobId: [task.jobId],
      stream: ["stdout", "stderr"],
      tail: ["5"],
      "X-Amz-Signature": ["s"],
    });
    expect(await invocation().run(event)).toMatchObject({ statusCode: 200 });
    expect(handedOver).toEqual([
      {
        follow: {
          connectionId: ID,
          jobId: task.jobId,
          query: { stream: ["stdout", "stderr"], tail: ["5"] },
          isOpen: false,
        },
      },
    ]);
    expect([log.opened.follows, server.calls]).toEqual([0, []]);
    expect(jobIdOfConnection(event)).toBe(task.jobId);
  });

  it("goes on behind the line that a header or a parameter names", async () => {
    log.write(10);
    await endJob();
    await invocation().run(connectEvent({ jobId: [task.jobId] }, { "Last-Event-ID": "8" }));
    await invocation().run({ follow: { ...(handedOver[0]?.follow as FollowTask) } });
    expect(seqs()).toEqual([9, 10]);
    connection.texts.length = 0;
    connection.state = "open";
    await invocation().run(connectEvent({ jobId: [task.jobId], lastEventId: ["9"] }));
    await invocation().run({ follow: { ...(handedOver[1]?.follow as FollowTask) } });
    expect(seqs()).toEqual([10]);
  });

  it.each([
    ["a job that there is not", { jobId: ["job_01J00000000000000000000000"] }, 404],
    ["no job's id", { jobId: ["../../etc"] }, 404],
    ["no job", {}, 404],
    ["what cannot be asked", { stream: ["stdfoo"] }, 422],
    ["an id that no message has", { lastEventId: ["x"] }, 422],
  ])("for %s is refused", async (_, query, statusCode) => {
    const asked = statusCode === 404 ? query : { jobId: [task.jobId], ...query };
    const event = connectEvent(asked as Record<string, string[]>);
    expect(await invocation().run(event)).toMatchObject({ statusCode });
    expect([handedOver, connection.texts]).toEqual([[], []]);
  });

  it("that nobody can take over is refused", async () => {
    failToHandOver = true;
    expect(await invocation().run(connectEvent({ jobId: [task.jobId] }))).toMatchObject({ statusCode: 503 });
  });

  it("is waited for until API Gateway lets something through", async () => {
    connection.state = "opening";
    log.write(3);
    await endJob();
    const told = invocation().run(followOf({ isOpen: false }));
    await waitUntil(() => expect(server.calls.length).toBeGreaterThan(2));
    connection.state = "open";
    await told;
    expect(messages()[0]).toEqual({ event: "heartbeat", data: {} });
    expect(seqs()).toEqual([1, 2, 3]);
  });

  it("and given up before it was there is let go", async () => {
    connection.state = "gone";
    await invocation().run(followOf({ isOpen: false }));
    expect([log.opened.follows, handedOver, connection.isEnded]).toEqual([0, [], false]);
  });
});

describe("a WebSocket that is told of a log", () => {
  it("gets every line and the end, in frames of 32 KiB at most, and is closed", async () => {
    log.write(2000, (n) => `${n} ${"ü".repeat(n % 300)}`);
    log.write(2, () => "\u0001🚢".repeat(50_000));
    const told = invocation().run(followOf());
    await waitUntil(() => expect(seqs().at(-1)).toBe(2002));
    log.write(1);
    await endJob();
    await told;
    expect(seqs()).toEqual(range(1, 2003));
    expect(messages()[2000]?.data.text).toBe("\u0001🚢".repeat(50_000));
    expect(messages().at(-1)).toMatchObject({ event: "end", data: { status: "FAILED" } });
    for (const text of connection.texts) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(FRAME_BYTES);
    expect([connection.isEnded, handedOver]).toEqual([true, []]);
  });

  it("is handed over when the time is nearly over, again and again, and loses and doubles nothing", async () => {
    const query = { batch: ["true"], stream: ["stdout"] };
    let next: { follow: FollowTask } | undefined = followOf({ query });
    for (let n = 0; next !== undefined; n++) {
      if (n < 12) log.write(37);
      if (n === 12) await endJob();
      await invocation(n < 12 ? 80 : 900_000).run(next);
      next = handedOver[n];
      expect(n).toBeLessThan(20);
    }
    expect(handedOver).toHaveLength(12);
    expect(seqs()).toEqual(range(1, 12 * 37).filter((seq) => seq % 3 !== 0));
    expect(messages().filter(({ event }) => event === "end")).toHaveLength(1);
    expect(connection.isEnded).toBe(true);
  });

  it("is handed over in the middle of what there is, behind the last line that was sent", async () => {
    log.write(100);
    const first = invocation();
    server.onText = () => {
      if (seqs().length === 5) first.expire();
    };
    await first.run(followOf({ query: {} }));
    expect([seqs(), handedOver[0]?.follow.lastEventId]).toEqual([[1, 2, 3, 4, 5], "5"]);
    await endJob();
    await invocation().run(handedOver[0] as { follow: FollowTask });
    expect(seqs()).toEqual(range(1, 100));
  });

  it("that wants only what is to come is handed over without what came before it was opened, and with all after", async () => {
    log.write(10);
    await invocation(80).run(followOf({ query: { tail: ["0"] } }));
    expect(handedOver).toMatchObject([{ follow: { lastEventId: "10" } }]);
    log.write(5);
    const told = invocation().run(handedOver[0] as { follow: FollowTask });
    await waitUntil(() => expect(seqs()).toEqual([11, 12, 13, 14, 15]));
    connection.state = "gone";
    log.write(1);
    await told;
  });

  it("whose reader has gone lets the log go, and nobody goes on", async () => {
    log.write(3);
    const told = invocation().run(followOf());
    await waitUntil(() => expect(seqs()).toEqual([1, 2, 3]));
    connection.state = "gone";
    log.write(1);
    await told;
    await waitUntil(() => expect(log.opened.open).toBe(0));
    expect([handedOver, connection.isEnded]).toEqual([[], false]);
  });

  it.each([
    ["the log cannot be read now", () => log.fail(new LongshoreError("RUNTIME_UNAVAILABLE", "gone"))],
    [
      "a line cannot be sent",
      () => {
        server.faults.push(...Array.from({ length: 3 }, () => ({ status: 500, type: "InternalServerException" })));
        log.write(1);
      },
    ],
  ])("is ended when %s: its reader comes back with the last line that he has", async (_, fail) => {
    log.write(3);
    const told = invocation().run(followOf());
    await waitUntil(() => expect(seqs()).toEqual([1, 2, 3]));
    fail();
    await told;
    expect([connection.isEnded, handedOver]).toEqual([true, []]);
  });

  it("is ended when nobody can take it over", async () => {
    failToHandOver = true;
    await invocation(80).run(followOf());
    expect(connection.isEnded).toBe(true);
  });
});
