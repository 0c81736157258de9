import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createMemoryBus } from "../../adapters/bus/memory.ts";
import { createSqliteTable, type SqliteTable } from "../../adapters/table/sqlite/index.ts";
import { LongshoreError } from "../../engine/errors.ts";
import type { FeedRecord } from "../../engine/ports/table.ts";
import { createFeedPump, type FeedPump, type FeedPumpOptions } from "../../local/feed-pump.ts";

describe("the feed pump", () => {
  let directory: string;
  let table: SqliteTable;
  let pump: FeedPump | undefined;
  const waits: number[] = [];
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };

  const open = (): SqliteTable => createSqliteTable({ file: join(directory, "ledger.db") });
  beforeEach(async () => {
    vi.clearAllMocks();
    waits.length = 0;
    directory = await mkdtemp(join(tmpdir(), "longshore-pump-"));
    table = open();
  });
  afterEach(async () => {
    await pump?.stop();
    pump = undefined;
    await table.close();
    await rm(directory, { recursive: true });
  });

  const commit = (job: string, ...seqs: number[]): Promise<void> =>
    table.commit(seqs.map((seq) => ({ kind: "put", item: { pk: job, sk: `EVENT#${seq}` } })));
  const names = (records: FeedRecord[]): string[] => records.map(({ item }) => `${item.pk}${item.sk.slice(6)}`);
  const make = (handle: FeedPumpOptions["handle"], more: Partial<FeedPumpOptions> = {}): FeedPump =>
    createFeedPump({
      name: "test",
      feed: table.feed,
      cursor: table.cursor,
      saveCursor: table.saveCursor,
      handle,
      logger,
      wait: async (milliseconds) => {
        waits.push(milliseconds);
        await new Promise(setImmediate);
      },
      ...more,
    });
  const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 5_000, interval: 5 });

  it("hands on what was committed before it started and what is committed while it runs, in order", async () => {
    await commit("a", 1, 2, 3);
    const seen: string[] = [];
    pump = make(
      async (records) => {
        expect(records.length).toBeLessThanOrEqual(2);
        seen.push(...names(records));
        return { failed: [] };
      },
      { batchSize: 2 },
    );
    pump.start();
    pump.start();
    await until(() => expect(seen).toEqual(["a1", "a2", "a3"]));
    await Promise.all([commit("b", 1), commit("c", 1)]);
    await commit("b", 2);
    await until(() => expect(seen).toEqual(["a1", "a2", "a3", "b1", "c1", "b2"]));
    expect(waits).toEqual([]);
  });

  it("misses no wake that comes between an empty read and the wait that follows", async () => {
    const seen: string[] = [];
    let committed = false;
    const read: SqliteTable["feed"]["read"] = async (after, limit) => {
      const records = await table.feed.read(after, limit);
      if (records.length === 0 && !committed) {
        committed = true;
        await commit("a", 1);
        await new Promise(setImmediate);
      }
      return records;
    };
    pump = make(
      async (records) => {
        seen.push(...names(records));
        return { failed: [] };
      },
      { feed: { read, subscribe: table.feed.subscribe } },
    );
    pump.start();
    await until(() => expect(seen).toEqual(["a1"]));
  });

  it("goes on behind its durable cursor after a clean stop", async () => {
    await commit("a", 1, 2);
    const seen: string[] = [];
    const handle = async (records: FeedRecord[]): Promise<{ failed: number[] }> => {
      seen.push(...names(records));
      return { failed: [] };
    };
    pump = make(handle);
    pump.start();
    await until(() => expect(seen).toEqual(["a1", "a2"]));
    await pump.stop();
    await commit("a", 3);
    await table.close();
    table = open();
    pump = make(handle);
    pump.start();
    await until(() => expect(seen).toEqual(["a1", "a2", "a3"]));
  });

  it("hands records over again when a crash came before the cursor was saved", async () => {
    await commit("a", 1, 2);
    const seen: string[] = [];
    const handle = async (records: FeedRecord[]): Promise<{ failed: number[] }> => {
      seen.push(...names(records));
      return { failed: [] };
    };
    // What a crash does: the batch was handled, the cursor is lost.
    const crashed = make(handle, { saveCursor: () => undefined });
    crashed.start();
    await until(() => expect(seen).toEqual(["a1", "a2"]));
    await crashed.stop();
    pump = make(handle);
    pump.start();
    await until(() => expect(seen).toEqual(["a1", "a2", "a1", "a2"]));
  });

  it("stops only after the running batch, and saves its cursor", async () => {
    await commit("a", 1);
    const entered = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    pump = make(async () => {
      entered.resolve();
      await gate.promise;
      return { failed: [] };
    });
    pump.start();
    await entered.promise;
    const order: string[] = [];
    const stopping = pump.stop().then(() => order.push("stopped"));
    await new Promise(setImmediate);
    order.push("released");
    gate.resolve();
    await stopping;
    await pump.stop();
    expect(order).toEqual(["released", "stopped"]);
    const [record] = await table.feed.read(0, 1);
    expect(await table.cursor("test")).toBe(record!.position);
  });

  it("stops in the middle of a backoff", async () => {
    await commit("a", 1);
    const waiting = Promise.withResolvers<void>();
    pump = make(async (records) => ({ failed: records.map(({ position }) => position) }), {
      wait: (_milliseconds, signal) => {
        waiting.resolve();
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
        });
      },
    });
    pump.start();
    await waiting.promise;
    await pump.stop();
    expect(await table.cursor("test")).toBe(0);
  });

  it("goes on from the first failed record, with growing pauses, and keeps the order of every job", async () => {
    await commit("a", 1);
    await commit("b", 1);
    await commit("a", 2);
    await commit("b", 2);
    await commit("a", 3);
    const bus = createMemoryBus({ tries: 1 });
    const done: string[] = [];
    let left = 3;
    bus.subscribe("fails on a2", async ({ id }) => {
      if (id === "a#2" && left > 0) {
        left -= 1;
        throw new Error("not yet");
      }
      done.push(id);
    });
    pump = make(async (records) => {
      const entries = records.map(({ item }) => ({
        id: `${item.pk}#${item.sk.slice(6)}`,
        source: "longshore",
        detailType: "x",
        detail: {},
      }));
      const { failed } = await bus.publish(entries);
      return { failed: records.filter((_, at) => failed.includes(entries[at]!.id)).map(({ position }) => position) };
    });
    pump.start();
    await until(() => expect(done.filter((id) => id === "a#3")).toHaveLength(1));
    expect(done.filter((id) => id.startsWith("a"))).toEqual(["a#1", "a#2", "a#3"]);
    // At least once: what stood behind the failure in the batch may come twice, never out of order at first.
    expect([...new Set(done.filter((id) => id.startsWith("b")))]).toEqual(["b#1", "b#2"]);
    expect(waits).toEqual([50, 100, 200]);
  });

  it("moves the cursor to just before the first failed record, not further", async () => {
    await commit("a", 1, 2, 3);
    const [first, second] = await table.feed.read(0, 3);
    const waiting = Promise.withResolvers<void>();
    pump = make(async () => ({ failed: [second!.position] }), {
      wait: (_milliseconds, signal) => {
        waiting.resolve();
        return new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
        });
      },
    });
    pump.start();
    await waiting.promise;
    await pump.stop();
    expect(await table.cursor("test")).toBe(first!.position);
  });

  it("passes a record over after 20 failures in a row, tells of it, and goes on", async () => {
    await commit("a", 1, 2, 3);
    const seen = new Map<string, number>();
    const poisoned: string[] = [];
    pump = make(
      async (records) => {
        const failed = records.filter(({ item }) => item.sk === "EVENT#2");
        for (const name of names(records)) seen.set(name, (seen.get(name) ?? 0) + 1);
        return { failed: failed.map(({ position }) => position) };
      },
      { onPoison: (record) => void poisoned.push(...names([record])) },
    );
    pump.start();
    await until(() => expect(poisoned).toEqual(["a2"]));
    await commit("a", 4);
    await until(() => expect(seen.get("a4")).toBe(1));
    expect(poisoned).toEqual(["a2"]);
    expect(seen.get("a2")).toBe(20);
    expect(seen.get("a1")).toBe(1);
    expect(Math.max(...waits)).toBe(1_000);
    expect(logger.error).toHaveBeenCalledWith(
      expect.objectContaining({ pump: "test", sk: "EVENT#2" }),
      "a feed record was passed over",
    );
  });

  it("finds the one poison record in a batch that throws as a whole", async () => {
    await commit("a", ...Array.from({ length: 30 }, (_, n) => n + 10));
    const good = new Set<string>();
    const poisoned: string[] = [];
    pump = make(
      async (records) => {
        if (names(records).includes("a27")) throw new Error("one of them is bad");
        for (const name of names(records)) good.add(name);
        return { failed: [] };
      },
      { onPoison: (record) => void poisoned.push(...names([record])) },
    );
    pump.start();
    await until(() => expect(good.size).toBe(29));
    expect(poisoned).toEqual(["a27"]);
  });

  it("takes nothing for poison while a store is down, however long", async () => {
    await commit("a", 1);
    let left = 50;
    const seen: string[] = [];
    const onPoison = vi.fn();
    pump = make(
      async (records) => {
        left -= 1;
        if (left > 0) throw new LongshoreError("UNAVAILABLE", "the table cannot be used");
        seen.push(...names(records));
        return { failed: [] };
      },
      { onPoison },
    );
    pump.start();
    await until(() => expect(seen).toEqual(["a1"]));
    expect(onPoison).not.toHaveBeenCalled();
    expect(waits).toHaveLength(49);
  });

  it("does not pass a poison record over when nobody could be told", async () => {
    await commit("a", 1, 2);
    let told = 0;
    const seen: string[] = [];
    pump = make(
      async (records) => {
        seen.push(...names(records).filter((name) => name !== "a1"));
        return { failed: records.filter(({ item }) => item.sk === "EVENT#1").map(({ position }) => position) };
      },
      {
        batchSize: 1,
        onPoison: () => {
          told += 1;
          if (told < 3) throw new Error("nowhere to put it");
          expect(seen).toEqual([]);
        },
      },
    );
    pump.start();
    await until(() => expect(seen).toEqual(["a2"]));
    expect(told).toBe(3);
  });

  it("goes on when the feed and the cursor can be read again", async () => {
    await commit("a", 1);
    const seen: string[] = [];
    const read = vi.fn(table.feed.read).mockRejectedValueOnce(new LongshoreError("UNAVAILABLE", "I/O"));
    const cursor = vi.fn(table.cursor).mockRejectedValueOnce(new LongshoreError("UNAVAILABLE", "I/O"));
    pump = make(
      async (records) => {
        seen.push(...names(records));
        return { failed: [] };
      },
      { feed: { read, subscribe: table.feed.subscribe }, cursor },
    );
    pump.start();
    await until(() => expect(seen).toEqual(["a1"]));
    expect(logger.error).toHaveBeenCalledTimes(2);
  });
});
