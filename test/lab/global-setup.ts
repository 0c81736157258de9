import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { TestProject } from "vitest/node";
import { type Counterparts, parseRequired } from "./counterparts.ts";
import { dockerCounterpart, ensureBusybox } from "./docker.ts";
import { RUN_DIR } from "./leaks.ts";
import { missingDisk } from "./small-disk.ts";

/**
 * Looks once a run for the counterparts, and gives the run a temporary directory of its own. Whatever a test starts
 * inherits it as TMPDIR, so that the reporter can tell at the end what the tests left behind.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const required = parseRequired(process.env.LONGSHORE_REQUIRE);
  project.provide("required", required);
  project.provide("counterparts", await findCounterparts());
  const before = process.env.TMPDIR;
  const runDir = await mkdtemp(join(tmpdir(), "longshore-test-"));
  process.env[RUN_DIR] = runDir;
  process.env.TMPDIR = runDir;
  return async () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    delete process.env[RUN_DIR];
    await rm(runDir, { recursive: true, force: true });
  };
}

async function findCounterparts(): Promise<Counterparts> {
  const [docker, registry, disk] = await Promise.all([missingDocker(), missingRegistry(), missingDisk()]);
  return { docker, registry, disk };
}

async function missingDocker(): Promise<string | null> {
  const engine = await dockerCounterpart();
  if (!engine.available) return engine.reason;
  try {
    await ensureBusybox();
    return null;
  } catch (error) {
    return `the test image cannot be made: ${(error as Error).message}`;
  }
}

async function missingRegistry(): Promise<string | null> {
  for (const program of ["docker-registry", "htpasswd"]) {
    const { code } = await execa(program, ["--version"], { reject: false });
    if (code === "ENOENT") return `${program} is not installed`;
  }
  return null;
}
