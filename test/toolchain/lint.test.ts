import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "./sources.ts";

const READS_ENVIRONMENT = "export const home = process.env.HOME;\n";

/** Sources that break a rule: the linter must name it. No path twice. */
const REFUSED: readonly [path: string, source: string, rule: string][] = [
  ["adapters/runtime/docker/index.ts", READS_ENVIRONMENT, "noProcessEnv"],
  ["cli/commands/run.ts", `import { env } from "node:process";\nexport const home = env.HOME;\n`, "noProcessEnv"],
  ["engine/long.ts", `${"// a line\n".repeat(401)}export const a = 1;\n`, "noExcessiveLinesPerFile"],
  ["engine/params.ts", "export function f(a: 1, b: 1, c: 1, d: 1) {\n  return [a, b, c, d];\n}\n", "useMaxParams"],
  ["engine/default.ts", "export default 1;\n", "noDefaultExport"],
  ["engine/enum.ts", "export enum Status {\n  A,\n}\n", "noEnum"],
  ["engine/camelCase.ts", "export const a = 1;\n", "useFilenamingConvention"],
  [
    "engine/swallow.ts",
    "export function f(g: () => void) {\n  try {\n    g();\n  } catch {}\n}\n",
    "noEmptyBlockStatements",
  ],
  ["engine/extension.ts", `export { f } from "./swallow";\n`, "useImportExtensions"],
  ["local/console.ts", `console.log("x");\nexport {};\n`, "noConsole"],
  ["local/undeclared.ts", `import { execa } from "execa";\nexport const run = execa;\n`, "noUndeclaredDependencies"],
  ["local/floating.ts", "export function f() {\n  g();\n}\nasync function g() {}\n", "noFloatingPromises"],
  ["test/skip.test.ts", `import { it } from "vitest";\nit.skip("x", () => 1);\n`, "noSkippedTests"],
  ["test/only.test.ts", `import { it } from "vitest";\nit.only("x", () => 1);\n`, "noFocusedTests"],
];

const ENTRY_POINTS = ["local/settings.ts", "cli/main.ts"] as const;

interface Diagnostic {
  category: string;
  location: { path: string };
}

describe("the linter", () => {
  let directory = "";
  let diagnostics: Diagnostic[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "lint-"));
    const copied = ["biome.json", "package.json", ".gitignore"];
    await Promise.all(copied.map((name) => copyFile(join(ROOT, name), join(directory, name))));
    const sources = [...REFUSED, ...ENTRY_POINTS.map((path) => [path, READS_ENVIRONMENT] as const)];
    for (const [path, source] of sources) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), source);
    }
    const args = ["lint", "--reporter=json", "--max-diagnostics=none", "."];
    const run = await execa("biome", args, { cwd: directory, preferLocal: true, localDir: ROOT, reject: false });
    diagnostics = (JSON.parse(run.stdout) as { diagnostics: Diagnostic[] }).diagnostics;
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  function rulesBrokenBy(path: string): (string | undefined)[] {
    return diagnostics
      .filter(({ location }) => location.path === path)
      .map(({ category }) => category.split("/").at(-1));
  }

  it.each(REFUSED)("refuses %s: %j by %s", (path, _source, rule) => {
    expect(rulesBrokenBy(path)).toContain(rule);
  });

  it.each(ENTRY_POINTS)("lets the entry point %s read the environment", (path) => {
    expect(rulesBrokenBy(path)).toEqual([]);
  });
});
