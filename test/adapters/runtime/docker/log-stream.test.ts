import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import { LABELS } from "../../../../engine/naming.ts";
import type { RuntimeAdapter } from "../../../../engine/ports/runtime.ts";
import { readLines } from "../../../contracts/runtime-harness.ts";

const REF = "a".repeat(64);
const homeId = mintHomeId(Date.now());
const AT = "2026-01-02T03:04:05.678901234Z";

/** An engine that knows one container and answers for its log as a test says: no real one can be made to fail so. */
let answerLog: (response: ServerResponse, request: IncomingMessage) => void;
let server: Server;
let adapter: RuntimeAdapter;

beforeEach(async () => {
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://engine");
    if (pathname.endsWith(`/containers/${REF}/logs`)) return answerLog(response, request);
    const container = { Id: REF, Config: { Labels: { [LABELS.home]: homeId } }, State: { Running: true } };
    response.writeHead(pathname.endsWith(`/containers/${REF}/json`) ? 200 : 404, {
      "Content-Type": "application/json",
    });
    response.end(JSON.stringify(container));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  adapter = createDockerRuntime({ homeId, dockerHost: `tcp://127.0.0.1:${port}`, allowedMounts: [] });
});
afterEach(async () => {
  await adapter.dispose();
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
});

const frame = (text: string, stream = 1): Buffer => {
  const payload = Buffer.from(stream === 3 ? text : `${AT} ${text}`);
  const head = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
};

describe("a log that comes from the engine", () => {
  it("is let go when its reader has enough: the engine went on sending", async () => {
    for (const follow of [false, true]) {
      const closed = Promise.withResolvers<void>();
      answerLog = (response) => {
        response.on("close", () => closed.resolve());
        response.writeHead(200);
        response.write(Buffer.concat([frame("one\n"), frame("two\n"), frame("three\n")]));
      };
      for await (const [line] of adapter.logs(REF, { follow })) {
        expect(line).toMatchObject({ n: 1, text: "one" });
        break;
      }
      await closed.promise;
    }
  });

  it.each([501, 500, 400])(
    "and that it refuses with %i cannot be read: it was taken for one that is away",
    async (status) => {
      answerLog = (response) => {
        response.writeHead(status, { "Content-Type": "application/json" });
        response.end(JSON.stringify({ message: "open /var/lib/docker/containers/x: configured logging driver" }));
      };
      await expect(readLines(adapter, REF)).rejects.toMatchObject({
        code: "UNKNOWN",
        providerCode: String(status),
        message: `Docker could not read a log (HTTP ${status})`,
      });
    },
  );

  it("and that it refuses for now may be read later", async () => {
    answerLog = (response) => void response.writeHead(503).end();
    await expect(readLines(adapter, REF)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
  });

  it("and breaks off with the connection may be read later", async () => {
    answerLog = (response) => {
      response.writeHead(200);
      response.write(Buffer.concat([frame("one\n"), frame("two\n").subarray(0, 12)]), () => response.destroy());
    };
    await expect(readLines(adapter, REF)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
  });

  it("with an error of the engine in it goes on, and keeps the engine's words to itself", async () => {
    answerLog = (response) => {
      response.writeHead(200);
      response.end(
        Buffer.concat([frame("one\n"), frame("Error grabbing logs: open /var/lib/x\n", 3), frame("two\n", 2)]),
      );
    };
    const lines = await readLines(adapter, REF);
    expect(lines.map(({ n, stream }) => [n, stream])).toEqual([
      [1, "stdout"],
      [2, "system"],
      [3, "stderr"],
    ]);
    expect(JSON.stringify(lines)).not.toContain("/var/lib");
    expect((await readLines(adapter, REF, { after: 2 })).map(({ n }) => n)).toEqual([3]);
  });
});
