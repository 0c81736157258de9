import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createSqliteTable, type SqliteTable } from "../../../adapters/table/sqlite/index.ts";
import type { Item } from "../../../engine/ports/table.ts";

const event = (job: string, seq: number): Item => ({ pk: job, sk: `EVENT#${seq}`, type: "STARTED", nested: { seq } });

describe("the change feed of the SQLite table", () => {
  let directory: string;
  let table: SqliteTable;
  const open = (): SqliteTable => createSqliteTable({ file: join(directory, "ledger.db") });
  const places = async (after = 0): Promise<string[]> =>
    (await table.feed.read(after, 1000)).map(({ item }) => `${item.pk} ${item.sk}`);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "longshore-feed-"));
    table = open();
  });
  afterEach(async () => {
    await table.close();
    await rm(directory, { recursive: true });
  });

  it("has every new event item as it was committed, and nothing else", async () => {
    await table.commit([
      { kind: "put", item: { pk: "j", sk: "JOB" } },
      { kind: "put", item: event("j", 1) },
      { kind: "put", item: { pk: "j", sk: "EVENTUAL" } },
      { kind: "patch", key: { pk: "j", sk: "EVENT#2" }, set: { type: "EXITED" } },
    ]);
    await table.commit([{ kind: "put", item: { ...event("j", 1), type: "CHANGED" } }]);
    await table.commit([{ kind: "patch", key: { pk: "j", sk: "EVENT#2" }, set: { type: "CHANGED" } }]);
    await table.commit([{ kind: "delete", key: { pk: "j", sk: "EVENT#1" } }]);
    expect((await table.feed.read(0, 10)).map(({ item }) => item)).toEqual([
      event("j", 1),
      { pk: "j", sk: "EVENT#2", type: "EXITED" },
    ]);
  });

  it("has nothing of a refused commit, though its neighbours in the group went on", async () => {
    const outcomes = await Promise.allSettled([
      table.commit([{ kind: "put", item: event("a", 1) }]),
      table.commit([
        { kind: "put", item: event("b", 1) },
        { kind: "check", key: { pk: "x", sk: "x" }, guard: { exists: true } },
      ]),
      table.commit([
        { kind: "put", item: event("c", 1) },
        { kind: "check", key: { pk: "a", sk: "EVENT#1" }, guard: { exists: true } },
      ]),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await places()).toEqual(["a EVENT#1", "c EVENT#1"]);
  });

  it("is in the order in which commits were acknowledged", async () => {
    const acknowledged: string[] = [];
    const worker = async (job: string): Promise<void> => {
      for (let seq = 1; seq <= 40; seq += 1) {
        await table.commit([{ kind: "put", item: event(job, seq) }]);
        acknowledged.push(`${job} EVENT#${seq}`);
      }
    };
    await Promise.all(["a", "b", "c", "d"].map(worker));
    expect(await places()).toEqual(acknowledged);
    const positions = (await table.feed.read(0, 1000)).map(({ position }) => position);
    expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
    expect(await places(positions[99])).toEqual(acknowledged.slice(100));
  });

  it("reads no more than asked for", async () => {
    await table.commit([1, 2, 3].map((seq) => ({ kind: "put", item: event("j", seq) })));
    expect((await table.feed.read(0, 2)).map(({ item }) => item.sk)).toEqual(["EVENT#1", "EVENT#2"]);
  });

  it("wakes each subscriber once a group, when the records can be read, and only when there are some", async () => {
    const seen: number[] = [];
    const wake = vi.fn(async () => {
      seen.push((await table.feed.read(0, 1000)).length);
    });
    const ended = vi.fn();
    table.feed.subscribe(() => void wake());
    table.feed.subscribe(ended)();
    await Promise.all(Array.from({ length: 10 }, (_, n) => table.commit([{ kind: "put", item: event(`j${n}`, 1) }])));
    await table.commit([{ kind: "put", item: { pk: "j", sk: "JOB" } }]);
    await table.commit([{ kind: "put", item: event("last", 1) }]);
    await vi.waitFor(() => expect(seen).toEqual([10, 11]));
    expect(ended).not.toHaveBeenCalled();
  });

  it("keeps cursors over a close, and starts a new consumer at 0", async () => {
    expect(await table.cursor("bus")).toBe(0);
    table.saveCursor("bus", 7);
    expect(await table.cursor("bus")).toBe(7);
    await table.close();
    table = open();
    expect(await table.cursor("bus")).toBe(7);
    expect(await table.cursor("other")).toBe(0);
  });

  it("never moves a cursor back", async () => {
    table.saveCursor("bus", 7);
    table.saveCursor("bus", 3);
    expect(await table.cursor("bus")).toBe(7);
  });

  it("writes a cursor along with the next commit", async () => {
    table.saveCursor("bus", 5);
    await table.commit([{ kind: "put", item: event("j", 1) }]);
    // A second connection sees what a crash would leave.
    const after = open();
    expect(await after.cursor("bus")).toBe(5);
    await after.close();
  });

  it("writes a cursor by itself when no commit comes", async () => {
    await table.cursor("bus");
    table.saveCursor("bus", 5);
    await vi.waitFor(
      async () => {
        const after = open();
        const position = await after.cursor("bus");
        await after.close();
        expect(position).toBe(5);
      },
      { timeout: 8_000, interval: 100 },
    );
  });

  it("trims what every consumer has passed, and nothing that one still needs", async () => {
    await table.commit(Array.from({ length: 6 }, (_, n) => ({ kind: "put", item: event("j", n) })));
    expect(await table.trimFeed()).toBe(0);
    const positions = (await table.feed.read(0, 10)).map(({ position }) => position);
    await table.cursor("slow");
    table.saveCursor("fast", positions[5]!);
    expect(await table.trimFeed()).toBe(0);
    table.saveCursor("slow", positions[3]!);
    expect(await table.trimFeed()).toBe(4);
    expect(await places()).toEqual(["j EVENT#4", "j EVENT#5"]);
  });

  it("trims by itself as consumers go on, and never gives a trimmed position again", async () => {
    await table.cursor("bus");
    let last = 0;
    for (let batch = 0; batch < 6; batch += 1) {
      await table.commit(Array.from({ length: 100 }, (_, n) => ({ kind: "put", item: event(`${batch}`, n) })));
      last = (await table.feed.read(last, 1000)).at(-1)!.position;
      table.saveCursor("bus", last);
    }
    await table.commit([{ kind: "put", item: { pk: "j", sk: "JOB" } }]);
    expect((await table.feed.read(0, 1000)).length).toBeLessThan(300);
    await table.close();
    table = open();
    expect(await table.feed.read(0, 10)).toEqual([]);
    await table.commit([{ kind: "put", item: event("new", 1) }]);
    expect((await table.feed.read(0, 10))[0]!.position).toBeGreaterThan(last);
  });

  it("sweeps expired items, oldest first, within the limit", async () => {
    const items = [50, 10, 30, 20, 40].map((ttl) => ({ pk: "t", sk: `${ttl}`, ttl }));
    await table.commit([...items, { pk: "t", sk: "stays" }].map((item) => ({ kind: "put", item })));
    expect(await table.sweepExpired(5, 10)).toBe(0);
    expect(await table.sweepExpired(40.9, 3)).toBe(3);
    expect((await table.query({ pk: "t" })).items.map(({ sk }) => sk)).toEqual(["40", "50", "stays"]);
    expect(await table.sweepExpired(40, 3)).toBe(1);
    await expect(table.sweepExpired(40, 0)).rejects.toMatchObject({ code: "INTERNAL" });
  });
});
