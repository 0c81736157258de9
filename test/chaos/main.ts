import { runChaos } from "./chaos.ts";
import { chaosOptions } from "./options.ts";
import { countsOf, secondsSaid, tableOf } from "./report.ts";

// npm run chaos -- --jobs N --kills K [--runtime docker|process|stub] [--seed S]

const options = chaosOptions(process.argv.slice(2));
const { jobs, kills, runtime, seed } = options;
const say = secondsSaid();
say(`chaos: ${jobs} jobs on ${runtime}, ${kills} kills, seed ${seed}`);
const { checks, phases, ends } = await runChaos(options, say);
say(`where jobs stood when the home died: ${countsOf(phases)}`);
say(`how they ended: ${countsOf(ends)}`);
console.log(tableOf(checks));
const wrong = checks.filter(({ faults }) => faults.length > 0).length;
say(`${wrong === 0 ? "all kept" : `${wrong} of ${checks.length} checks failed`}; seed ${seed}`);
process.exitCode = wrong === 0 ? 0 : 1;
