import type { Check } from "./checks.ts";
import { soakOptions } from "./options.ts";
import { secondsSaid, tableOf } from "./report.ts";
import { runSoak } from "./soak-run.ts";

// npm run soak -- --jobs N --concurrent C [--runtime docker|process|stub] [--seed S]

/** What the home may take, however many jobs went through it. */
const MAX_MIB = 512;
/** How much later than an idle one its event loop may be at the 99.9th percentile. */
const MAX_LATE_MS = 50;

const options = soakOptions(process.argv.slice(2));
const say = secondsSaid();
const { jobs, concurrent, runtime, seed } = options;
say(`soak: ${jobs} jobs on ${runtime}, ${concurrent} at once, seed ${seed}`);
const { checks, jobsPerSecond, usage, home, idle } = await runSoak(options, say);
const { start, end } = usage;
const most = end.mostMiB;
const mib = (value: number) => value.toFixed(0);
const cpuMs = ((end.cpuSeconds - start.cpuSeconds) / jobs) * 1000;
say(
  `${jobsPerSecond.toFixed(1)} jobs a second, each submitted and followed to its end; ${cpuMs.toFixed(2)} ms of CPU a job`,
);
say(`memory of the home in MiB: start ${mib(start.nowMiB)}, most ${mib(most)}, end ${mib(end.nowMiB)}`);
for (const [name, { count, p50, p99, p999, max }] of Object.entries({ home, idle })) {
  const figures = Object.entries({ p50, p99, "p99.9": p999, max }).map(([at, ms]) => `${at} ${ms.toFixed(1)}`);
  say(`event loop of the ${name} in ms: ${figures.join(", ")} (${count} samples)`);
}
const lateMs = home.p999 - idle.p999;
const targets: Check[] = [
  { name: `memory over ${MAX_MIB} MiB`, looked: 1, faults: most < MAX_MIB ? [] : [`${mib(most)} MiB`] },
  {
    name: `event loop at p99.9 over ${MAX_LATE_MS} ms later than an idle one`,
    looked: home.count,
    faults: lateMs <= MAX_LATE_MS ? [] : [`${lateMs.toFixed(1)} ms`],
  },
];
const all = [...checks, ...targets];
console.log(tableOf(all));
const wrong = all.filter(({ faults }) => faults.length > 0).length;
say(`${wrong === 0 ? "all kept" : `${wrong} of ${all.length} checks failed`}; seed ${seed}`);
process.exitCode = wrong === 0 ? 0 : 1;
