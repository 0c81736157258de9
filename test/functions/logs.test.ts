import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LongshoreError } from "../../engine/errors.ts";
import { finalizeAttempt } from "../../engine/operations/finalize.ts";
import { REST_UNREADABLE } from "../../engine/operations/log-line.ts";
import { observeExit } from "../../engine/operations/observe.ts";
import type { RuntimeLine } from "../../engine/ports/runtime.ts";
import { makeHandler as query } from "../../functions/query.ts";
import { makeHandler as streamed } from "../../functions/stream.ts";
import { createChanges } from "../../local/changes.ts";
import { type Gateway, openGateway } from "../../local/gateway.ts";
import { invoke } from "../../local/invoke.ts";
import { launched, lifeOf, openWorld, type World } from "../engine/operations/world.ts";
import { call, follow } from "../scenarios/client.ts";
import type { LogLine, Page } from "../scenarios/contract.ts";

const MIB = 1024 * 1024;
let world: World;
let gateway: Gateway;
const target = { api: () => `${gateway.url}/api/v1` };

beforeEach(async () => {
  world = await openWorld();
  const { ctx, ledger } = world;
  const answer = query(ctx);
  gateway = await openGateway(
    {
      submit: () => Promise.reject(new Error("nothing is submitted here")),
      query: (event) => invoke(answer, event),
      stream: streamed({
        ctx,
        changes: createChanges(ledger.sqlite.feed),
        progressOf: () => null,
        onProgress: () => () => undefined,
      }),
    },
    0,
    ctx.logger,
  );
});
afterEach(async () => {
  await gateway.close();
  await world.dispose();
});

const line = (n: number, text = `line ${n}`): RuntimeLine => ({
  n,
  time: "2026-03-04T05:06:08.000Z",
  stream: "stdout",
  text,
});

/** A log on the runtime that goes on as long as it is read; tells how far it was read and that it was let go. */
function endless(text: (n: number) => string) {
  const state = { read: 0, open: 0 };
  world.runtime.logs = async function* (_ref, { after = 0 }) {
    state.open += 1;
    try {
      for (let n = after + 1; ; n++) {
        state.read = n;
        yield [line(n, text(n))];
      }
    } finally {
      state.open -= 1;
    }
  };
  return state;
}

/** A log of so many lines. */
function wrote(count: number, text: (n: number) => string): void {
  world.runtime.logs = async function* (_ref, { after = 0 }) {
    for (let n = after + 1; n <= count; n++) yield [line(n, text(n))];
  };
}

async function page(jobId: string, search: string): Promise<Page<LogLine> & { bytes: number }> {
  const { status, body, text } = await call<Page<LogLine>>(target, `/jobs/${jobId}/logs${search}`);
  expect(status).toBe(200);
  return { ...body, bytes: Buffer.byteLength(text) };
}

describe("a page of a log", () => {
  test("stops reading the runtime's log when it is full, and lets it go", async () => {
    const { jobId } = await launched(world);
    const log = endless((n) => `line ${n}`);
    const { items, nextCursor } = await page(jobId, "?limit=10");
    expect(items.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(nextCursor).toBe("10");
    expect(log).toEqual({ read: 11, open: 0 });
  });

  test("ends at about 4 MiB too, and the next goes on behind it: a thousand long lines were a gigabyte", async () => {
    const { jobId } = await launched(world);
    wrote(11, (n) => String(n % 10).repeat(MIB - 200));
    const seqs: number[][] = [];
    for (let cursor: string | null = "0"; cursor !== null; ) {
      const { items, nextCursor, bytes } = await page(jobId, `?cursor=${cursor}`);
      expect(bytes).toBeLessThan(4 * MIB + 100);
      seqs.push(items.map(({ seq }) => seq));
      cursor = nextCursor;
    }
    expect(seqs).toEqual([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
      [9, 10, 11],
    ]);
  });

  test("counts what a line takes in the answer, and holds one however large", async () => {
    const { jobId } = await launched(world);
    wrote(2, () => "\u0001".repeat(MIB));
    const first = await page(jobId, "");
    expect([first.items.map(({ seq }) => seq), first.nextCursor]).toEqual([[1], "1"]);
    expect((await page(jobId, "?cursor=1")).items.map(({ seq }) => seq)).toEqual([2]);
    expect((await page(jobId, "?tail=2")).items.map(({ seq }) => seq)).toEqual([2]);
  });

  test("of the tail has the newest lines that fit into 4 MiB", async () => {
    const { jobId } = await launched(world);
    wrote(11, (n) => String(n % 10).repeat(MIB - 200));
    const { items, nextCursor, bytes } = await page(jobId, "?tail=1000");
    expect(items.map(({ seq }) => seq)).toEqual([8, 9, 10, 11]);
    expect(nextCursor).toBeNull();
    expect(bytes).toBeLessThan(4 * MIB + 100);
    const text = await call(target, `/jobs/${jobId}/logs?tail=1000`, { headers: { Accept: "text/plain" } });
    expect(text.text.match(/\d+/g)?.map((digits) => digits[0])).toEqual(["8", "9", "0", "1"]);
  });

  test("of the tail of many lines has the last of them", async () => {
    const { jobId } = await launched(world);
    wrote(100_000, () => "");
    const { items } = await page(jobId, "?tail=2000");
    expect(items.map(({ seq }) => seq)).toEqual(Array.from({ length: 2000 }, (_, n) => 98_001 + n));
    expect((await page(jobId, "?tail=0")).items).toEqual([]);
  });
});

describe("a stream of a log", () => {
  const follower = async (path: string) => {
    const lines: LogLine[] = [];
    let ended = false;
    for await (const { event, data } of follow(target, path)) {
      if (event === "log") lines.push(data as LogLine);
      if (event === "end") ended = true;
    }
    return { lines, ended };
  };

  test.each([0, 2, 3, 50])("with tail=%i loses and doubles no line that came behind the tail", async (tail) => {
    const task = await launched(world);
    // While the tail is read three lines are there; three more come before it is followed, and three after it.
    world.runtime.logs = async function* (_ref, { follow: follows = false, after = 0 }) {
      for (let n = after + 1; n <= (follows ? 6 : 3); n++) yield [line(n)];
      if (!follows) return;
      wrote(9, (n) => `line ${n}`);
      await finalizeAttempt(world.ctx, { ...task, failure: "lost" });
    };
    const { lines, ended } = await follower(`/jobs/${task.jobId}/logs?tail=${tail}`);
    const first = Math.max(1, 4 - tail);
    expect(lines.map(({ seq }) => seq)).toEqual(Array.from({ length: 10 - first }, (_, n) => first + n));
    expect(ended).toBe(true);
  });

  test.each([0, 2])(
    "with tail=%i tells where the tail ends, so that a reader who is cut there can come back",
    async (tail) => {
      const { jobId } = await launched(world);
      wrote(5, (n) => `line ${n}`);
      const ids: (string | undefined)[] = [];
      for await (const { id, event } of follow(target, `/jobs/${jobId}/logs?tail=${tail}`)) {
        ids.push(id);
        if (event === "heartbeat") break;
      }
      expect(ids).toEqual(tail === 0 ? ["5"] : ["4", "5", "5"]);
    },
  );

  test("whose reader leaves lets the runtime's log go", async () => {
    const { jobId } = await launched(world);
    const gone = Promise.withResolvers<void>();
    world.runtime.logs = async function* (_ref, { signal }) {
      try {
        yield [line(1)];
        await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()));
        signal?.throwIfAborted();
      } finally {
        gone.resolve();
      }
    };
    for await (const { event } of follow(target, `/jobs/${jobId}/logs`)) if (event === "log") break;
    await gone.promise;
    expect((await lifeOf(world, jobId)).job.status).toBe("RUNNING");
  });
});

describe("a log that cannot be read to its end", () => {
  beforeEach(() => {
    world.runtime.logs = async function* (_ref, { after = 0 }) {
      if (after < 1) yield [line(1)];
      throw new LongshoreError("UNKNOWN", "open /var/lib/secret: damaged");
    };
  });
  const wanted = [
    [1, "stdout", "line 1"],
    [2, "system", REST_UNREADABLE],
  ];

  test("is an answer with what there is and a remark, as JSON, as text and as a stream", async () => {
    const task = await launched(world);
    const { items, nextCursor } = await page(task.jobId, "");
    expect(items.map(({ seq, stream, text }) => [seq, stream, text])).toEqual(wanted);
    expect(nextCursor).toBeNull();
    const { status, text } = await call(target, `/jobs/${task.jobId}/logs`, { headers: { Accept: "text/plain" } });
    expect([status, text]).toEqual([200, `line 1\n${REST_UNREADABLE}\n`]);
    const seen: unknown[] = [];
    for await (const { event, data } of follow(target, `/jobs/${task.jobId}/logs`)) {
      if (event !== "log") continue;
      const { seq, stream, text: said } = data as LogLine;
      seen.push([seq, stream, said]);
      if (seq === 2) break;
    }
    expect(seen).toEqual(wanted);
  });

  test("and whose job ends is the same when it was stored, and the stream ends", async () => {
    const task = await launched(world, {}, {});
    await observeExit(world.ctx, task);
    await finalizeAttempt(world.ctx, task);
    const { items } = await page(task.jobId, "");
    expect(items.map(({ seq, stream, text }) => [seq, stream, text])).toEqual(wanted);
    const events: string[] = [];
    for await (const { event } of follow(target, `/jobs/${task.jobId}/logs`)) events.push(event ?? "");
    expect(events).toEqual(["log", "log", "end"]);
  });
});
