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
});
