import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { patternsOf } from "../../../engine/artifacts/glob.ts";
import { alternativesIn, globProblem } from "../../../engine/artifacts/glob-rules.ts";

const WORKDIR = ["wo*rk", "[dir]"];
const namesOf = (path: string) => path.split("/").filter((name) => name !== "");
const absolute = (path: string) => (path.startsWith("/") ? namesOf(path) : [...WORKDIR, ...namesOf(path)]);
const standings = (source: string, path: string) =>
  patternsOf(source, WORKDIR).map((one) => one.standingOf(absolute(path)));
const matches = (source: string, path: string) => standings(source, path).some((one) => one.matches);
const leads = (source: string, path: string) => standings(source, path).some((one) => one.leads);

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
    const bases = (source: string) => patternsOf(source, WORKDIR).map(({ base }) => base.join("/"));
    expect(bases("/out/x/*.csv")).toEqual(["out/x"]);
    expect(bases("/out/a\\*b/c")).toEqual(["out/a*b/c"]);
    expect(bases("/{a,b}/c/**")).toEqual(["a/c", "b/c"]);
    expect(bases("/**")).toEqual([""]);
    expect(bases("x/*")).toEqual(["wo*rk/[dir]/x"]);
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
    ["/[a/b]", "without its ]"],
    ["/{1..9}", "ranges"],
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
    expect(globProblem(glob)).toContain(words);
  });

  test("stands for no more alternatives than its braces are counted for", () => {
    const piece = fc.constantFrom("{", "}", ",", "a", "*", "\\\\{", "/", "[,]");
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 16 }), (pieces) => {
        const source = pieces.join("");
        if (globProblem(source) !== undefined) return;
        expect(patternsOf(source, []).length).toBeLessThanOrEqual(alternativesIn(source));
      }),
      { numRuns: 3000 },
    );
  });

  test("of many stars against a long name is matched: no regular expression goes back and forth over it", () => {
    const long = `/${"a".repeat(255)}`;
    expect(matches(`/${"*a".repeat(200)}`, long)).toBe(true);
    expect(matches(`/${"*a".repeat(200)}b`, long)).toBe(false);
    expect(matches(`/${"**/a/".repeat(60)}b`, `/${"a/".repeat(500)}c`)).toBe(false);
  });
});
