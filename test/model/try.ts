import fc from "fast-check";
import { modelProperty } from "./property.ts";
const played = { runs: 0, lives: 0, steps: 0 };
const [seed = "1", runs = "50", path] = process.argv.slice(2);
const lines: string[] = [];
const details = await fc.check(modelProperty(played, { trace: path === undefined ? undefined : (t) => lines.push(t) }), { seed: Number(seed), numRuns: Number(runs), endOnFailure: true, ...(path ? { path } : {}) });
const cpu = process.cpuUsage(); const s = (cpu.user + cpu.system) / 1e6;
console.log(played, s, played.lives / s, details.failed);
if (details.failed) {
  const value = details.counterexample?.[0] as any;
  console.log(String((details.errorInstance as Error)?.stack), JSON.stringify(value.setting), details.counterexamplePath);
  if (path) console.log(lines.join("\n"));
}
