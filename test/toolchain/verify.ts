import { runSteps, type Step } from "./steps.ts";

/** Every step of the gate, in order of how soon it can say no. The tests come last: theirs is the last line. */
const STEPS: readonly Step[] = [
  { name: "format", command: ["biome", "format", "."] },
  { name: "lint", command: ["biome", "lint", "--error-on-warnings", "."] },
  { name: "import rules", command: ["node", "test/toolchain/check-imports.ts"] },
  { name: "types", command: ["tsc", "--noEmit"] },
  { name: "unused code", command: ["knip"] },
  // Without credentials: who has none can still tell what would be deployed, and whether it keeps the rules.
  { name: "infrastructure", command: ["cdk", "synth", "--quiet", "--no-notices", "--no-version-reporting"] },
  { name: "build", command: ["npm", "run", "--silent", "build"] },
  { name: "tests", command: ["vitest", "run"] },
];

const failed = await runSteps(STEPS);
if (failed.length > 0) {
  console.error(`\nverify failed in ${failed.length} of ${STEPS.length} steps: ${failed.join(", ")}`);
  process.exitCode = 1;
}
