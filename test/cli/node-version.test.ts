import { readFile } from "node:fs/promises";
import process from "node:process";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { refuseNode } from "../../cli/node-version.ts";
import { ROOT } from "../toolchain/sources.ts";

describe("the installed command", () => {
  it.each(["24.0.0", "24.21.0", "25.1.0", "100.0.0"])("runs on Node %s", (version) => {
    expect(refuseNode(version)).toBeNull();
  });

  it.each(["23.11.0", "20.20.2", "18.0.0", "0.12.18"])("refuses Node %s", (version) => {
    expect(refuseNode(version)).toBe(`longshore needs Node 24 or newer, but this is Node ${version}`);
  });

  it("says so in one line, before anything that an older Node lacks is loaded", async () => {
    const pretend = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.1.0" } });`;
    const older = ["--import", `data:text/javascript,${encodeURIComponent(pretend)}`];
    const run = await execa(process.execPath, [...older, "cli/bin.ts", "--version"], { cwd: ROOT, reject: false });
    expect(run).toMatchObject({
      exitCode: 125,
      stdout: "",
      stderr: "longshore needs Node 24 or newer, but this is Node 20.1.0",
    });
  });

  // Node looks for --env-file behind the script's name too, unless a `--` stands before that.
  it("is what reads --env-file: Node itself took it, with a NODE_OPTIONS in it", async () => {
    const { scripts } = JSON.parse(await readFile(`${ROOT}/package.json`, "utf8")) as {
      scripts: Record<string, string>;
    };
    const firstLine = (await readFile(`${ROOT}/cli/bin.ts`, "utf8")).split("\n")[0];
    expect(firstLine).toBe("#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=40 --");
    for (const command of [scripts.longshore ?? "", "node -- cli/bin.ts"]) {
      const [, ...args] = command.split(" ");
      const run = await execa(process.execPath, [...args, "run", "--env-file", "/none", "busybox"], {
        cwd: ROOT,
        reject: false,
      });
      expect(run).toMatchObject({ exitCode: 2, stdout: "" });
      expect(run.stderr).toContain("/none");
    }
  });
});
