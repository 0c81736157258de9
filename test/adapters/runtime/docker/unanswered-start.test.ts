import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
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
