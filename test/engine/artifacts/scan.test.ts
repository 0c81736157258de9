import { describe, expect, test } from "vitest";
import { beginScan } from "../../../engine/artifacts/scan.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import { parseJobSpec } from "../../../engine/spec/parse.ts";
import { seeded } from "../../lab/hostile-tar.ts";

const LIMITS = { entries: 100_000, bytes: 1_000_000 };
const scanOf = (paths: string[], workdir: string[] = [], root: string[] = []) =>
  beginScan({ paths, workdir: null, limits: LIMITS }, workdir, root);

describe("a search", () => {
  test("begins where the globs leave something open, and no place is searched twice", () => {
    const { bases } = scanOf(["/out/*.csv", "/out/x/*.csv", "/log/**", "rel/*", "/{a,b}/c"], ["work"]);
    expect(bases.map((base) => base.join("/")).sort()).toEqual(["a/c", "b/c", "log", "out", "work/rel"]);
    expect(scanOf(["/**/x", "/out/*"]).bases).toEqual([[]]);
  });

  test("tells which globs nothing was found for, each once", () => {
    const scan = scanOf(["/out/*", "/gone/{a,b}", "/out/a"]);
    expect(scan.look(["out", "a"])).toEqual({ wanted: true, leads: false });
    expect(scan.unmatched().map(({ path, code }) => [path, code])).toEqual([["/gone/{a,b}", "no_match"]]);
  });

  test("below a root refuses the globs that lead out of it", () => {
    const scan = scanOf(
      ["/home/x/work/out/*", "/home/**", "out/*", "/home/x/working/*"],
      ["home", "x", "work"],
      ["home", "x", "work"],
    );
    expect(scan.refused.map(({ path, code }) => [path, code])).toEqual([
      ["/home/**", "outside"],
      ["/home/x/working/*", "outside"],
    ]);
    expect(scan.look(["home", "x", "work", "out", "f"]).wanted).toBe(true);
  });

  test("ends where its globs take too many comparisons, and says so", () => {
    const scan = scanOf(Array.from({ length: 100 }, (_, n) => `/${"*a".repeat(300)}${n}`));
    let looks = 0;
    while (scan.exhausted() === undefined && looks < LIMITS.entries) {
      scan.look(["a".repeat(255)]);
      looks += 1;
    }
    expect(looks).toBeLessThan(LIMITS.entries);
    expect(scan.exhausted()).toMatchObject({ code: "limit", message: expect.stringContaining("comparisons") });
    expect(scan.unmatched()).toEqual([]);
  });
});

/** A glob of whatever globs can be made of; each is either refused or bounded. */
function hostileGlob(seed: number): string {
  const random = seeded(seed);
  const pieces = [
    "*",
    "**",
    "/",
    "?",
    "[",
    "]",
    "[!a]",
    "[a-z]",
    "[[:alpha:]]",
    "{",
    "}",
    "{a,b}",
    ",",
    "!",
    "@(",
    "+(",
    "(a+)+",
    "|",
    ")",
    "..",
    ".",
    "\\",
    "\\.",
    "a",
    "etc",
    "passwd",
    "$HOME",
    "~",
    "`id`",
    "\u0000",
    "\n",
    "\u202e",
    "\ud800",
    "%2e%2e",
    "a".repeat(40),
  ];
  switch (seed % 10) {
    case 0:
      return `/${"**/".repeat(1 + random.below(300))}x`;
    case 1:
      return `/${"*a".repeat(1 + random.below(500))}b`;
    case 2:
      return `/${"{a,b}".repeat(1 + random.below(100))}`;
    case 3:
      return `/out/${"../".repeat(1 + random.below(20))}etc/passwd`;
    case 4:
      return `/${"x".repeat(4096 + random.below(100))}`;
    default:
      return Array.from({ length: 1 + random.below(60) }, () => random.pick(pieces)).join("");
  }
}

describe("a hundred hostile globs", () => {
  const globs = Array.from({ length: 100 }, (_, seed) => hostileGlob(seed));
  const accepted = globs.filter((glob) => {
    try {
      parseJobSpec({ runtime: "stub", artifacts: { paths: [glob] } });
      return true;
    } catch (error) {
      // Refused by the spec's own words, with the path of the field.
      expect(error).toBeInstanceOf(LongshoreError);
      expect((error as LongshoreError).violations?.every(({ path }) => path.startsWith("artifacts.paths"))).toBe(true);
      return false;
    }
  });

  test("are refused with a reason, or searched for inside the bounds, and lead nowhere else", () => {
    expect(accepted.length).toBeGreaterThan(10);
    expect(accepted.length).toBeLessThan(80);
    const tree = Array.from({ length: 300 }, (_, n) => {
      const random = seeded(n);
      const names = ["a".repeat(255), "a", "b", "etc", "passwd", "x", "*", "..a"];
      return ["out", ...Array.from({ length: random.below(8) }, () => random.pick(names))];
    });
    for (const glob of accepted) {
      const root = ["home", "work"];
      const scan = scanOf([glob], root, root);
      expect(
        scan.bases.every((base) => base[0] === "home" && base[1] === "work"),
        glob,
      ).toBe(true);
      expect(scan.bases.flat(), glob).not.toContain("..");
      for (const path of tree) scan.look([...root, ...path]);
      // Three hundred names take a part of what a whole search may take.
      expect(scan.exhausted(), glob).toBeUndefined();
      for (const outside of [["etc", "passwd"], ["home", "other"], ["home"]]) {
        expect(scan.look(outside).wanted, glob).toBe(false);
      }
    }
  });

  test("together are no more than the spec's bound", () => {
    const many = Array.from({ length: 20 }, () => "/{a,b,c,d}{1,2,3,4}");
    expect(() => parseJobSpec({ runtime: "stub", artifacts: { paths: many } })).toThrow(/256 alternatives/);
  });
});
