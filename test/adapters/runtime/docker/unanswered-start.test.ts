import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { expect, it } from "vitest";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import { launchOf } from "../../../contracts/runtime-harness.ts";

const REF = "c".repeat(64);
const launch = () =>
  launchOf({ image: "busybox" }, { act: "shell", script: "exit 0" }, { spec: { network: { mode: "none" } } });

// A real engine cannot be made to lose exactly this answer, so this one makes a container, and then what it is told to.
it.each([
  { what: "is left where it is when its start is not answered", how: "cut", code: "RUNTIME_UNAVAILABLE", expected: [] },
  { what: "is removed when its start is refused", how: "refuse", code: "UNKNOWN", expected: [`/containers/${REF}`] },
])("a container $what", async ({ how, code, expected }) => {
  const removed: string[] = [];
  const server = createServer((request, response) => {
    const pathname = new URL(request.url ?? "/", "http://engine").pathname.replace(/^\/v[\d.]+/, "");
    request.resume();
    if (request.method === "DELETE") removed.push(pathname);
    if (pathname.endsWith("/start") && how === "cut") return request.socket.destroy();
    const status = pathname.endsWith("/start") ? 500 : pathname.endsWith("/create") ? 201 : 200;
    response.writeHead(status, { "Content-Type": "application/json" });
    if (pathname.endsWith("/events")) return response.flushHeaders();
    response.end(JSON.stringify(pathname.endsWith("/json") ? [] : { Id: REF, message: "no" }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const homeId = mintHomeId(Date.now());
  const adapter = createDockerRuntime({ homeId, dockerHost: `tcp://127.0.0.1:${port}`, allowedMounts: [] });
  try {
    await expect(adapter.submit(launch(), new AbortController().signal)).rejects.toMatchObject({ code });
    expect(removed).toEqual(expected);
  } finally {
    await adapter.dispose();
    server.close();
    server.closeAllConnections();
  }
});

// The engine writes down that a container runs only after its command was started: one that goes away in between says
// "created" of what has run.
it.each([
  { what: "was not started, as the engine says", left: "created" },
  { what: "is not there any more", left: undefined },
])(
  "an attempt whose engine went away during its start, and whose container $what, is not started again",
  async ({ left }) => {
    const asked: string[] = [];
    let labels: unknown;
    const server = createServer(async (request, response) => {
      const pathname = new URL(request.url ?? "/", "http://engine").pathname.replace(/^\/v[\d.]+/, "");
      const call = `${request.method} ${pathname.replace(/longshore-[^/]+/, "NAME").replace(REF, "REF")}`;
      if (/start|create|DELETE/.test(call)) asked.push(call);
      const answer = (status: number, body: unknown) => {
        response.writeHead(status, { "Content-Type": "application/json" });
        response.end(JSON.stringify(body));
      };
      if (pathname.endsWith("/start")) return request.socket.destroy();
      if (pathname.endsWith("/create")) {
        labels = ((await json(request)) as { Labels: unknown }).Labels;
        return answer(201, { Id: REF });
      }
      request.resume();
      if (pathname.endsWith("/events")) {
        response.writeHead(200, { "Content-Type": "application/json" });
        return response.flushHeaders();
      }
      if (!/containers\/.+\/json$/.test(pathname)) return answer(200, []);
      if (left === undefined) return answer(404, { message: "no such container" });
      answer(200, { Id: REF, Name: "/x", Config: { Labels: labels }, State: { Status: left } });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const homeId = mintHomeId(Date.now());
    const adapter = createDockerRuntime({ homeId, dockerHost: `tcp://127.0.0.1:${port}`, allowedMounts: [] });
    const one = launch();
    try {
      const signal = new AbortController().signal;
      await expect(adapter.submit(one, signal)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
      await expect(adapter.submit(one, signal)).rejects.toMatchObject({ code: "UNKNOWN", providerCode: "START_LOST" });
      const removal = left === undefined ? [] : ["DELETE /containers/REF"];
      expect(asked).toEqual(["POST /containers/create", "POST /containers/REF/start", ...removal]);
    } finally {
      await adapter.dispose();
      server.close();
      server.closeAllConnections();
    }
  },
);
