import { parseArgs } from "node:util";
import { runSteps, type Step } from "./steps.ts";

// npm run verify [-- --without STEP…]   all steps but these, which somebody has just run

/** Every step of the gate, in order of how soon it can say no. The tests come last: theirs is the last line. */
const STEPS: readonly Step[] = [
  { name: "format", command: ["biome", "format", "."] },
  { name: "lint", command: ["biome", "lint", "--error-on-warnings", "."] },
  { name: "import rules", command: ["node", "test/toolchain/check-imports.ts"] },
  { name: "types", command: ["tsc", "--noEmit"] },
  { name: "client", command: ["npm", "run", "--silent", "sdk:check"] },
  { name: "unused code", command: ["knip"] },
  // Without credentials: who has none can still tell what would be deployed, and whether it keeps the rules.
  { name: "infrastructure", command: ["cdk", "synth", "--quiet", "--no-notices", "--no-version-reporting"] },
  { name: "build", command: ["npm", "run", "--silent", "build"] },
  { name: "tests", command: ["vitest", "run"] },
];

const { without = [] } = parseArgs({ options: { without: { type: "string", multiple: true } } }).values;
const unknown = without.filter((name) => !STEPS.some((step) => step.name === name));
if (unknown.length > 0) throw new Error(`there is no step ${unknown.join(", ")}`);
const steps = STEPS.filter(({ name }) => !without.includes(name));
const failed = await runSteps(steps);
if (without.length > 0) console.log(`\nverify left out: ${without.join(", ")}`);
if (failed.length > 0) {
  console.error(`\nverify failed in ${failed.length} of ${steps.length} steps: ${failed.join(", ")}`);
  process.exitCode = 1;
}
