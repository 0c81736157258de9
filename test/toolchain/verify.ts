import { execa } from "execa";
import { ROOT } from "./sources.ts";

/** Every step of the gate, in order of how soon it can say no. The tests come last: theirs is the last line. */
const STEPS: readonly { name: string; command: readonly [string, ...string[]] }[] = [
  { name: "format", command: ["biome", "format", "."] },
  { name: "lint", command: ["biome", "lint", "--error-on-warnings", "."] },
  { name: "import rules", command: ["node", "test/toolchain/check-imports.ts"] },
  { name: "types", command: ["tsc", "--noEmit"] },
  { name: "unused code", command: ["knip"] },
  { name: "build", command: ["npm", "run", "--silent", "build"] },
  { name: "tests", command: ["vitest", "run"] },
];

const failed: string[] = [];
for (const { name, command } of STEPS) {
  console.log(`\n=== ${name}: ${command.join(" ")}`);
  const [program, ...args] = command;
  const { failed: refused, exitCode } = await execa(program, args, {
    cwd: ROOT,
    preferLocal: true,
    reject: false,
    stdio: "inherit",
  });
  if (refused) failed.push(`${name} (exit ${exitCode ?? "by a signal"})`);
}
if (failed.length > 0) {
  console.error(`\nverify failed in ${failed.length} of ${STEPS.length} steps: ${failed.join(", ")}`);
  process.exitCode = 1;
}
