import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createLiveLogs } from "../../engine/operations/live-log.ts";
import type { ApiEvent } from "../../functions/http.ts";
import { makeHandler } from "../../functions/log-socket.ts";
import { createChanges } from "../../local/changes.ts";
import { type GrowingLog, growingLog } from "../engine/operations/growing-log.ts";
import { launched, openWorld, type World } from "../engine/operations/world.ts";

let world: World;
let log: GrowingLog;

beforeEach(async () => {
  world = await openWorld();
  log = growingLog(world);
});
afterEach(async () => {
  vi.useRealTimers();
  await world.dispose();
});

it("a feed's position is behind what its reader has, though more was read while a heartbeat was told", async () => {
  const { jobId } = await launched(world);
  const { ctx, ledger } = world;
  const live = createLiveLogs(ctx);
  const none = { progressOf: () => null, onProgress: () => () => undefined };
  const open = makeHandler({ ctx, live, changes: createChanges(ledger.sqlite.feed), ...none }, { maxBytes: 1000 });
  const gone = new AbortController();
  const path = `/v1/jobs/${jobId}/logs/stream`;
  const event = { path, headers: {}, pathParameters: { id: jobId }, queryStringParameters: { tail: "2" } };
  const { frames, position, isOver } = await open(event as unknown as ApiEvent, gone.signal);
  const next = async () => {
    const { value } = await frames.next();
    return value?.map((frame: { text: string }) => JSON.parse(frame.text));
  };
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });

  log.write(3);
  expect(await next()).toMatchObject([{ id: 2 }, { id: 3 }]);
  expect(position()).toBeUndefined();
  // Where the tail ends.
  expect(await next()).toEqual([{ id: 3, event: "heartbeat", data: {} }]);
  const silence = next();
  while (log.opened.follows === 0) await turn();
  await vi.advanceTimersByTimeAsync(15_000);
  expect(await silence).toEqual([{ event: "heartbeat", data: {} }]);
  expect(position()).toBe(3);

  log.write(5);
  while (live.stats().lines < 5) await turn();
  for (let n = 0; n < 20; n++) await turn();
  const lines = next();
  expect(await lines).toMatchObject([{ id: 4 }, { id: 5 }, { id: 6 }, { id: 7 }, { id: 8 }]);
  expect(position()).toBe(3);
  const more = next();
  log.write(1);
  expect(await more).toMatchObject([{ id: 9 }]);
  expect([position(), isOver()]).toEqual([8, false]);
  gone.abort();
  await frames.return(undefined);
  while (log.opened.open > 0) await turn();
});
