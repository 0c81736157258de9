import { runChaos } from "./chaos.ts";
import { chaosOptions } from "./options.ts";
import { countsOf, tableOf } from "./report.ts";

// npm run chaos -- --jobs N --kills K [--runtime docker|process|stub] [--seed S]

const options = chaosOptions(process.argv.slice(2));
const { jobs, kills, runtime, seed } = options;
console.log(`chaos: ${jobs} jobs on ${runtime}, ${kills} kills, seed ${seed}`);
const report = await runChaos(options, (line) => console.log(line));
console.log(`where jobs stood when the home died: ${countsOf(report.phases)}`);
console.log(`how they ended: ${countsOf(report.ends)}`);
console.log(tableOf(report.checks));
const wrong = report.checks.filter(({ faults }) => faults.length > 0).length;
console.log(`${wrong === 0 ? "all kept" : `${wrong} checks failed`} in ${report.seconds} s; seed ${seed}`);
process.exitCode = wrong === 0 ? 0 : 1;
