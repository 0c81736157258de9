import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createProcessRuntime } from "../../../../adapters/runtime/process/index.ts";
import type { RuntimeFacts, RuntimeHarness } from "../../../contracts/runtime-harness.ts";

export const PROCESS_FACTS: RuntimeFacts = { runtime: "process" };

/** A directory for attempts, and adapters on it. */
export async function processHarness(): Promise<RuntimeHarness & { directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "process-"));
  return {
    directory,
    adapter: (homeId) => createProcessRuntime({ homeId, directory }),
    leftovers: async (homeId) => {
      const names = await readdir(directory);
      const owned = names.filter((name) => {
        const claim = join(directory, name, "claim.json");
        return !existsSync(claim) || readFileSync(claim, "utf8").includes(homeId);
      });
      return [...owned, ...processesUnder(directory)];
    },
    dispose: async () => await rm(directory, { recursive: true, force: true }),
  };
}

/** The processes that live in an attempt's directory by their environment; a supervisor has none. */
export function processesUnder(directory: string): string[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const environment = readFileSync(`/proc/${entry}/environ`, "latin1");
      return environment.includes(`${directory}/`) ? [`process ${entry}`] : [];
    } catch {
      // It ended while it was looked at.
      return [];
    }
  });
}
