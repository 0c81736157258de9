import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import { launchOf } from "../../../contracts/runtime-harness.ts";

const REF = "d".repeat(64);
const NETWORK = "e".repeat(64);

// Two processes of one home can make a bridge each at the same moment, which a real engine cannot be made to do.
it("a bridge that is there twice for a moment refuses no launch: it failed the job", async () => {
  const calls: string[] = [];
  let starts = 0;
  const server = createServer((request, response) => {
    const pathname = new URL(request.url ?? "/", "http://engine").pathname.replace(/^\/v[\d.]+/, "");
    request.resume();
    const answer = (status: number, body: unknown) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (pathname.endsWith("/events")) return response.writeHead(200).flushHeaders();
    if (request.method !== "GET") calls.push(`${request.method} ${pathname.replace(REF, "REF")}`);
    if (pathname.endsWith("/start")) {
      starts += 1;
      if (starts > 1) return answer(204, null);
      return answer(400, { message: "network longshore-x-0 is ambiguous (2 matches found on name)" });
    }
    if (pathname === "/networks") {
      const name = String(JSON.parse(new URL(request.url ?? "/", "http://e").searchParams.get("filters") ?? "{}").name);
      return answer(200, [{ Name: name, Id: NETWORK, Created: "2026-01-02T03:04:05Z" }]);
    }
    answer(pathname.endsWith("/create") ? 201 : 200, pathname.endsWith("/json") ? [] : { Id: REF });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const homeId = mintHomeId(Date.now());
  const adapter = createDockerRuntime({ homeId, dockerHost: `tcp://127.0.0.1:${port}`, allowedMounts: [] });
  try {
    const launch = launchOf({ image: "busybox" }, { act: "shell", script: "exit 0" }, {});
    expect(await adapter.submit(launch, new AbortController().signal)).toBe(REF);
    // What could not be started is gone before the next one is made.
    const start = "POST /containers/REF/start";
    expect(calls).toEqual([
      "POST /containers/create",
      start,
      "DELETE /containers/REF",
      "POST /containers/create",
      start,
    ]);
  } finally {
    await adapter.dispose();
    server.close();
    server.closeAllConnections();
  }
});
