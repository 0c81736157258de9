import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { charactersOf, compileGlob, type Glob, standingOf } from "../../../engine/artifacts/glob.ts";

function compiled(source: string): Glob {
  const glob = compileGlob(source);
  if (typeof glob === "string") throw new Error(`${source}: ${glob}`);
  return glob;
}

const meter = () => ({ steps: 0 });
const split = (path: string) => charactersOf(path.split("/").filter((name) => name !== ""));
const matches = (source: string, path: string) =>
  compiled(source).alternatives.some(
    (one) => one.absolute === path.startsWith("/") && standingOf(one.segments, split(path), meter()).matches,
  );
const leads = (source: string, path: string) =>
  compiled(source).alternatives.some((one) => standingOf(one.segments, split(path), meter()).leads);

describe("a glob", () => {
  test.each([
    [
      "/out/*.csv",
      ["/out/a.csv", "/out/.csv", "/out/a b.csv"],
      ["/out/a.csv.gz", "/out/x/a.csv", "/a.csv", "out/a.csv"],
    ],
    ["/out/**", ["/out/a", "/out/a/b/c", "/out/.hidden"], ["/output/a", "/ou/a"]],
    ["/**/x", ["/x", "/a/x", "/a/b/x"], ["/x/a", "/ax"]],
    ["/a/**/b/**/c", ["/a/b/c", "/a/x/b/y/z/c", "/a/b/b/c"], ["/a/c", "/a/b/c/d"]],
    ["/out/", ["/out/a", "/out/a/b"], ["/outer"]],
    ["rel/./x//y", ["rel/x/y"], ["/rel/x/y", "rel/x"]],
    ["/a?c", ["/abc", "/a💾c"], ["/ac", "/abbc"]],
    ["/[a-c][!a-c]", ["/ad", "/cz"], ["/aa", "/dd", "/a"]],
    ["/[]]x[^-]", ["/]xa"], ["/]x-", "/x"]],
    ["/[a-]", ["/a", "/-"], ["/b"]],
    ["/{a,b{1,2},}x", ["/ax", "/b1x", "/b2x", "/x"], ["/bx", "/b3x"]],
    ["{/abs,rel}/f", ["/abs/f", "rel/f"], ["/rel/f", "abs/f"]],
    ["/a\\*\\[b", ["/a*[b"], ["/ax[b"]],
    ["/***", ["/a", "/abc"], ["/a/b"]],
    ["/A", ["/A"], ["/a"]],
    ["/*a*b*", ["/ab", "/xaybz"], ["/ba"]],
  ])("%s names what it says", (glob, named, others) => {
    expect(named.filter((path) => !matches(glob, path))).toEqual([]);
    expect(others.filter((path) => matches(glob, path))).toEqual([]);
  });

  test("leads into directories that may hold what it names, and into no others", () => {
    expect(["/a", "/a/b", "/a/b/c"].map((path) => leads("/a/*/c/*.txt", path))).toEqual([true, true, true]);
    expect(["/b", "/a/b/d", "/a/b/c/x.txt"].map((path) => leads("/a/*/c/*.txt", path))).toEqual([false, false, false]);
    expect(["/a", "/a/b/c"].map((path) => leads("/a/**", path))).toEqual([true, true]);
  });

  test("tells from where on something is left open", () => {
    const bases = (source: string) => compiled(source).alternatives.map(({ base }) => base.join("/"));
    expect(bases("/out/x/*.csv")).toEqual(["out/x"]);
    expect(bases("/out/a\\*b/c")).toEqual(["out/a*b/c"]);
    expect(bases("/{a,b}/c/**")).toEqual(["a/c", "b/c"]);
    expect(bases("/**")).toEqual([""]);
  });

  test.each([
    ["!/out/*", "!"],
    ["/out/@(a|b)", "@("],
    ["/out/!(a)", "!("],
    ["/+(+(+(a)))b", "+("],
    ["/?(x)", "?("],
    ["/*(x)", "*("],
    ["/[[:alpha:]]", "named classes"],
    ["/[abc", "without its ]"],
    ["/[z-a]", "ends before it begins"],
    ["/[a/b]", "inside []"],
    ["/{a,b", "without its }"],
    ["/a}", "without its {"],
    ["/a\\", "\\"],
    ["/{{{{{{{{{a}}}}}}}}}", "inside each other"],
    ["/{1,2,3,4,5,6}{1,2,3,4,5,6}", "alternatives"],
    [`/${"{a,b}".repeat(200)}`, "alternatives"],
    ["/a/{.,..}/b", ".."],
    ["/a/\\.\\./b", ".."],
    ["/a\u0000b", "control"],
    ["/a\nb", "control"],
    [".", "files"],
    ["", "files"],
  ])("%j is refused in words", (glob, words) => {
    const problem = compileGlob(glob);
    expect(typeof problem).toBe("string");
    expect(problem).toContain(words);
  });

  test("takes no more steps than its length times the path's, whatever it is made of", () => {
    const piece = fc.constantFrom("*", "**", "?", "a", "[ab]", "[!a]", "/", "/**/", "a*", "*a*a", "{a,*}");
    const path = fc.array(fc.constantFrom("a", "b", "aaaa", "/", "a".repeat(60)), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 24 }), path, (pieces, parts) => {
        const source = pieces.join("");
        const glob = compileGlob(source);
        if (typeof glob === "string") return;
        const text = parts.join("");
        for (const { segments } of glob.alternatives) {
          const used = meter();
          standingOf(segments, split(text), used);
          expect(used.steps).toBeLessThanOrEqual((source.length + 1) * (text.length + 1));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("of many stars against a long name stays inside that bound", () => {
    const glob = compiled(`/${"*a".repeat(400)}b`);
    const used = meter();
    expect(standingOf(glob.alternatives[0]!.segments, split("a".repeat(255)), used).matches).toBe(false);
    expect(used.steps).toBeLessThan(800 * 256);
  });
});
