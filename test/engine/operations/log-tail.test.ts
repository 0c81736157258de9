import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { attemptKey, logObject } from "../../../engine/ledger/keys.ts";
import { readAttempts } from "../../../engine/ledger/read.ts";
import { requeue } from "../../../engine/operations/admit.ts";
import { finalizeAttempt } from "../../../engine/operations/finalize.ts";
import { launchAttempt } from "../../../engine/operations/launch.ts";
import { newestLines } from "../../../engine/operations/log-tail.ts";
import { observeExit } from "../../../engine/operations/observe.ts";
import { readLogs } from "../../../engine/operations/read-logs.ts";
import type { RuntimeLine } from "../../../engine/ports/runtime.ts";
import { executionOf, launched, lifeOf, openWorld, type World } from "./world.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.dispose());

const STREAMS = ["stdout", "stderr", "system"] as const;
const lineOf = (text: string, n: number): RuntimeLine => ({
  n: n + 1,
  time: new Date(Date.UTC(2026, 2, 4, 5, 6, 7, 8) + n * 1001 - (n % 3) * 5000).toISOString(),
  stream: STREAMS[n % 3] as RuntimeLine["stream"],
  text,
});

/** Lets the runtime have written these texts. */
function wrote(texts: readonly string[]): void {
  world.runtime.logs = async function* (_ref, { after = 0 }) {
    const lines = texts.map(lineOf).slice(after);
    for (let at = 0; at < lines.length; at += 7) yield lines.slice(at, at + 7);
  };
}

/** A job that has written these texts and has ended; how its log is read as long as it is on the runtime. */
async function ended(texts: readonly string[], spec = {}) {
  const task = await launched(world, spec);
  wrote(texts);
  const live = await linesOf(task.jobId);
  await observeExit(world.ctx, task);
  await finalizeAttempt(world.ctx, task);
  world.runtime.logs = () => {
    throw new Error("the runtime is not to be asked any more");
  };
  return { ...task, live };
}
const jobOf = async (jobId: string) => (await lifeOf(world, jobId)).job;
const linesOf = async (jobId: string, after = 0) =>
  (await Array.fromAsync(readLogs(world.ctx, await jobOf(jobId), { after }))).flat();
const newest = async (jobId: string, count: number, after = 0) =>
  newestLines(world.ctx, await jobOf(jobId), { count, after });
const hasObject = async (jobId: string, attempt = 1) =>
  (await world.ctx.objects.head(logObject(jobId, attempt))) !== undefined;
const tailBytes = async (jobId: string) => {
  const item = await world.ledger.sqlite.get(attemptKey(jobId, 1));
  return Buffer.byteLength(JSON.stringify(item?.logTail ?? null));
};

/** From now on whoever asks the object store has lost. */
function loseObjects(): void {
  world.ctx.objects.get = () => Promise.reject(new LongshoreError("UNAVAILABLE", "the store is away"));
}

describe("a short log", () => {
  test.each([
    { what: "of one line", texts: ["hello"] },
    { what: "of empty lines", texts: ["", "", ""] },
    { what: "of odd characters", texts: ['"\\\u0000\u001b[31m', "漢字😀", "\ufffd\ufffd", "a\tb\r"] },
    { what: "of many lines", texts: Array.from({ length: 45 }, (_, n) => `line ${n}`) },
  ])("$what rests in the ledger alone, and is read as it was", async ({ texts }) => {
    const { jobId, live } = await ended(texts);
    expect(live.map(({ text }) => text)).toEqual(texts);
    expect(await hasObject(jobId)).toBe(false);
    expect(await tailBytes(jobId)).toBeLessThanOrEqual(2048);
    loseObjects();
    expect(await linesOf(jobId)).toEqual(live);
    for (const after of [1, 2, live.length - 1, live.length]) {
      expect(await linesOf(jobId, after)).toEqual(live.filter(({ seq }) => seq > after));
    }
    expect(await newest(jobId, 2)).toEqual(live.slice(-2));
    expect(await newest(jobId, 1000)).toEqual(live);
  });

  test("that was cut to its budget says so from the ledger too", async () => {
    const { jobId } = await ended(
      Array.from({ length: 90 }, (_, n) => `line ${n}`),
      { logs: { maxBytes: 450 } },
    );
    expect(await hasObject(jobId)).toBe(false);
    expect((await linesOf(jobId)).map(({ text }) => text)).toEqual([
      "line 0",
      "line 1",
      expect.stringMatching(/^86 lines were left out here/),
      "line 88",
      "line 89",
    ]);
  });

  test("holds no secret value there", async () => {
    const { jobId } = await ended(["the password is hunter2-hunter2"], { env: { DB_PASSWORD: "hunter2-hunter2" } });
    expect(JSON.stringify(await world.ledger.sqlite.get(attemptKey(jobId, 1)))).not.toContain("hunter2");
    expect((await linesOf(jobId))[0]?.text).toBe("the password is ***REDACTED***");
  });

  test("that could not be collected is not half there", async () => {
    const task = await launched(world, {});
    await observeExit(world.ctx, task);
    world.runtime.logs = async function* () {
      yield [lineOf("one", 0)];
      throw new LongshoreError("RUNTIME_UNAVAILABLE", "away");
    };
    await expect(finalizeAttempt(world.ctx, task)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect((await readAttempts(world.ledger, task.jobId))[0]?.logTail).toBeUndefined();
    wrote(["one", "two"]);
    await finalizeAttempt(world.ctx, task);
    expect((await linesOf(task.jobId)).map(({ text }) => text)).toEqual(["one", "two"]);
  });
});

describe("a long log", () => {
  const texts = Array.from({ length: 3000 }, (_, n) => `line ${n}`);

  test("has its end in the ledger: who asks for no more than that needs no object", async () => {
    const { jobId, live } = await ended(texts);
    expect(await hasObject(jobId)).toBe(true);
    expect(await linesOf(jobId)).toEqual(live);
    const bytes = await tailBytes(jobId);
    expect(bytes).toBeGreaterThan(1024);
    expect(bytes).toBeLessThanOrEqual(2048);
    expect(await newest(jobId, 1000)).toBeUndefined();
    loseObjects();
    expect(await newest(jobId, 20)).toEqual(live.slice(-20));
    expect(await newest(jobId, 0)).toEqual([]);
    expect(await newest(jobId, 1000, 2990)).toEqual(live.slice(-10));
    expect(await linesOf(jobId, 2990)).toEqual(live.slice(-10));
    await expect(linesOf(jobId, 100)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test.each([
    { what: "a last line that is too long has no end there", last: "x".repeat(3000), kept: 0 },
    { what: "a last line that is too long only when it is written down has none", last: "\u0001".repeat(500), kept: 0 },
    { what: "a long line before the last has the last", last: `${"x".repeat(3000)}\nlast`, kept: 1 },
  ])("with $what", async ({ last, kept }) => {
    const { jobId, live } = await ended([...texts.slice(0, 100), ...last.split("\n")]);
    expect((await readAttempts(world.ledger, jobId))[0]?.logTail?.lines ?? []).toHaveLength(kept);
    expect(await linesOf(jobId)).toEqual(live);
    expect(await newest(jobId, 2)).toBeUndefined();
  });

  test.each([0, 1])(
    "is read from any place as all of it is, and no more than it takes; %i lines damaged",
    async (damaged) => {
      const many = Array.from({ length: 40_000 }, (_, n) => `line ${n} ${"x".repeat(n % 5000 === 9 ? 200_000 : 60)}`);
      const { jobId, live } = await ended(many, { logs: { maxBytes: 100_000_000 } });
      const { get } = world.ctx.objects;
      const key = logObject(jobId, 1);
      const whole = Buffer.concat(await Array.fromAsync((await get(key))?.body ?? []));
      // In the very middle, where it is looked at first.
      if (damaged > 0) {
        const at = whole.indexOf("\n", whole.length / 2) + 1;
        whole.fill(0, at, whole.indexOf("\n", at));
        await world.ctx.objects.put(key, whole);
      }
      let read = 0;
      world.ctx.objects.get = async (...args) => {
        const object = await get(...args);
        if (object === undefined) return undefined;
        async function* counted(body: AsyncIterable<Uint8Array>) {
          for await (const chunk of body) {
            read += chunk.length;
            yield chunk;
          }
        }
        return { ...object, body: counted(object.body) };
      };
      const all = damaged > 0 ? await linesOf(jobId) : live;
      for (const after of [1, 9, 10, 19_999, 20_000, 20_001, 20_017, 35_009, 39_000, 39_999]) {
        read = 0;
        const lines = await linesOf(jobId, after);
        expect(lines.map(({ seq, text }) => [seq, text.slice(0, 20)])).toEqual(
          all.filter(({ seq }) => seq > after).map(({ seq, text }) => [seq, text.slice(0, 20)]),
        );
        expect(read).toBeLessThan(whole.length * (1 - after / 40_000) + 4 * 1024 * 1024);
      }
    },
  );

  test("whose item is from before there was an end in it is read as before", async () => {
    const { jobId, live } = await ended(texts);
    const { logTail: _tail, ...item } = (await world.ledger.sqlite.get(attemptKey(jobId, 1))) ?? { pk: "", sk: "" };
    await world.ledger.sqlite.commit([{ kind: "put", item }]);
    expect(await linesOf(jobId)).toEqual(live);
    expect(await newest(jobId, 20)).toBeUndefined();
  });
});

test("the end of a log is gathered over attempts, as far as all of a later one is known", async () => {
  const retry = { retry: { maxAttempts: 2, delaySeconds: 1, on: ["USER_CODE" as const] } };
  const task = await launched(world, retry, { STUB_EXIT_CODE: "1" });
  await observeExit(world.ctx, task);
  wrote(Array.from({ length: 200 }, (_, n) => `first ${n}`));
  expect(await finalizeAttempt(world.ctx, task)).toMatchObject({ retry: true });
  world.ledger.nowMs += 2_000;
  await requeue(world.ctx, task.jobId, 1);
  const second = { ...task, attempt: 2, token: executionOf(world, task.jobId).token };
  await launchAttempt(world.ctx, second);
  wrote(["second 0", "second 1"]);
  expect(await newest(task.jobId, 3)).toBeUndefined();
  await observeExit(world.ctx, second);
  await finalizeAttempt(world.ctx, second);
  const all = await linesOf(task.jobId);
  expect(all).toHaveLength(202);
  loseObjects();
  expect(await newest(task.jobId, 3)).toEqual(all.slice(-3));
  expect(await newest(task.jobId, 10, 198)).toEqual(all.slice(-4));
  expect(await newest(task.jobId, 150)).toBeUndefined();
});
