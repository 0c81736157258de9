import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import { LABELS } from "../../../../engine/naming.ts";
import type { RuntimeStatus } from "../../../../engine/ports/runtime.ts";

const REF = "b".repeat(64);
const homeId = mintHomeId(Date.now());
const STARTED_AT = "2026-01-02T03:04:05.000000000Z";
const FINISHED_AT = "2026-01-02T03:04:06.000000000Z";

/** A conversation with the engine that a test makes up. */
interface Talk {
  /** How often the container was asked for. */
  asked: number;
  /** Answers with the container in this state; resolves when that is on its way. */
  show(state: object): Promise<void>;
  /** Tells of an event; resolves when that is on its way. */
  tell(action: string, attributes: object): Promise<void>;
  /** Breaks the stream of events; on the next one nothing lives any more. */
  hangUp(): void;
}

/**
 * Waits for the end of a container on an engine that knows only this one and answers as the test says: no real engine can
 * be made to show and tell things in an order of one's choice.
 */
async function waitOn(onAsked: (talk: Talk) => Promise<void>): Promise<RuntimeStatus> {
  const labels = { [LABELS.home]: homeId };
  let asked = 0;
  let streams = 0;
  let events: ServerResponse | undefined;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://engine");
    response.writeHead(200, { "Content-Type": "application/json" });
    if (pathname.endsWith("/events")) {
      response.flushHeaders();
      events = response;
      streams += 1;
      return;
    }
    if (!pathname.endsWith(`/containers/${REF}/json`))
      return response.end(JSON.stringify(streams > 1 ? [] : [{ Id: REF }]));
    asked += 1;
    void onAsked({
      asked,
      show: (State) =>
        new Promise((resolve) => response.end(JSON.stringify({ Id: REF, Config: { Labels: labels }, State }), resolve)),
      tell(Action, attributes) {
        const event = {
          Type: "container",
          Action,
          Actor: { ID: REF, Attributes: { ...labels, ...attributes } },
          timeNano: 1,
        };
        return new Promise((resolve) => events?.write(`${JSON.stringify(event)}\n`, () => resolve()));
      },
      hangUp: () => void events?.destroy(),
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const adapter = createDockerRuntime({ homeId, dockerHost: `tcp://127.0.0.1:${port}`, allowedMounts: [] });
  try {
    return await adapter.wait(REF, new AbortController().signal);
  } finally {
    await adapter.dispose();
    server.close();
    server.closeAllConnections();
  }
}

it("an end that is told while an older answer is on its way is not forgotten: the job hung until its deadline", async () => {
  let asked = 0;
  const ended = await waitOn(async (talk) => {
    asked = talk.asked;
    if (asked > 1) return talk.show({ Running: false, ExitCode: 3, StartedAt: STARTED_AT, FinishedAt: FINISHED_AT });
    await talk.tell("die", { exitCode: "3" });
    await delay(50);
    await talk.show({ Running: true, ExitCode: 0, StartedAt: STARTED_AT, FinishedAt: "0001-01-01T00:00:00Z" });
  });
  expect(ended).toMatchObject({ phase: "exited", exitCode: 3 });
  expect(asked).toBe(2);
});

// Under load a real engine that is stopped did so: it showed that it had killed a container, and told of the kill later.
it("an end that is shown before the engine tells of it, and goes away, is the engine's: the job was blamed for it", async () => {
  const ended = await waitOn(async ({ asked, show, tell, hangUp }) => {
    await show({ Running: false, ExitCode: 143, StartedAt: STARTED_AT, FinishedAt: new Date().toISOString() });
    if (asked > 1) return;
    await tell("kill", { signal: "15" });
    await tell("die", { exitCode: "143" });
    hangUp();
  });
  expect(ended).toMatchObject({ phase: "exited", exitCode: 143, failure: { category: "RUNTIME_UNAVAILABLE" } });
});

it("memory that ran out is told after the end by it: the command was blamed", async () => {
  const FinishedAt = new Date().toISOString();
  const ended = await waitOn(async ({ asked, show, tell }) => {
    await show({ Running: false, OOMKilled: false, ExitCode: 137, StartedAt: STARTED_AT, FinishedAt });
    await tell(asked === 1 ? "die" : "oom", { exitCode: "137" });
  });
  expect(ended).toMatchObject({ phase: "exited", exitCode: 137, oom: true });
});
