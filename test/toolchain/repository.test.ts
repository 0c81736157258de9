import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { ROOT, repositoryFiles } from "./sources.ts";

/** What may not stand in any committed file, and why. Patterns are written so that they do not match themselves. */
const FORBIDDEN: readonly { what: string; pattern: RegExp; where?: RegExp }[] = [
  { what: "the host of a package registry", pattern: /\b(registry\.(npm|yarn)\w*\.|npm\.pkg\.git|deb\.debian\.)/ },
  { what: "the address of a package", pattern: /"resolved": "/, where: /package-lock\.json$/ },
  { what: "a registry of packages", pattern: /^(@[\w-]+:)?registry ?=/m, where: /npmrc$/ },
  { what: "a path of one machine", pattern: /(?<![\w.}])\/(root|work\/(main|shared))\// },
  // A test may name such a path in a spec, for inside a container.
  { what: "a path of one machine", pattern: /["'`]\/tmp\//, where: /^(?!test\/).*\.ts$/ },
  { what: "a note of unfinished work", pattern: /\b(TO[D]O|FIX[M]E|XX[X])\b/ },
];

/** One sentence for each forbidden thing in a file. */
function objections(path: string, text: string): string[] {
  return FORBIDDEN.flatMap(({ what, pattern, where }) => {
    const found = where && !where.test(path) ? null : pattern.exec(text);
    return found ? [`${path}: ${what}: ${found[0].trim()}`] : [];
  });
}

describe("the repository", () => {
  it.each([
    ["README.md", `see https://registry.${"npmjs"}.org/`],
    ["docs/a.md", `deb http://deb.${"debian"}.org/debian bookworm main`],
    ["package-lock.json", `"resolved": "https://example.com/a.tgz"`],
    [".npmrc", "registry=https://example.com"],
    [".npmrc", "save-exact=true\n@team:registry=https://example.com"],
    ["engine/a.ts", `const a = "/${"root"}/x";`],
    ["test/a.test.ts", `const a = "file:///${"work"}/main/a";`],
    ["local/a.ts", `const a = "/tmp/x";`],
    ["local/a.ts", `// ${"TO"}DO later`],
  ])("would refuse %s with %s", (path, text) => {
    expect(objections(path, text)).toHaveLength(1);
  });

  it.each([
    ["test/a.test.ts", `const spec = { workdir: "/work", volumes: ["/tmp/x"] };`],
    ["adapters/a.ts", `const socket = "run/root/docker.sock";`],
    ["package-lock.json", `"url": "https://opencollective.com/biome"`],
    [".npmrc", "omit-lockfile-registry-resolved=true"],
  ])("lets through %s with %s", (path, text) => {
    expect(objections(path, text)).toEqual([]);
  });

  it("holds nothing of that kind", async () => {
    const files = await repositoryFiles();
    expect(files.size).toBeGreaterThan(20);
    expect([...files].flatMap(([path, text]) => objections(path, text))).toEqual([]);
  });

  it("does not name the machine that it was made on", async () => {
    const files = await repositoryFiles();
    const root = ROOT.replace(/\/$/, "");
    const names = [root, hostname()].filter((name) => name.length > 4 && name !== "localhost");
    expect([...files].filter(([, text]) => names.some((name) => text.includes(name))).map(([path]) => path)).toEqual(
      [],
    );
  });
});
