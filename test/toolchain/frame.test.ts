import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { parseRequired } from "../lab/counterparts.ts";
import { ROOT } from "./sources.ts";

/** Nobody listens on the discard port of loopback: for the sample, this machine has no engine. */
const NO_ENGINE = { DOCKER_HOST: "tcp://127.0.0.1:9", LONGSHORE_REQUIRE: "" };

async function runSample(name: string, env: Record<string, string>) {
  const settings = ["--config", "test/toolchain/frame/vitest.config.ts"];
  const run = await execa("vitest", ["run", ...settings, `frame/${name}.sample.ts`], {
    cwd: ROOT,
    env: { ...env, NO_COLOR: "1" },
    preferLocal: true,
    reject: false,
    all: true,
  });
  return { exitCode: run.exitCode, output: run.all, lastLine: run.stdout.trimEnd().split("\n").at(-1) };
}

describe("a run of tests", () => {
  it("lists what a missing counterpart kept from running, with the reason and the number of tests", async () => {
    const { exitCode, output, lastLine } = await runSample("skips", NO_ENGINE);
    expect(output).toMatch(/what needs an engine: 2 tests \(docker: no Docker Engine answers: .*ECONNREFUSED/);
    expect(lastLine).toBe("1 passed, 0 failed, 2 skipped");
    expect(exitCode).toBe(0);
  });

  it("fails when the missing counterpart is required", async () => {
    const { exitCode, output, lastLine } = await runSample("skips", { ...NO_ENGINE, LONGSHORE_REQUIRE: "docker" });
    expect(output).toContain("LONGSHORE_REQUIRE names docker, but no Docker Engine answers");
    expect(lastLine).toBe("1 passed, 1 failed, 2 skipped");
    expect(exitCode).toBe(1);
  });

  it("shows the skip of a single test with its reason, or that it gives none", async () => {
    const { output, lastLine } = await runSample("single-skips", NO_ENGINE);
    expect(output).toContain("is left out in silence: 1 test (no reason given)");
    expect(output).toContain("is left out by its options: 1 test (the moon is full)");
    expect(output).toContain("leaves itself out: 1 test (the sun shines)");
    expect(lastLine).toBe("0 passed, 0 failed, 3 skipped");
  });

  it("fails for files and processes that its tests left behind", async () => {
    const { exitCode, output, lastLine } = await runSample("leaks", NO_ENGINE);
    const pid = Number(/left behind: process (\d+): sleep 60/.exec(output)?.[1]);
    process.kill(pid);
    expect(output).toMatch(/left behind: temporary file forgotten-/);
    expect(lastLine).toBe("1 passed, 2 failed");
    expect(exitCode).toBe(1);
  });

  it("fails for an error outside of its tests", async () => {
    const { exitCode, output, lastLine } = await runSample("broken", NO_ENGINE);
    expect(output).toContain("never runs: 1 test (its suite could not be set up)");
    expect(lastLine).toBe("1 passed, 2 failed, 1 skipped");
    expect(exitCode).toBe(1);
  });
});

describe("LONGSHORE_REQUIRE", () => {
  it("reads names between commas", () => {
    expect(parseRequired(" docker, registry,")).toEqual(["docker", "registry"]);
    expect(parseRequired(undefined)).toEqual([]);
  });

  it("refuses a name that is no counterpart", () => {
    expect(() => parseRequired("dokcer")).toThrow("dokcer is none of docker, registry");
  });
});
