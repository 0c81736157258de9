import { randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LongshoreError } from "../../engine/errors.ts";
import type { Objects } from "../../engine/ports/objects.ts";

const MIB = 1024 * 1024;

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

/** The bytes that buffers hold on to, what is garbage left out. */
function liveBytes(): number {
  // Twice: buffers are given back beside the program, and the second collection waits for the first to be done with it.
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What every object store must do. `make` gives an empty store, and the function that ends it. */
export function objectsContract(name: string, make: () => Promise<{ objects: Objects; end(): Promise<void> }>): void {
  describe(`objects contract: ${name}`, () => {
    let objects: Objects;
    let end: () => Promise<void>;
    beforeEach(async () => {
      ({ objects, end } = await make());
    });
    afterEach(async () => {
      await end();
    });

    const text = (value: string): Buffer => Buffer.from(value);
    const read = async (key: string, range?: { start: number; end?: number }): Promise<string | undefined> => {
      const found = await objects.get(key, range);
      return found === undefined ? undefined : (await bytesOf(found.body)).toString();
    };
    const keys = async (prefix: string): Promise<string[]> => {
      const found: string[] = [];
      for await (const { key } of objects.list(prefix)) found.push(key);
      return found;
    };

    it("knows nothing of an unknown key", async () => {
      expect(await objects.get("a/b")).toBe(undefined);
      expect(await objects.head("a/b")).toBe(undefined);
      await expect(objects.delete("a/b")).resolves.toBe(undefined);
      expect(await keys("")).toEqual([]);
    });

    it("gives back the bytes, their number and when they were stored", async () => {
      const before = Date.now();
      const bytes = randomBytes(1000);
      const stored = await objects.put("runs/job_1/receipt.json", bytes);
      expect(stored).toMatchObject({ key: "runs/job_1/receipt.json", sizeBytes: 1000 });
      expect(stored.storedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/);
      expect(Math.abs(Date.parse(stored.storedAt) - before)).toBeLessThan(60_000);
      expect(await objects.head("runs/job_1/receipt.json")).toEqual(stored);
      const found = await objects.get("runs/job_1/receipt.json");
      expect(found).toMatchObject(stored);
      expect(await bytesOf(found!.body)).toEqual(bytes);
    });

    it("holds an empty object", async () => {
      await objects.put("empty", new Uint8Array());
      expect(await read("empty")).toBe("");
      expect(await read("empty", { start: 0, end: 5 })).toBe("");
      expect(await objects.head("empty")).toMatchObject({ sizeBytes: 0 });
    });

    it("replaces an object as a whole", async () => {
      await objects.put("a", text("a long first text"));
      await objects.put("a", text("second"));
      expect(await read("a")).toBe("second");
    });

    it("deletes, twice if need be, and only the one", async () => {
      await Promise.all(["a/b/c", "a/b/d", "a/b"].map((key) => objects.put(key, text(key))));
      await objects.delete("a/b/c");
      await objects.delete("a/b/c");
      expect(await keys("")).toEqual(["a/b", "a/b/d"]);
      await objects.delete("a/b");
      await objects.delete("a/b/d");
      expect(await keys("")).toEqual([]);
    });

    it("keeps a key and the keys below it apart", async () => {
      await objects.put("a/b", text("below"));
      await objects.put("a", text("above"));
      await objects.put("a/b/c", text("deep"));
      expect([await read("a"), await read("a/b"), await read("a/b/c")]).toEqual(["above", "below", "deep"]);
      expect(await read("a/b/c/d")).toBe(undefined);
    });

    it("reads ranges, both ends included, and stops at the end of the object", async () => {
      await objects.put("digits", text("0123456789"));
      expect(await read("digits", { start: 0, end: 0 })).toBe("0");
      expect(await read("digits", { start: 2, end: 4 })).toBe("234");
      expect(await read("digits", { start: 7 })).toBe("789");
      expect(await read("digits", { start: 7, end: 99 })).toBe("789");
      expect(await read("digits", { start: 10, end: 12 })).toBe("");
      expect((await objects.get("digits", { start: 2, end: 4 }))?.sizeBytes).toBe(10);
      for (const range of [{ start: -1 }, { start: 4, end: 3 }, { start: 0.5 }, { start: Number.NaN }]) {
        await expect(objects.get("digits", range)).rejects.toMatchObject({ code: "VALIDATION" });
      }
    });

    it("streams 50 MiB in and out without holding them", async () => {
      const chunk = randomBytes(MIB);
      const before = liveBytes();
      let peak = 0;
      const look = (): void => {
        peak = Math.max(peak, liveBytes() - before);
      };
      async function* body(): AsyncGenerator<Uint8Array> {
        for (let n = 0; n < 50; n += 1) {
          if (n % 10 === 9) look();
          yield Buffer.from(chunk);
        }
      }
      await objects.put("big", body());
      const found = await objects.get("big");
      let offset = 0;
      let different = 0;
      for await (const part of found!.body) {
        if (Math.floor(offset / MIB / 10) !== Math.floor((offset + part.length) / MIB / 10)) look();
        for (let at = 0; at < part.length; at += 4096) if (part[at] !== chunk[(offset + at) % MIB]) different += 1;
        offset += part.length;
      }
      expect([offset, different, found!.sizeBytes]).toEqual([50 * MIB, 0, 50 * MIB]);
      expect(peak).toBeLessThan(16 * MIB);
    });

    it("reads a range from the middle of a large object", async () => {
      const bytes = randomBytes(3 * MIB);
      await objects.put("big", bytes);
      const found = await objects.get("big", { start: MIB - 1, end: 2 * MIB });
      expect((await bytesOf(found!.body)).equals(bytes.subarray(MIB - 1, 2 * MIB + 1))).toBe(true);
    });

    it("leaves nothing of a body that fails half-way, and the object that was there before", async () => {
      await objects.put("kept", text("before"));
      const failure = new Error("the source broke");
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield text("half");
        throw failure;
      }
      await expect(objects.put("kept", broken())).rejects.toBe(failure);
      await expect(objects.put("new/one", broken())).rejects.toBe(failure);
      expect(await read("kept")).toBe("before");
      expect(await objects.head("new/one")).toBe(undefined);
      expect(await keys("")).toEqual(["kept"]);
    });

    it("shows nothing of a put before it is done", async () => {
      const gate = Promise.withResolvers<void>();
      const reached = Promise.withResolvers<void>();
      async function* slow(): AsyncGenerator<Uint8Array> {
        yield text("first ");
        reached.resolve();
        await gate.promise;
        yield text("second");
      }
      const putting = objects.put("a/b", slow());
      await reached.promise;
      expect(await objects.head("a/b")).toBe(undefined);
      expect(await keys("")).toEqual([]);
      gate.resolve();
      await putting;
      expect(await read("a/b")).toBe("first second");
    });

    it("ends up with one whole object after concurrent puts of one key", async () => {
      const bodies = Array.from({ length: 16 }, (_, n) => `${n}`.repeat(5_000 + n));
      await Promise.all(bodies.map((body) => objects.put("same", text(body))));
      expect(bodies).toContain(await read("same"));
    });

    it("loses no put to deletes of its neighbours", async () => {
      const worker = async (name: string): Promise<void> => {
        for (let round = 0; round < 25; round += 1) {
          const key = `d/e/f/${name}`;
          await objects.put(key, text(`${round}`));
          expect(await read(key)).toBe(`${round}`);
          await objects.delete(key);
        }
      };
      await Promise.all(["a", "b", "c", "d", "e", "f"].map(worker));
      expect(await keys("")).toEqual([]);
    });

    it("gives a reader that has begun the whole old object", async () => {
      const old = "o".repeat(300_000);
      await objects.put("a", text(old));
      const found = await objects.get("a");
      const body = found!.body[Symbol.asyncIterator]();
      const parts = [(await body.next()).value as Uint8Array];
      await objects.put("a", text("new"));
      for (let next = await body.next(); next.done !== true; next = await body.next()) parts.push(next.value);
      expect(Buffer.concat(parts).toString()).toBe(old);
    });

    it("never mixes the facts of one object with the bytes of another", async () => {
      await objects.put("a", text("old"));
      const found = await objects.get("a");
      await objects.put("a", text("new and longer"));
      const seen = await bytesOf(found!.body).then(
        (bytes) => bytes.toString(),
        (error: unknown) => (error instanceof LongshoreError ? error.code : error),
      );
      expect(["old", "CONFLICT"]).toContain(seen);
    });

    it("lists by prefix, in the order of the whole keys' bytes", async () => {
      const sorted = [
        "A/z",
        "a",
        "a-b",
        "a.b",
        "a/",
        "a/b",
        "a/b-c",
        "a/b.c/d",
        "a/b/c",
        "a/c",
        "a0",
        "a=b",
        "a_",
        "ab",
        "b/.x",
        "b/..y",
      ]
        .filter((key) => !key.endsWith("/"))
        .sort((x, y) => (x < y ? -1 : 1));
      await Promise.all(sorted.toReversed().map((key) => objects.put(key, text(key))));
      expect(await keys("")).toEqual(sorted);
      for (const prefix of ["a", "a/", "a/b", "a/b/", "a/b.", "A", "b/.", "b/..", "none/", "a/b/c/d"]) {
        expect([prefix, await keys(prefix)]).toEqual([prefix, sorted.filter((key) => key.startsWith(prefix))]);
      }
    });

    it("lists sizes and times", async () => {
      const stored = await objects.put("a/b", text("12345"));
      for await (const info of objects.list("a/")) expect(info).toEqual(stored);
      expect(stored.sizeBytes).toBe(5);
    });

    it.each([
      "",
      "/",
      "/a",
      "a/",
      "a//b",
      ".",
      "..",
      "../a",
      "a/../b",
      "a/./b",
      "a/..",
      "a\\b",
      "a b",
      "a\0b",
      "a\n",
      "ü",
      "a%2e",
      "a+",
      "~uploads",
      "a:b",
    ])("refuses the key %j everywhere", (key) => refusesKey(key));

    it("refuses a key with a segment of 300 characters, and one of 300 segments", async () => {
      await refusesKey("s".repeat(300));
      await refusesKey(Array.from({ length: 300 }, () => "long").join("/"));
    });

    const refusesKey = async (key: string): Promise<void> => {
      const refused = { code: "VALIDATION" };
      await expect(objects.put(key, text("x"))).rejects.toMatchObject(refused);
      await expect(objects.get(key)).rejects.toMatchObject(refused);
      await expect(objects.head(key)).rejects.toMatchObject(refused);
      await expect(objects.delete(key)).rejects.toMatchObject(refused);
      expect(await keys("")).toEqual([]);
    };

    it.each(["../", "a/../", "/", "a//", "ü", "a b", "\0"])("refuses the prefix %j", async (prefix) => {
      await expect(keys(prefix)).rejects.toMatchObject({ code: "VALIDATION" });
    });
  });
}
