import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import { LABELS } from "../../../../engine/naming.ts";

const REF = "b".repeat(64);
const homeId = mintHomeId(Date.now());
const STARTED_AT = "2026-01-02T03:04:05.000000000Z";
const FINISHED_AT = "2026-01-02T03:04:06.000000000Z";

// No real engine can be made to answer in this order, so this one knows a single container and tells of its end between
// being asked and answering.
it("an end that is told while an older answer is on its way is not forgotten: the job hung until its deadline", async () => {
  let events: ServerResponse | undefined;
  let asked = 0;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://engine");
    response.writeHead(200, { "Content-Type": "application/json" });
    if (pathname.endsWith("/events")) {
      response.flushHeaders();
      events = response;
      return;
    }
    if (!pathname.endsWith(`/containers/${REF}/json`)) return response.end(JSON.stringify([{ Id: REF }]));
    asked += 1;
    const ended = { Running: false, ExitCode: 3, StartedAt: STARTED_AT, FinishedAt: FINISHED_AT };
    const running = { Running: true, ExitCode: 0, StartedAt: STARTED_AT, FinishedAt: "0001-01-01T00:00:00Z" };
    const labels = { [LABELS.home]: homeId };
    const answer = JSON.stringify({ Id: REF, Config: { Labels: labels }, State: asked === 1 ? running : ended });
    if (asked > 1) return response.end(answer);
    const attributes = { ...labels, exitCode: "3" };
    const event = { Type: "container", Action: "die", Actor: { ID: REF, Attributes: attributes }, timeNano: 1 };
    events?.write(`${JSON.stringify(event)}\n`, () => setTimeout(() => response.end(answer), 50));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const adapter = createDockerRuntime({ homeId, dockerHost: `tcp://127.0.0.1:${port}`, allowedMounts: [] });
  try {
    expect(await adapter.wait(REF, new AbortController().signal)).toMatchObject({ phase: "exited", exitCode: 3 });
    expect(asked).toBe(2);
  } finally {
    await adapter.dispose();
    server.close();
    server.closeAllConnections();
  }
});

// Under load a real engine that is stopped did so: it showed that it had killed a container, and told of the kill later.
it("an end that is shown before the engine tells of it, and goes away, is the engine's: the job was blamed for it", async () => {
  const labels = { [LABELS.home]: homeId };
  let streams = 0;
  let asked = 0;
  let events: ServerResponse | undefined;
  const tell = (action: string, attributes: object) =>
    events?.write(
      `${JSON.stringify({ Type: "container", Action: action, Actor: { ID: REF, Attributes: { ...labels, ...attributes } }, timeNano: 1 })}\n`,
    );
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://engine");
    response.writeHead(200, { "Content-Type": "application/json" });
    if (pathname.endsWith("/events")) {
      response.flushHeaders();
      events = response;
      streams += 1;
      return;
    }
    // Nothing lives: what was waited for ended while nobody looked.
    if (!pathname.endsWith(`/containers/${REF}/json`))
      return response.end(JSON.stringify(streams > 1 ? [] : [{ Id: REF }]));
    asked += 1;
    const state = { Running: false, ExitCode: 143, StartedAt: STARTED_AT, FinishedAt: new Date().toISOString() };
    response.end(JSON.stringify({ Id: REF, Config: { Labels: labels }, State: state }), () => {
      if (asked > 1) return;
      tell("kill", { signal: "15" });
      tell("die", { exitCode: "143" });
      events?.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const adapter = createDockerRuntime({ homeId, dockerHost: `tcp://127.0.0.1:${port}`, allowedMounts: [] });
  try {
    const ended = await adapter.wait(REF, new AbortController().signal);
    expect(ended).toMatchObject({ phase: "exited", exitCode: 143, failure: { category: "RUNTIME_UNAVAILABLE" } });
  } finally {
    await adapter.dispose();
    server.close();
    server.closeAllConnections();
  }
});

it("memory that ran out is told after the end by it: the command was blamed", async () => {
  const labels = { [LABELS.home]: homeId };
  let events: ServerResponse | undefined;
  let asked = 0;
  const tell = (action: string, attributes: object) => {
    const actor = { ID: REF, Attributes: { ...labels, ...attributes } };
    events?.write(`${JSON.stringify({ Type: "container", Action: action, Actor: actor, timeNano: 1 })}\n`);
  };
  const FinishedAt = new Date().toISOString();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://engine");
    response.writeHead(200, { "Content-Type": "application/json" });
    if (pathname.endsWith("/events")) {
      response.flushHeaders();
      events = response;
      return;
    }
    if (!pathname.endsWith(`/containers/${REF}/json`)) return response.end(JSON.stringify([{ Id: REF }]));
    asked += 1;
    const state = { Running: false, OOMKilled: false, ExitCode: 137, StartedAt: STARTED_AT, FinishedAt };
    response.end(JSON.stringify({ Id: REF, Config: { Labels: labels }, State: state }), () => {
      tell(asked === 1 ? "die" : "oom", { exitCode: "137" });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const adapter = createDockerRuntime({ homeId, dockerHost: `tcp://127.0.0.1:${port}`, allowedMounts: [] });
  try {
    const ended = await adapter.wait(REF, new AbortController().signal);
    expect(ended).toMatchObject({ phase: "exited", exitCode: 137, oom: true });
  } finally {
    await adapter.dispose();
    server.close();
    server.closeAllConnections();
  }
});
