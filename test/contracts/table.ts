import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LongshoreError } from "../../engine/errors.ts";
import {
  type Change,
  ConflictError,
  type Item,
  type Key,
  MAX_CHANGES,
  type Query,
  type Table,
} from "../../engine/ports/table.ts";
import { arbitraryCommit, createModel } from "./table-model.ts";

/** Waits until an index shows what was committed: it may lag behind where it is a replica of its own. */
async function eventually(check: () => Promise<void>): Promise<void> {
  await vi.waitFor(check, { timeout: 5_000, interval: 20 });
}

async function conflictOf(commit: Promise<void>): Promise<ConflictError> {
  const thrown: unknown = await commit.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof ConflictError) return thrown;
  throw new Error("the commit did not end in a conflict", { cause: thrown });
}

const key = (pk: string, sk: string): Key => ({ pk, sk });
const put = (item: Item, guard?: Change["guard"]): Change => ({ kind: "put", item, ...(guard ? { guard } : {}) });

/**
 * What every table must do. `make` gives an empty table; the suite closes it. `randomRuns` is how many random histories
 * are tried, default 60.
 */
export function tableContract(name: string, make: () => Promise<Table>, { randomRuns = 60 } = {}): void {
  describe(`table contract: ${name}`, () => {
    let table: Table;
    beforeEach(async () => {
      table = await make();
    });
    afterEach(async () => {
      await table.close();
    });

    const all = async (query: Query): Promise<Item[]> => {
      const items: Item[] = [];
      let page = await table.query(query);
      items.push(...page.items);
      while (page.cursor !== undefined) {
        page = await table.query({ ...query, cursor: page.cursor });
        items.push(...page.items);
      }
      return items;
    };
    const seed = (pk: string, sks: string[]): Promise<void> => table.commit(sks.map((sk) => put({ pk, sk, name: sk })));

    describe("items", () => {
      it("gives nothing for an unknown key", async () => {
        expect(await table.get(key("a", "b"))).toBe(undefined);
      });

      it("gives back exactly what was put", async () => {
        const item: Item = {
          pk: "JOB#ü",
          sk: "日本語 \u{1F600} #/\"'%_",
          index1: key("one", "1"),
          index2: key("two", "2"),
          ttl: 1_900_000_000,
          safe: Number.MAX_SAFE_INTEGER,
          least: Number.MIN_SAFE_INTEGER,
          fraction: 0.1,
          empty: "",
          none: null,
          no: false,
          list: [1, "two", [3, { four: null }], {}, []],
          text: 'line\nnext\ttab \\ " \u0001 \u{10FFFF}',
          map: { "": "empty name", "a.b": 1, "#x": { y: { z: [true] } } },
        };
        await table.commit([put(item)]);
        expect(await table.get(item)).toEqual(item);
      });

      it("leaves out attributes that are undefined", async () => {
        await table.commit([put({ pk: "a", sk: "b", gone: undefined, here: 1 })]);
        const item = await table.get(key("a", "b"));
        expect(Object.keys(item ?? {}).sort()).toEqual(["here", "pk", "sk"]);
      });

      it("holds an item of 300 KiB", async () => {
        const text = "é".repeat(150 * 1024);
        await table.commit([put({ pk: "a", sk: "b", text })]);
        expect((await table.get(key("a", "b")))?.text).toBe(text);
      });

      it("replaces the whole item on a second put", async () => {
        await table.commit([put({ pk: "a", sk: "b", old: 1, index1: key("i", "1") })]);
        await table.commit([put({ pk: "a", sk: "b", fresh: 2 })]);
        expect(await table.get(key("a", "b"))).toEqual({ pk: "a", sk: "b", fresh: 2 });
      });

      it("deletes, and deleting what is not there is no error", async () => {
        await seed("a", ["b"]);
        await table.commit([{ kind: "delete", key: key("a", "b") }]);
        await table.commit([{ kind: "delete", key: key("a", "b") }]);
        expect(await table.get(key("a", "b"))).toBe(undefined);
      });

      it("is not changed by what the caller does to the item afterwards", async () => {
        const item: Item = { pk: "a", sk: "b", list: [1] };
        const committing = table.commit([put(item)]);
        (item.list as number[]).push(2);
        item.late = true;
        await committing;
        const stored = await table.get(key("a", "b"));
        expect(stored).toEqual({ pk: "a", sk: "b", list: [1] });
        (stored!.list as number[]).push(3);
        expect((await table.get(key("a", "b")))?.list).toEqual([1]);
      });
    });

    describe("patch", () => {
      it("sets, adds and removes in one change", async () => {
        await table.commit([put({ pk: "a", sk: "b", keep: 1, count: 5, old: "x" })]);
        await table.commit([
          {
            kind: "patch",
            key: key("a", "b"),
            set: { status: "RUNNING" },
            add: { count: -2 },
            remove: ["old", "never"],
          },
        ]);
        expect(await table.get(key("a", "b"))).toEqual({ pk: "a", sk: "b", keep: 1, count: 3, status: "RUNNING" });
      });

      it("makes a missing item, and a missing number counts as 0", async () => {
        await table.commit([{ kind: "patch", key: key("a", "b"), add: { count: 2 }, set: { x: [] } }]);
        expect(await table.get(key("a", "b"))).toEqual({ pk: "a", sk: "b", count: 2, x: [] });
      });

      it("does not make an item that its guard wants to exist", async () => {
        const change: Change = { kind: "patch", key: key("a", "b"), set: { x: 1 }, guard: { exists: true } };
        expect((await conflictOf(table.commit([change]))).items).toEqual([undefined]);
        expect(await table.get(key("a", "b"))).toBe(undefined);
      });

      it("refuses to add to text, to touch the key, or to touch an attribute twice, and writes nothing", async () => {
        await table.commit([put({ pk: "a", sk: "b", text: "x" })]);
        const patches: Change[] = [
          { kind: "patch", key: key("a", "b"), add: { text: 1 } },
          { kind: "patch", key: key("a", "b"), set: { pk: "other" } },
          { kind: "patch", key: key("a", "b"), remove: ["sk"] },
          { kind: "patch", key: key("a", "b"), set: { n: 1 }, add: { n: 1 } },
        ];
        for (const patch of patches) {
          await expect(table.commit([put({ pk: "a", sk: "c" }), patch])).rejects.toBeInstanceOf(LongshoreError);
        }
        expect(await all({ pk: "a" })).toEqual([{ pk: "a", sk: "b", text: "x" }]);
      });
    });

    describe("guards", () => {
      const stored: Item = { pk: "a", sk: "b", version: 3, status: "PENDING", on: true, text: "3" };
      beforeEach(() => table.commit([put(stored)]));

      it.each([
        [{ exists: true }],
        [{ equals: { version: 3 } }],
        [{ equals: { status: "PENDING", on: true } }],
        [{ atMost: { version: 3 } }],
        [{ atMost: { missing: 0 } }],
        [{ exists: true, equals: { version: 3 }, atMost: { version: 4 } }],
        [{}],
      ])("%j holds", async (guard) => {
        await table.commit([{ kind: "check", key: key("a", "b"), guard }, put({ pk: "a", sk: "c" })]);
        expect((await table.get(key("a", "c")))?.sk).toBe("c");
      });

      it.each([
        [{ exists: false }],
        [{ equals: { version: 2 } }],
        [{ equals: { version: "3" } }],
        [{ equals: { text: 3 } }],
        [{ equals: { on: false } }],
        [{ equals: { missing: "x" } }],
        [{ equals: { version: 3, status: "RUNNING" } }],
        [{ atMost: { version: 2 } }],
        [{ atMost: { missing: -1 } }],
        [{ atMost: { text: 9 } }],
        [{ exists: true, equals: { version: 3 }, atMost: { version: 2 } }],
      ])("%j does not hold, for any kind of change", async (guard) => {
        const changes: Change[] = [
          { kind: "check", key: key("a", "b"), guard },
          { kind: "put", item: { pk: "a", sk: "b" }, guard },
          { kind: "patch", key: key("a", "b"), set: { x: 1 }, guard },
          { kind: "delete", key: key("a", "b"), guard },
        ];
        for (const change of changes) {
          const conflict = await conflictOf(table.commit([put({ pk: "a", sk: "c" }), change]));
          expect([conflict.failed, conflict.items]).toEqual([[1], [undefined, stored]]);
        }
        expect(await all({ pk: "a" })).toEqual([stored]);
      });

      it("treats a missing item as one without attributes", async () => {
        const absent = key("a", "absent");
        await table.commit([{ kind: "check", key: absent, guard: { exists: false, atMost: { n: 0 } } }]);
        for (const guard of [{ exists: true }, { equals: { n: 0 } }, { atMost: { n: -1 } }]) {
          expect((await conflictOf(table.commit([{ kind: "check", key: absent, guard }]))).failed).toEqual([0]);
        }
      });
    });

    describe("commit", () => {
      it("does all changes or none, and says which failed with the current items in order", async () => {
        await table.commit([put({ pk: "a", sk: "1", v: 1 }), put({ pk: "b", sk: "2", v: 2 })]);
        const changes: Change[] = [
          put({ pk: "c", sk: "new" }),
          { kind: "patch", key: key("a", "1"), set: { v: 9 }, guard: { equals: { v: 7 } } },
          { kind: "delete", key: key("b", "2") },
          { kind: "check", key: key("d", "none"), guard: { exists: true } },
        ];
        const conflict = await conflictOf(table.commit(changes));
        expect(conflict.failed).toEqual([1, 3]);
        expect(conflict.items).toEqual([undefined, { pk: "a", sk: "1", v: 1 }, { pk: "b", sk: "2", v: 2 }, undefined]);
        expect(await table.get(key("c", "new"))).toBe(undefined);
        expect(await table.get(key("b", "2"))).toEqual({ pk: "b", sk: "2", v: 2 });
      });

      it("takes no change at all", async () => {
        await expect(table.commit([])).resolves.toBe(undefined);
      });

      it(`takes ${MAX_CHANGES} changes and refuses one more, writing nothing`, async () => {
        const items = Array.from({ length: MAX_CHANGES + 1 }, (_, n) => put({ pk: "a", sk: `${n}` }));
        await expect(table.commit(items)).rejects.toBeInstanceOf(LongshoreError);
        expect(await all({ pk: "a" })).toEqual([]);
        await table.commit(items.slice(1));
        expect(await all({ pk: "a" })).toHaveLength(MAX_CHANGES);
      });

      it("refuses a key twice, whatever the kinds", async () => {
        await expect(
          table.commit([put({ pk: "a", sk: "b" }), { kind: "check", key: key("a", "b"), guard: {} }]),
        ).rejects.toBeInstanceOf(LongshoreError);
        expect(await table.get(key("a", "b"))).toBe(undefined);
        // Not the same key: the parts must not run together.
        await table.commit([put({ pk: "a", sk: "bc" }), put({ pk: "ab", sk: "c" })]);
      });

      it.each<[string, Item]>([
        ["an empty pk", { pk: "", sk: "b" }],
        ["an empty sk", { pk: "a", sk: "" }],
        ["an empty index key", { pk: "a", sk: "b", index1: { pk: "", sk: "x" } }],
        ["half an index key", { pk: "a", sk: "b", index2: { pk: "x" } as Key }],
        ["a fractional ttl", { pk: "a", sk: "b", ttl: 1.5 }],
        ["a number that is not finite", { pk: "a", sk: "b", deep: [{ n: Number.NaN }] }],
        ["a bigint", { pk: "a", sk: "b", n: 1n }],
      ])("refuses %s, and the rest of the commit with it", async (_what, item) => {
        await expect(table.commit([put({ pk: "z", sk: "z" }), put(item)])).rejects.toBeInstanceOf(LongshoreError);
        expect(await table.get(key("z", "z"))).toBe(undefined);
      });

      it("is seen by every read after it is acknowledged", async () => {
        for (let n = 1; n <= 20; n += 1) {
          await table.commit([{ kind: "patch", key: key("a", "b"), add: { n: 1 } }]);
          expect((await table.get(key("a", "b")))?.n).toBe(n);
          expect((await table.query({ pk: "a" })).items[0]?.n).toBe(n);
        }
      });
    });

    describe("concurrency", () => {
      it("lets exactly one of 32 concurrent puts-if-absent win", async () => {
        const tries = await Promise.allSettled(
          Array.from({ length: 32 }, (_, by) => table.commit([put({ pk: "a", sk: "b", by }, { exists: false })])),
        );
        const winners = tries.flatMap((outcome, by) => (outcome.status === "fulfilled" ? [by] : []));
        expect(winners).toHaveLength(1);
        const stored = await table.get(key("a", "b"));
        expect(stored?.by).toBe(winners[0]);
        for (const outcome of tries) {
          if (outcome.status === "rejected") expect((outcome.reason as ConflictError).items).toEqual([stored]);
        }
      });

      it("never lets 32 concurrent increments pass their bound", async () => {
        const increment = (): Promise<void> =>
          table.commit([{ kind: "patch", key: key("a", "b"), add: { n: 1 }, guard: { atMost: { n: 9 } } }]);
        const tries = await Promise.allSettled(Array.from({ length: 32 }, increment));
        expect(tries.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(10);
        for (const outcome of tries) {
          if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(ConflictError);
        }
        expect((await table.get(key("a", "b")))?.n).toBe(10);
      });

      it("loses no unguarded increment of 32", async () => {
        await Promise.all(
          Array.from({ length: 32 }, () => table.commit([{ kind: "patch", key: key("a", "b"), add: { n: 1 } }])),
        );
        expect((await table.get(key("a", "b")))?.n).toBe(32);
      });

      it("goes on with the others when one of many concurrent commits is refused", async () => {
        await seed("taken", ["x"]);
        const tries = await Promise.allSettled(
          Array.from({ length: 20 }, (_, n) =>
            table.commit([
              put({ pk: "a", sk: `${n}`.padStart(2, "0") }),
              { kind: "check", key: key("taken", "x"), guard: { exists: n % 2 === 0 } },
            ]),
          ),
        );
        expect(tries.map((outcome) => outcome.status === "fulfilled")).toEqual(tries.map((_, n) => n % 2 === 0));
        expect(await all({ pk: "a" })).toHaveLength(10);
      });

      it("keeps an invariant over two items under concurrent transfers", async () => {
        await table.commit([put({ pk: "x", sk: "1", n: 50 }), put({ pk: "y", sk: "1", n: 50 })]);
        const move = (from: string, to: string, amount: number): Promise<unknown> =>
          table
            .commit([
              { kind: "patch", key: key(from, "1"), add: { n: -amount } },
              { kind: "patch", key: key(to, "1"), add: { n: amount }, guard: { atMost: { n: 95 } } },
            ])
            .catch((error: unknown) => {
              if (!(error instanceof ConflictError)) throw error;
            });
        await Promise.all(Array.from({ length: 30 }, (_, n) => (n % 3 === 0 ? move("y", "x", 5) : move("x", "y", 5))));
        const [x, y] = await Promise.all([table.get(key("x", "1")), table.get(key("y", "1"))]);
        expect(Number(x?.n) + Number(y?.n)).toBe(100);
      });
    });

    describe("query", () => {
      const names = (items: Item[]): string[] => items.map((item) => item.sk);

      it("reads one partition only, by sort key", async () => {
        await seed("p", ["b", "a", "c"]);
        await seed("p2", ["x"]);
        expect(names((await table.query({ pk: "p" })).items)).toEqual(["a", "b", "c"]);
        expect(await table.query({ pk: "none" })).toEqual({ items: [] });
      });

      it("sorts by the bytes of UTF-8, not by UTF-16 units", async () => {
        const sorted = ["A", "Z", "a", "é", "\uD7FF", "\uE000", "\uFFFD", "\u{10000}", "\u{10FFFF}"];
        await seed("p", sorted.toReversed());
        expect(names(await all({ pk: "p", limit: 2 }))).toEqual(sorted);
        expect(names(await all({ pk: "p", limit: 2, descending: true }))).toEqual(sorted.toReversed());
        expect(names(await all({ pk: "p", sk: { after: "\uE000" } }))).toEqual(sorted.slice(6));
      });

      it("keeps to a prefix, an exclusive range, and both together", async () => {
        const sks = ["EVENT", "EVENT#1", "EVENT#1\u{10FFFF}x", "EVENT#2", "EVENT#2#a", "EVENT#3", "EVENT$", "FOO"];
        await seed("p", sks);
        const within = async (sk: Query["sk"]): Promise<string[]> =>
          names(await all({ pk: "p", ...(sk ? { sk } : {}) }));
        expect(await within({ prefix: "EVENT#" })).toEqual(sks.slice(1, 6));
        expect(await within({ prefix: "EVENT#1" })).toEqual(sks.slice(1, 3));
        expect(await within({ prefix: "" })).toEqual(sks);
        expect(await within({ after: "EVENT#1", before: "EVENT#3" })).toEqual(sks.slice(2, 5));
        expect(await within({ prefix: "EVENT#", after: "EVENT#1" })).toEqual(sks.slice(2, 6));
        expect(await within({ prefix: "EVENT#", after: "A" })).toEqual(sks.slice(1, 6));
        expect(await within({ prefix: "EVENT#", after: "EVENT#" })).toEqual(sks.slice(1, 6));
        expect(await within({ prefix: "EVENT#", before: "EVENT#2" })).toEqual(sks.slice(1, 3));
        expect(await within({ prefix: "EVENT#", before: "Z" })).toEqual(sks.slice(1, 6));
        expect(await within({ prefix: "EVENT#", after: "FOO" })).toEqual([]);
        expect(await within({ prefix: "%" })).toEqual([]);
        expect(names(await all({ pk: "p", sk: { prefix: "EVENT#2" }, descending: true }))).toEqual([
          "EVENT#2#a",
          "EVENT#2",
        ]);
      });

      it("ends a prefix rightly at the greatest code point", async () => {
        await seed("p", ["a\u{10FFFF}", "a\u{10FFFF}b", "b", "\u{10FFFF}", "\u{10FFFF}z"]);
        expect(names(await all({ pk: "p", sk: { prefix: "a\u{10FFFF}" } }))).toEqual(["a\u{10FFFF}", "a\u{10FFFF}b"]);
        expect(names(await all({ pk: "p", sk: { prefix: "\u{10FFFF}" } }))).toEqual(["\u{10FFFF}", "\u{10FFFF}z"]);
      });

      it("compares prefixes and bounds by the bytes of UTF-8 too", async () => {
        await seed("p", ["\uD7FF", "\uD7FFx", "\uE000", "\uFFFD", "\u{10000}", "\u{10000}x", "\u{10001}"]);
        const within = async (sk: Query["sk"] & {}): Promise<string[]> => names(await all({ pk: "p", sk }));
        expect(await within({ prefix: "\uD7FF" })).toEqual(["\uD7FF", "\uD7FFx"]);
        expect(await within({ prefix: "\u{10000}", after: "\uE000" })).toEqual(["\u{10000}", "\u{10000}x"]);
        expect(await within({ prefix: "\uE000", before: "\u{10000}" })).toEqual(["\uE000"]);
      });

      it("pages: 100 items unless told otherwise, a cursor only when more may follow", async () => {
        const sks = Array.from({ length: 150 }, (_, n) => `${n}`.padStart(4, "0"));
        await seed("p", sks.slice(0, 100));
        await seed("p", sks.slice(100));
        const first = await table.query({ pk: "p" });
        expect(names(first.items)).toEqual(sks.slice(0, 100));
        const second = await table.query({ pk: "p", cursor: first.cursor ?? "" });
        expect(names(second.items)).toEqual(sks.slice(100));
        expect(second.cursor).toBe(undefined);
        expect(names(await all({ pk: "p", limit: 7, descending: true }))).toEqual(sks.toReversed());
        expect(names(await all({ pk: "p", limit: 7, sk: { prefix: "00", before: "0042" } }))).toEqual(sks.slice(0, 42));
      });

      it("neither skips nor repeats an item while others come and go between pages", async () => {
        await seed("p", ["b", "d", "f", "h"]);
        const first = await table.query({ pk: "p", limit: 2 });
        expect(names(first.items)).toEqual(["b", "d"]);
        await table.commit([
          put({ pk: "p", sk: "a" }),
          put({ pk: "p", sk: "e" }),
          { kind: "delete", key: key("p", "d") },
        ]);
        const rest = await all({ pk: "p", limit: 2, cursor: first.cursor ?? "" });
        expect(names(rest)).toEqual(["e", "f", "h"]);
      });

      it.each([0, -1, 1.5, 1001])("refuses a limit of %d", async (limit) => {
        await expect(table.query({ pk: "p", limit })).rejects.toBeInstanceOf(LongshoreError);
      });

      it.each(["", "x", "bnVsbA", "eyJhIjoxfQ", "%%%"])("refuses the garbage cursor %j", async (cursor) => {
        await seed("p", ["a"]);
        await expect(table.query({ pk: "p", cursor })).rejects.toMatchObject({
          code: "VALIDATION",
          violations: [{ path: "cursor" }],
        });
      });
    });

    describe.each(["index1", "index2"] as const)("%s", (index) => {
      const other = index === "index1" ? "index2" : "index1";

      it("holds only the items that have the attribute, in its own order", async () => {
        await table.commit([
          put({ pk: "1", sk: "a", [index]: key("L", "3") }),
          put({ pk: "2", sk: "b", [index]: key("L", "1") }),
          put({ pk: "3", sk: "c", [other]: key("L", "2") }),
          put({ pk: "4", sk: "d" }),
        ]);
        await eventually(async () => {
          expect((await all({ index, pk: "L" })).map((item) => item.pk)).toEqual(["2", "1"]);
        });
        expect((await all({ index, pk: "L", descending: true, limit: 1 })).map((item) => item.pk)).toEqual(["1", "2"]);
        expect(await all({ index, pk: "M" })).toEqual([]);
      });

      it("follows an item that moves, and lets go of one whose attribute or self is gone", async () => {
        await table.commit(["1", "2", "3"].map((sk) => put({ pk: "a", sk, [index]: key("L", sk) })));
        await table.commit([
          { kind: "patch", key: key("a", "1"), set: { [index]: key("M", "1") } },
          { kind: "patch", key: key("a", "2"), remove: [index] },
          { kind: "delete", key: key("a", "3") },
        ]);
        await eventually(async () => {
          expect(await all({ index, pk: "L" })).toEqual([]);
          expect(await all({ index, pk: "M" })).toEqual([{ pk: "a", sk: "1", [index]: key("M", "1") }]);
        });
        expect(await table.get(key("a", "2"))).toEqual({ pk: "a", sk: "2" });
      });

      it("pages through items with the same sort key, without loss or repeat", async () => {
        const places = Array.from({ length: 25 }, (_, n) => ({ pk: `p${n % 5}`, sk: `s${n}` }));
        await table.commit(places.map((place, n) => put({ ...place, [index]: key("L", n < 20 ? "same" : "then") })));
        const expected = places.map((place) => `${place.pk}/${place.sk}`).sort();
        for (const descending of [false, true]) {
          await eventually(async () => {
            const read = await all({ index, pk: "L", limit: 3, descending });
            expect(read.map((item) => `${item.pk}/${item.sk}`).sort()).toEqual(expected);
          });
        }
        await eventually(async () => {
          expect(await all({ index, pk: "L", limit: 3, sk: { prefix: "same" } })).toHaveLength(20);
          expect(await all({ index, pk: "L", limit: 3, sk: { after: "same" } })).toHaveLength(5);
        });
      });
    });

    it("agrees with a plain map on random commits", async () => {
      let round = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(arbitraryCommit, { minLength: 1, maxLength: 12 }), async (commits) => {
          round += 1;
          const space = `r${round}/`;
          const model = createModel();
          for (const commit of commits) {
            const changes = commit.map((change): Change => {
              if (change.kind === "put") return { ...change, item: { ...change.item, pk: space + change.item.pk } };
              return { ...change, key: { ...change.key, pk: space + change.key.pk } };
            });
            const expected = model.commit(changes);
            const actual = await table.commit(changes).then(
              () => [],
              (error: unknown) => {
                if (error instanceof ConflictError) return error.failed;
                throw error;
              },
            );
            expect(actual).toEqual(expected);
          }
          for (const pk of ["a", "b"]) {
            expect(await all({ pk: space + pk, limit: 2 })).toEqual(model.partition(space + pk));
          }
        }),
        { numRuns: randomRuns },
      );
    });

    it("rejects every use after it was closed, and closes twice without complaint", async () => {
      await seed("a", ["b"]);
      await table.close();
      await table.close();
      await expect(table.get(key("a", "b"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await expect(table.query({ pk: "a" })).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await expect(table.commit([put({ pk: "a", sk: "c" })])).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await expect(table.commit([])).rejects.toMatchObject({ code: "UNAVAILABLE" });
    });

    it("finishes what was asked for before it is closed", async () => {
      const commits = Array.from({ length: 10 }, (_, n) => table.commit([put({ pk: "a", sk: `${n}` })]));
      await table.close();
      expect((await Promise.allSettled(commits)).map((outcome) => outcome.status)).toEqual(
        commits.map(() => "fulfilled"),
      );
    });
  });
}
