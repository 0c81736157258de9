import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { logObject, masksKey } from "../../../engine/ledger/keys.ts";
import { readAttempts } from "../../../engine/ledger/read.ts";
import { masksContext } from "../../../engine/naming.ts";
import { requeue } from "../../../engine/operations/admit.ts";
import { maskedValues } from "../../../engine/operations/attempt-log.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { createLiveLogs } from "../../../engine/operations/live-log.ts";
import { MASKS_UNREADABLE, REST_UNREADABLE } from "../../../engine/operations/log-line.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { followLogs, readLogs } from "../../../engine/operations/read-logs.ts";
import type { LogOptions, RuntimeLine } from "../../../engine/ports/runtime.ts";
import { eventsOf, executionOf, launched, lifeOf, openWorld, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

const SECRET = "hunter2-hunter2";
const PATH = "/var/lib/somewhere/secret.log";

const line = (n: number, text = `line ${n}`): RuntimeLine => ({
  n,
  time: `2026-03-04T05:06:${String(n % 60).padStart(2, "0")}.000Z`,
  stream: "stdout",
  text,
});

/** Lets the runtime have written `count` lines, and fail behind them. */
function failing(count: number, error?: unknown) {
  const reads: LogOptions[] = [];
  world.runtime.logs = async function* (_ref, options) {
    reads.push(options);
    for (let n = (options.after ?? 0) + 1; n <= count; n++) yield [line(n)];
    if (error !== undefined) throw error;
  };
  return reads;
}

async function ended(spec = {}, script: Record<string, string> = {}) {
  const task = await launched(world, spec, script);
  await observeExit(world.ctx, task);
  return task;
}
const jobOf = async (jobId: string) => (await lifeOf(world, jobId)).job;
const linesOf = async (jobId: string, after = 0) =>
  (await Array.fromAsync(readLogs(world.ctx, await jobOf(jobId), { after }))).flat();
const collectedOf = async (jobId: string) =>
  (await eventsOf(world, jobId)).find(({ type }) => type === "LOGS_COLLECTED")?.data;
async function storedText(jobId: string): Promise<string> {
  const object = await world.ctx.objects.get(logObject(jobId, 1));
  return Buffer.concat(object === undefined ? [] : await Array.fromAsync(object.body)).toString();
}

describe("a log that can never be read to its end blocked its job and its slot", () => {
  const errors: [string, unknown][] = [
    ["UNKNOWN of the runtime", new LongshoreError("UNKNOWN", `damaged: ${PATH}`)],
    ["NOT_FOUND of the runtime", new LongshoreError("NOT_FOUND", PATH)],
    ["an unforeseen error", Object.assign(new Error(`EIO: i/o error, read '${PATH}'`), { code: "EIO" })],
    ["what is no error", "broken"],
  ];

  test.each(errors)("by %s", async (_, error) => {
    const task = await ended();
    failing(2, error);
    const live = await linesOf(task.jobId);
    await finalizeAttempt(world.ctx, task);
    expect(await jobOf(task.jobId)).toMatchObject({ status: "SUCCEEDED", slotShard: null, cleanupPending: false });
    const lines = await linesOf(task.jobId);
    expect(lines.map(({ seq, stream, text }) => [seq, stream, text])).toEqual([
      [1, "stdout", "line 1"],
      [2, "stdout", "line 2"],
      [3, "system", REST_UNREADABLE],
    ]);
    expect(live).toEqual(lines);
    expect(await collectedOf(task.jobId)).toEqual({ lines: 3, bytes: 14, truncated: true });
    expect((await readAttempts(world.ledger, task.jobId))[0]?.logLines).toBe(3);
    expect(await storedText(task.jobId)).not.toContain(PATH);
    expect(inspect(world.logged, { depth: 10 })).not.toContain(PATH);
    expect(inspect(world.logged, { depth: 10 })).toContain("a log cannot be read to its end");
  });

  test("from its beginning on", async () => {
    const task = await ended();
    failing(0, new LongshoreError("UNKNOWN", "x"));
    await finalizeAttempt(world.ctx, task);
    const lines = await linesOf(task.jobId);
    expect(lines).toMatchObject([{ seq: 1, stream: "system", text: REST_UNREADABLE }]);
    expect(await collectedOf(task.jobId)).toEqual({ lines: 1, bytes: 0, truncated: true });
  });

  test("however small its budget is: the remark has no price", async () => {
    const task = await ended({ logs: { maxBytes: 1 } });
    failing(2, new LongshoreError("UNKNOWN", "x"));
    await finalizeAttempt(world.ctx, task);
    expect((await linesOf(task.jobId)).map(({ seq, text }) => [seq, text])).toEqual([
      [1, expect.stringContaining("2 lines were left out here")],
      [3, REST_UNREADABLE],
    ]);
  });

  test.each(["UNAVAILABLE", "RUNTIME_UNAVAILABLE"] as const)("but %s is waited for", async (code) => {
    const task = await ended();
    failing(2, new LongshoreError(code, "away"));
    await expect(finalizeAttempt(world.ctx, task)).rejects.toMatchObject({ code });
    await expect(linesOf(task.jobId)).rejects.toMatchObject({ code });
    expect(await jobOf(task.jobId)).toMatchObject({ phase: "collecting" });
    expect(await world.ctx.objects.head(logObject(task.jobId, 1))).toBeUndefined();
    failing(2);
    await finalizeAttempt(world.ctx, task);
    expect((await linesOf(task.jobId)).map(({ text }) => text)).toEqual(["line 1", "line 2"]);
  });

  test("and is numbered on by the next attempt", async () => {
    const spec = { retry: { maxAttempts: 2, delaySeconds: 1, on: ["UNKNOWN" as const] } };
    const task = await ended(spec, { STUB_END_WITH: "UNKNOWN" });
    failing(2, new LongshoreError("UNKNOWN", "x"));
    expect(await finalizeAttempt(world.ctx, task)).toMatchObject({ retry: true });
    world.ledger.nowMs += 2_000;
    await requeue(world.ctx, task.jobId, 1);
    failing(1);
    await launchAttempt(world.ctx, { ...task, attempt: 2, token: executionOf(world, task.jobId).token });
    expect((await linesOf(task.jobId)).map(({ seq, attempt, text }) => [seq, attempt, text])).toEqual([
      [1, 1, "line 1"],
      [2, 1, "line 2"],
      [3, 1, REST_UNREADABLE],
      [4, 2, "line 1"],
    ]);
  });
});

describe("the values to mask that cannot be opened blocked their job and its slot", () => {
  const damages: [string, (jobId: string) => Promise<void>][] = [
    ["sealed bytes that were altered", (jobId) => patch(jobId, Buffer.from("nonsense").toString("base64"))],
    ["no sealed bytes in the item", (jobId) => patch(jobId, 5)],
    ["an opened text that is no JSON", (jobId) => resealed(jobId, `{"${SECRET}`)],
    ["an opened text that is no list", (jobId) => resealed(jobId, `{"a":"${SECRET}"}`)],
  ];
  async function patch(jobId: string, data: unknown): Promise<void> {
    const item = await world.ledger.sqlite.get(masksKey(jobId, 1));
    await world.ledger.sqlite.commit([{ kind: "put", item: { ...masksKey(jobId, 1), ttl: item?.ttl ?? 0, data } }]);
  }
  async function resealed(jobId: string, text: string): Promise<void> {
    await patch(
      jobId,
      Buffer.from(await world.ctx.sealer.seal(Buffer.from(text), masksContext(jobId))).toString("base64"),
    );
  }

  test.each(damages)("by %s, and nothing of the log is shown", async (_, damage) => {
    const task = await ended({ env: { DB_PASSWORD: SECRET } });
    world.runtime.logs = async function* () {
      yield [line(1, `password=${SECRET}`)];
    };
    await damage(task.jobId);
    const opening = await maskedValues(world.ctx, task.jobId, 1).catch((error: unknown) => error);
    expect(opening).toMatchObject({ code: "UNKNOWN" });
    expect(inspect(opening)).not.toContain(SECRET.slice(0, 5));
    const live = await linesOf(task.jobId);
    await finalizeAttempt(world.ctx, task);
    expect(await jobOf(task.jobId)).toMatchObject({ status: "SUCCEEDED", slotShard: null });
    const lines = await linesOf(task.jobId);
    expect(lines).toMatchObject([{ seq: 1, stream: "system", text: MASKS_UNREADABLE }]);
    expect(live).toEqual(lines);
    expect(await storedText(task.jobId)).not.toContain(SECRET);
    expect(inspect(world.logged, { depth: 10 })).not.toContain(SECRET);
  });

  test("but a sealer that is away is waited for", async () => {
    const task = await ended({ env: { DB_PASSWORD: SECRET } });
    failing(1);
    const { open } = world.ctx.sealer;
    world.ctx.sealer = { ...world.ctx.sealer, open: () => Promise.reject(new LongshoreError("UNAVAILABLE", "away")) };
    await expect(finalizeAttempt(world.ctx, task)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    world.ctx.sealer = { ...world.ctx.sealer, open };
    await finalizeAttempt(world.ctx, task);
    expect((await linesOf(task.jobId)).map(({ text }) => text)).toEqual(["line 1"]);
  });
});

describe("a log that was stored", () => {
  /** Finalizes up to the verdict's commit, and dies there; the container is then removed by somebody else. */
  async function diesBehindTheStore(task: Awaited<ReturnType<typeof ended>>): Promise<void> {
    const { put } = world.ctx.objects;
    const died = new LongshoreError("UNAVAILABLE", "the process died");
    world.ctx.objects.put = async (key, body) => {
      await put(key, body);
      throw died;
    };
    await expect(finalizeAttempt(world.ctx, task)).rejects.toThrow("the process died");
    world.ctx.objects.put = () => Promise.reject(new Error("it must not be stored again"));
    failing(0);
  }

  const unreadable = new LongshoreError("UNKNOWN", "x");
  test.each([
    { how: "whole", collected: { lines: 300, bytes: 2592, truncated: false } },
    { how: "cut", spec: { logs: { maxBytes: 10_000 } }, collected: { lines: 300, bytes: 773, truncated: true } },
    { how: "unreadable", error: unreadable, collected: { lines: 301, bytes: 2592, truncated: true } },
  ])("$how is counted, not lost, when its container has gone since", async ({ spec, error, collected }) => {
    const task = await ended(spec);
    failing(300, error);
    await diesBehindTheStore(task);
    const before = await storedText(task.jobId);
    expect(before).not.toBe("");
    await finalizeAttempt(world.ctx, task);
    expect(await collectedOf(task.jobId)).toEqual(collected);
    expect((await readAttempts(world.ledger, task.jobId))[0]?.logLines).toBe(collected.lines);
    expect(await storedText(task.jobId)).toBe(before);
    expect((await linesOf(task.jobId))[0]?.seq).toBe(1);
  });

  test("and is damaged since is read as far as it can be", async () => {
    const task = await ended();
    failing(200);
    await finalizeAttempt(world.ctx, task);
    const texts = (await storedText(task.jobId)).split("\n");
    texts.splice(1, 2, '{"seq":2,"te', "\0\0\0");
    await world.ctx.objects.put(logObject(task.jobId, 1), Buffer.from(texts.join("\n")));
    const lines = await linesOf(task.jobId);
    expect(lines.map(({ seq, text }) => [seq, text])).toEqual([
      [1, "line 1"],
      [2, REST_UNREADABLE],
      ...Array.from({ length: 197 }, (_, n) => [n + 4, `line ${n + 4}`]),
    ]);
    for (const after of [1, 2, 3, 4, 5, 190, 200]) {
      expect(await linesOf(task.jobId, after)).toEqual(lines.filter(({ seq }) => seq > after));
    }
  });

  test("and removed while its container was read is read on from the store: the answer ended there", async () => {
    const task = await ended();
    world.runtime.logs = async function* (_ref, { after = 0 }) {
      if (after === 0) yield [line(1)];
      failing(3);
      await finalizeAttempt(world.ctx, task);
    };
    expect((await linesOf(task.jobId)).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });
});

describe("who follows a log that cannot be read on", () => {
  test("hears of it once, is not read for again, and gets the rest when it is collected", async () => {
    const task = await launched(world);
    const reads = failing(2, new LongshoreError("UNKNOWN", "x"));
    const reader = new AbortController();
    let changes = 0;
    const changed = async () => {
      changes += 1;
      if (changes < 3) return;
      failing(4);
      await finalizeAttempt(world.ctx, { ...task, failure: "lost" });
    };
    const seen = [];
    const followed = followLogs(world.ctx, await jobOf(task.jobId), {
      signal: reader.signal,
      changed,
      live: createLiveLogs(world.ctx),
    });
    for await (const lines of followed) seen.push(...lines.map(({ seq, text }) => [seq, text]));
    expect(seen).toEqual([
      [1, "line 1"],
      [2, "line 2"],
      [3, REST_UNREADABLE],
      [4, "line 4"],
    ]);
    expect(reads).toHaveLength(1);
  });

  test("and comes back behind the remark does not hear of it again", async () => {
    const task = await launched(world);
    failing(2, new LongshoreError("UNKNOWN", "x"));
    expect((await linesOf(task.jobId, 1)).map(({ seq }) => seq)).toEqual([2, 3]);
    expect(await linesOf(task.jobId, 3)).toEqual([]);
  });
});
