import { execa } from "execa";
import { ROOT } from "./sources.ts";

/** A named command of a gate; the project's own programs are found before the machine's. */
export interface Step {
  name: string;
  command: readonly [string, ...string[]];
}

/** Runs every step in the root, whatever the ones before came to; resolves with one text for each that failed. */
export async function runSteps(steps: readonly Step[]): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, command } of steps) {
    console.log(`\n=== ${name}: ${command.join(" ")}`);
    const [program, ...args] = command;
    const run = await execa(program, args, { cwd: ROOT, preferLocal: true, reject: false, stdio: "inherit" });
    if (run.failed) failed.push(`${name} (${run.exitCode === undefined ? run.shortMessage : `exit ${run.exitCode}`})`);
  }
  return failed;
}
