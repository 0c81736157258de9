import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { run } from "./processes.ts";

/** Installs the peers' packages beside this file, from their own lock file, unless they are there already. */
export async function installPackages(): Promise<void> {
  const lock = join(import.meta.dirname, "package-lock.json");
  // npm writes it last.
  const installed = join(import.meta.dirname, "node_modules/.package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  // Not `ci`: it refuses a lock file without the packages of other platforms, which not every registry has.
  await run({
    program: "npm",
    args: ["install", "--no-save", "--ignore-scripts", "--prefix", import.meta.dirname],
  });
}
