import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { describe, expect, test } from "vitest";
import { readArchive } from "../../../../adapters/runtime/docker/archive.ts";
import { beginScan } from "../../../../engine/artifacts/scan.ts";
import type { ArtifactEntry } from "../../../../engine/ports/runtime.ts";
import { END, inPieces, paxRecord, type RawEntry, rawEntry, seeded } from "../../../lab/hostile-tar.ts";

const LIMITS = { entries: 500, bytes: 4 * 1024 * 1024 };
const OUTSIDE = "OUTSIDE-OF-THE-TARGET";
const INSIDE = Buffer.from("inside");
const damaged = expect.objectContaining({ name: "LongshoreError", code: "UNKNOWN", providerCode: "ARCHIVE" });

interface Reading {
  files: { path: string; bytes: Buffer }[];
  refused: Extract<ArtifactEntry, { kind: "refused" }>[];
  passed: number;
  error: unknown;
}

async function reading(
  source: AsyncIterable<Uint8Array>,
  { paths = ["/out/**"], mounts = [] as string[][], limits = LIMITS, reads = true } = {},
): Promise<Reading> {
  const scan = beginScan({ paths, workdir: null, limits }, []);
  const result: Reading = { files: [], refused: [], passed: 0, error: undefined };
  const pass = scan.pass.bind(scan);
  scan.pass = (bytes) => {
    result.passed += bytes;
    pass(bytes);
  };
  try {
    for (const base of scan.bases) {
      for await (const entry of readArchive(source, scan, { base, mounts, seen: new Set() })) {
        if (entry.kind === "refused") result.refused.push(entry);
        else if (reads) result.files.push({ path: entry.path, bytes: await buffer(Readable.from(entry.body)) });
        else result.files.push({ path: entry.path, bytes: Buffer.alloc(0) });
      }
    }
    for (const one of [scan.exhausted()]) if (one !== undefined) result.refused.push({ kind: "refused", ...one });
  } catch (error) {
    result.error = error;
  }
  return result;
}

const archive = (...entries: RawEntry[]) => Buffer.concat([...entries.map(rawEntry), END]);
const told = ({ refused }: Reading) => refused.map(({ path, code }) => [path, code]);

describe("an archive of Docker's kind", () => {
  test("gives its files, whatever the pieces in which it comes", async () => {
    const tar = pack();
    const long = `out/${"d".repeat(90)}/${"e".repeat(90)}/${"ü".repeat(60)}.txt`;
    tar.entry({ name: "out/", type: "directory" });
    tar.entry({ name: "out/a.csv" }, "a,b\n");
    tar.entry({ name: "out/empty" }, "");
    tar.entry({ name: long }, "long");
    tar.entry({ name: "out/big" }, Buffer.alloc(200_000, 7));
    tar.finalize();
    const bytes = await buffer(tar);
    for (let seed = 0; seed < 10; seed++) {
      const { files, refused, error } = await reading(inPieces(bytes, seeded(seed)));
      expect([refused, error]).toEqual([[], undefined]);
      expect(files.map(({ path, bytes }) => [path, bytes.length])).toEqual([
        ["/out/a.csv", 4],
        ["/out/empty", 0],
        [`/${long}`, 4],
        ["/out/big", 200_000],
      ]);
      expect(files[0]?.bytes.toString()).toBe("a,b\n");
    }
  });

  test("is passed over where nobody reads: the files behind are found all the same", async () => {
    const bytes = archive(...["a", "b", "c"].map((name) => ({ name: `out/${name}`, content: Buffer.alloc(3000) })));
    const { files } = await reading(inPieces(bytes), { reads: false });
    expect(files.map(({ path }) => path)).toEqual(["/out/a", "/out/b", "/out/c"]);
  });

  test.each<[string, RawEntry, ...refusal: string[]]>([
    ["a symbolic link", { name: "out/l", type: "2", link: "/etc/passwd" }, "/out/l", "symlink"],
    ["a symbolic link to nowhere", { name: "out/l", type: "2", link: "" }, "/out/l", "symlink"],
    ["a hard link", { name: "out/h", type: "1", link: "../../etc/shadow" }, "/out/h", "hard_link"],
    ["a character device", { name: "out/c", type: "3" }, "/out/c", "special"],
    ["a block device", { name: "out/b", type: "4" }, "/out/b", "special"],
    ["a fifo", { name: "out/f", type: "6" }, "/out/f", "special"],
    ["a GNU sparse file", { name: "out/s", type: "S", content: INSIDE }, "/out/s", "special"],
    ["a way out", { name: "out/../../etc/x", content: Buffer.from(OUTSIDE) }, "out/../../etc/x", "outside"],
    ["an absolute name", { name: "/etc/x", content: Buffer.from(OUTSIDE) }, "/etc/x", "outside"],
    ["another directory's name", { name: "outer/x", content: Buffer.from(OUTSIDE) }, "outer/x", "outside"],
    ["a way out behind a prefix", { name: "x", prefix: "out/../..", content: INSIDE }, "out/../../x", "outside"],
    [
      "a way out by pax",
      { name: "out/a", pax: paxRecord("path", "out/../up"), content: INSIDE },
      "out/../up",
      "outside",
    ],
    ["an empty part", { name: "out//a", content: INSIDE }, "out//a", "invalid_name"],
    ["a dot", { name: "out/./a", content: INSIDE }, "out/./a", "invalid_name"],
    [
      "a name without end",
      { name: "out/a", longName: Buffer.from(`out/${"n".repeat(2000)}`), content: INSIDE },
      `out/${"n".repeat(2000)}`,
      "invalid_name",
    ],
  ])("with %s refuses that by its name, and gives the rest", async (_, entry, ...refusal) => {
    const result = await reading(inPieces(archive(entry, { name: "out/good", content: INSIDE })));
    expect(result.error).toBeUndefined();
    expect(told(result)).toEqual([refusal]);
    expect(result.files).toEqual([{ path: "/out/good", bytes: INSIDE }]);
  });

  test("keeps names that differ in their case, and the first of those that do not", async () => {
    const names = ["out/A", "out/a", "out/a", "out/A"];
    const result = await reading(
      inPieces(archive(...names.map((name, n) => ({ name, content: Buffer.from(`${n}`) })))),
    );
    expect(result.files.map(({ path, bytes }) => [path, bytes.toString()])).toEqual([
      ["/out/A", "0"],
      ["/out/a", "1"],
    ]);
    expect(told(result)).toEqual([
      ["/out/a", "duplicate"],
      ["/out/A", "duplicate"],
    ]);
  });

  test("names what is mounted there once, and gives none of its files", async () => {
    const names = ["out/m", "out/m/1", "out/m/2/3", "out/mine"];
    const bytes = archive(...names.map((name) => ({ name, content: Buffer.from(name) })));
    const result = await reading(inPieces(bytes), { mounts: [["out", "m"]] });
    expect(told(result)).toEqual([["/out/m", "mount"]]);
    expect(result.files.map(({ path }) => path)).toEqual(["/out/mine"]);
  });

  test.each<[string, Buffer]>([
    ["ends in a header", archive({ name: "out/a", content: INSIDE }).subarray(0, 300)],
    ["ends in a file", archive({ name: "out/a", content: Buffer.alloc(5000) }).subarray(0, 2000)],
    ["ends without its end", rawEntry({ name: "out/a", content: INSIDE })],
    ["has nothing at all", Buffer.alloc(0)],
    ["has a wrong sum", archive({ name: "out/a", content: INSIDE, badSum: true })],
    [
      "is followed by the engine's own words",
      Buffer.concat([rawEntry({ name: "out/a" }), Buffer.from('{"message":"x"}\n')]),
    ],
    ["has a size that is negative", archive({ name: "out/a", size: Buffer.alloc(12, 0xff) })],
    [
      "has a size beyond all numbers",
      archive({ name: "out/a", size: Buffer.from(`\x80${"\x7f".repeat(11)}`, "latin1") }),
    ],
    [
      "has a symbolic link that claims a size",
      archive({ name: "out/l", type: "2", link: "x", size: 512 }, { name: "out/a", content: INSIDE }),
    ],
    ["has a header of two megabytes", archive({ name: "out/a", pax: Buffer.alloc(2 * 1024 * 1024, "a") })],
    ["is compressed", Buffer.from("1f8b0800000000000003".padEnd(2048, "0"), "hex")],
  ])("that %s is refused as damaged", async (_, bytes) => {
    const result = await reading(inPieces(bytes));
    expect(result.error).toEqual(damaged);
    expect(result.files.every(({ bytes: read }) => read.equals(INSIDE) || read.length === 0)).toBe(true);
  });

  test.each([
    ["a negative length", "-5 =\n"],
    ["a length beyond its header", "99 path=x\n"],
    ["no end", "9 path=xy"],
  ])("that has a pax record with %s is read as if that were not there", async (_, record) => {
    const result = await reading(inPieces(archive({ name: "out/a", pax: Buffer.from(record), content: INSIDE })));
    expect(result.error).toBeUndefined();
    expect(result.files).toEqual([{ path: "/out/a", bytes: INSIDE }]);
  });

  test("that tells of an endless file is left where its limit is reached", async () => {
    let given = 0;
    async function* endless() {
      yield rawEntry({ name: "out/bomb", size: 8 ** 11 - 1 });
      for (;;) {
        given += 65_536;
        yield Buffer.alloc(65_536);
      }
    }
    for (const reads of [false, true]) {
      given = 0;
      const result = await reading(endless(), { reads });
      expect(given).toBeLessThanOrEqual(LIMITS.bytes + 65_536);
      if (reads) expect(result.error).toMatchObject({ code: "UNKNOWN", providerCode: "LIMIT" });
      else expect(result.refused.at(-1)?.code).toBe("limit");
    }
  });

  test("of more entries than may be looked at is left there, and the job is told", async () => {
    async function* endless() {
      for (let n = 0; ; n += 1) yield rawEntry({ name: `out/${n}` });
    }
    const result = await reading(endless());
    expect(result.files).toHaveLength(LIMITS.entries);
    expect(result.refused.map(({ code }) => code)).toEqual(["limit"]);
  });
});

describe("two hundred hostile archives", () => {
  /** Bytes that are inside say where; all others are marked. */
  function hostile(seed: number): { bytes: Buffer; whole: boolean; expected: string[]; refusals: number } {
    const random = seeded(seed);
    const expected: string[] = [];
    let refusals = 0;
    const seen = new Set<string>();
    const marked = () => Buffer.from(`${OUTSIDE}${"x".repeat(random.below(2000))}`);
    const entries = Array.from({ length: 1 + random.below(30) }, (): RawEntry => {
      const name = `out/${random.pick(["a", "A", "b/c", "é", "x y", "%2e%2e", "..a", "a..", "CON", "~", "-rf", "\\..\\..\\w"])}${random.below(5)}`;
      refusals += 1;
      switch (random.below(12)) {
        case 0:
          return {
            name: `${random.pick(["", "out/", "out/x/"])}${"../".repeat(1 + random.below(4))}etc/x`,
            content: marked(),
          };
        case 1:
          return { name: `/${random.pick(["etc/passwd", "out/a", "root/.ssh/id"])}`, content: marked() };
        case 2:
          return { name, type: random.pick(["1", "2"]), link: random.pick(["/etc/passwd", "../../..", "a", ""]) };
        case 3:
          return { name, type: random.pick(["3", "4", "6", "S", "V", "Z"]) };
        case 4:
          return {
            name,
            pax: paxRecord("path", random.pick(["../../etc/x", "/abs", "out/../../x"])),
            content: marked(),
          };
        case 5:
          return { name, longName: Buffer.from(`${"../".repeat(50)}x\0`), content: marked() };
        case 6:
          return { name: "out/n", pax: paxRecord("path", `out/${"x".repeat(3000)}`), content: marked() };
        default: {
          if (!seen.has(name)) {
            expected.push(`/${name}`);
            refusals -= 1;
          }
          seen.add(name);
          return { name, content: Buffer.from(`/${name}`) };
        }
      }
    });
    const bytes = archive(...entries);
    switch (random.below(6)) {
      case 0:
        return { bytes: bytes.subarray(0, random.below(bytes.length - 1024)), whole: false, expected, refusals };
      case 1: {
        const spoilt = Buffer.from(bytes);
        for (let n = 0; n < 1 + random.below(50); n += 1) spoilt[random.below(spoilt.length)] = random.below(256);
        return { bytes: spoilt, whole: false, expected, refusals };
      }
      default:
        return { bytes, whole: true, expected, refusals };
    }
  }

  test("give nothing that lies outside, hold the limits, and what was refused is named", async () => {
    let broken = 0;
    for (let seed = 1; seed <= 200; seed += 1) {
      const { bytes, whole, expected, refusals } = hostile(seed);
      const result = await reading(inPieces(bytes, seeded(seed)));
      const where = `seed ${seed}`;
      for (const { path, bytes: read } of result.files) {
        expect(path, where).toMatch(/^\/out\//);
        expect(
          path
            .split("/")
            .slice(1)
            .every((part) => part !== "" && part !== "." && part !== ".."),
          where,
        ).toBe(true);
        if (whole) expect(read.toString(), where).toBe(path);
      }
      expect(result.passed, where).toBeLessThanOrEqual(LIMITS.bytes + 70_000);
      if (!whole) {
        if (result.error !== undefined) broken += 1;
        expect([undefined, damaged], where).toContainEqual(result.error);
        continue;
      }
      expect(result.error, where).toBeUndefined();
      expect(
        result.files.map(({ path }) => path),
        where,
      ).toEqual(expected);
      expect(result.refused.length, where).toBe(refusals);
    }
    // Cut and spoilt ones were among them.
    expect(broken).toBeGreaterThan(20);
  });
});
