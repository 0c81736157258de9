import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSqliteTable, type SqliteTable } from "../../../adapters/table/sqlite/index.ts";
import { createRecent } from "../../../adapters/table/sqlite/recent.ts";
import type { RowValues } from "../../../adapters/table/sqlite/rows.ts";
import type { Change, Item } from "../../../engine/ports/table.ts";

const at = (sk: string) => ({ pk: "p", sk });
const put = (item: Omit<Item, "pk">): Change => ({ kind: "put", item: { pk: "p", ...item } as Item });

describe("commits that share a transaction of the SQLite table", () => {
  let directory: string;
  let table: SqliteTable;
  const reopen = async (): Promise<void> => {
    await table.close();
    table = createSqliteTable({ file: join(directory, "ledger.db") });
  };
  /** What an index shows: it is read from the file, whatever is kept in memory. */
  const indexed = async (pk: string) => (await table.query({ index: "index1", pk })).items.map(({ sk }) => sk);

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "longshore-groups-"));
    table = createSqliteTable({ file: join(directory, "ledger.db") });
  });
  afterEach(async () => {
    await table.close();
    await rm(directory, { recursive: true });
  });

  it("each see what those before them did to the same item, and the last one is what is stored", async () => {
    const add = (): Change[] => [{ kind: "patch", key: at("n"), add: { count: 1 }, guard: { atMost: { count: 2 } } }];
    const outcomes = await Promise.allSettled([add(), add(), add(), add()].map((changes) => table.commit(changes)));
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected"]);
    expect(await table.get(at("n"))).toEqual({ ...at("n"), count: 3 });
    await reopen();
    expect(await table.get(at("n"))).toEqual({ ...at("n"), count: 3 });
  });

  it("leave nothing of an item that one of them makes and the next deletes", async () => {
    await Promise.all([table.commit([put({ sk: "a" })]), table.commit([{ kind: "delete", key: at("a") }])]);
    expect(await table.get(at("a"))).toBe(undefined);
    await reopen();
    expect(await table.get(at("a"))).toBe(undefined);
  });

  it("make an item again that one of them deletes, with the place in the index that it has then", async () => {
    await table.commit([put({ sk: "a", index1: { pk: "i", sk: "1" }, n: 1 })]);
    await table.get(at("a"));
    await Promise.all([
      table.commit([{ kind: "delete", key: at("a") }]),
      table.commit([put({ sk: "a", index1: { pk: "j", sk: "1" }, n: 2 })]),
    ]);
    expect([await indexed("i"), await indexed("j")]).toEqual([[], ["a"]]);
    await reopen();
    expect(await table.get(at("a"))).toMatchObject({ n: 2, index1: { pk: "j" } });
  });

  it("write the index of an item that left it, was swept over, and came back in one transaction", async () => {
    const inIndex = { sk: "a", index1: { pk: "i", sk: "1" } };
    await table.commit([put({ ...inIndex, n: 1 })]);
    await table.get(at("a"));
    // The sweep writes what the group has so far: from then on the file is not as it was before the transaction.
    await Promise.all([
      table.commit([put({ sk: "a", n: 2 })]),
      table.sweepExpired(10, 10),
      table.commit([put({ ...inIndex, n: 3 })]),
    ]);
    expect(await indexed("i")).toEqual(["a"]);
    await reopen();
    expect(await table.get(at("a"))).toMatchObject({ n: 3, index1: { pk: "i" } });
  });

  it("forget what is swept, also what was read before", async () => {
    await table.commit([put({ sk: "a", ttl: 5 }), put({ sk: "b", ttl: 5 }), put({ sk: "c", ttl: 50 })]);
    await table.get(at("a"));
    const [removed] = await Promise.all([
      table.commit([{ kind: "patch", key: at("b"), set: { ttl: 60 } }]).then(() => table.sweepExpired(10, 10)),
      table.get(at("c")),
    ]);
    expect(removed).toBe(1);
    const left = await Promise.all(["a", "b", "c"].map((sk) => table.get(at(sk))));
    expect(left.map((item) => item?.sk)).toEqual([undefined, "b", "c"]);
  });

  it("tell of an item that was looked for in vain once it is there", async () => {
    expect(await table.get(at("a"))).toBe(undefined);
    await table.commit([put({ sk: "a", n: 1 })]);
    expect(await table.get(at("a"))).toEqual({ ...at("a"), n: 1 });
    await table.commit([{ kind: "delete", key: at("a") }]);
    expect(await table.get(at("a"))).toBe(undefined);
  });
});

describe("the rows that are kept in memory", () => {
  const row = (n: number, text = ""): RowValues => ["p", String(n), null, null, null, null, null, text];

  it("are the latest version of each, however many came between", () => {
    const recent = createRecent(20_000);
    for (let n = 0; n < 1000; n++) {
      recent.set("hot", row(n));
      recent.set(String(n), row(n));
      expect(recent.get("hot")).toEqual(row(n));
    }
  });

  it("stay within the bound, and what is in use stays", () => {
    const recent = createRecent(100_000);
    recent.set("used", row(-1));
    for (let n = 0; n < 1000; n++) {
      recent.set(String(n), row(n, "x".repeat(1000)));
      expect(recent.get("used")).toEqual(row(-1));
    }
    const kept = Array.from({ length: 1000 }, (_, n) => recent.get(String(n))).filter((one) => one !== undefined);
    expect(kept.length).toBeGreaterThan(10);
    expect(kept.length).toBeLessThan(100);
    expect(recent.get("0")).toBe(undefined);
  });
});
