import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

// Loaded into a process by `node --import`: when that process ends by itself it writes how late its event loop was to
// the file that LOOP_DELAY_FILE names, in milliseconds.

const RESOLUTION_MS = 10;
const NANOS_PER_MS = 1e6;

const file = process.env.LOOP_DELAY_FILE;
if (file !== undefined) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  process.on("exit", () => {
    const ms = (nanos: number) => nanos / NANOS_PER_MS;
    const at = (percentile: number) => ms(histogram.percentile(percentile));
    const { count, max } = histogram;
    writeFileSync(file, JSON.stringify({ count, p50: at(50), p99: at(99), p999: at(99.9), max: ms(max) }));
  });
}
