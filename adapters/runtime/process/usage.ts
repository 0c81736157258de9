import type { ExternalRef, RuntimeUsage } from "../../../engine/ports/runtime.ts";
import type { Attempts } from "./attempts.ts";
import { processesOf, readOf } from "./processes.ts";

/** USER_HZ: what Linux counts CPU time in for those who read /proc, whatever its own clock is. */
const TICKS_PER_SECOND = 100;
const BYTES_PER_KIB = 1024;

/**
 * What the processes of attempts use, from /proc; nothing where there is none. A page that several processes of an attempt
 * share counts for each of them; what a process used that nobody waited for is gone with it.
 */
export function readUsage(
  attempts: Pick<Attempts, "groupOf">,
  names: readonly ExternalRef[],
): Map<ExternalRef, RuntimeUsage> {
  const groups = names.map((name) => attempts.groupOf(name)).filter((group) => group !== undefined);
  const usages = new Map<ExternalRef, RuntimeUsage>();
  for (const [name, processes] of processesOf(groups)) {
    const sums = processes.map(({ pid }) => ({ ...memoryOf(pid), ...diskOf(pid) }));
    const total = (value: (one: (typeof sums)[number]) => number) => sums.reduce((sum, one) => sum + value(one), 0);
    usages.set(name, {
      cpuSeconds: processes.reduce((sum, { cpuTicks }) => sum + cpuTicks, 0) / TICKS_PER_SECOND,
      memoryBytes: total(({ memoryBytes }) => memoryBytes),
      memoryPeakBytes: null,
      networkReceivedBytes: null,
      networkSentBytes: null,
      diskReadBytes: total(({ readBytes }) => readBytes),
      diskWrittenBytes: total(({ writtenBytes }) => writtenBytes),
    });
  }
  return usages;
}

function memoryOf(pid: number): { memoryBytes: number } {
  return { memoryBytes: numberIn(readOf(pid, "status"), "VmRSS") * BYTES_PER_KIB };
}

/** What went to the disk itself: what the cache of files served counts for nothing. */
function diskOf(pid: number): { readBytes: number; writtenBytes: number } {
  const io = readOf(pid, "io");
  return { readBytes: numberIn(io, "read_bytes"), writtenBytes: numberIn(io, "write_bytes") };
}

function numberIn(text: string | undefined, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text ?? "")?.[1] ?? 0);
}
