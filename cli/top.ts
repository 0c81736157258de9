import ms from "ms";
import type { JobUsage, Usage } from "../sdk/types.ts";
import { table } from "./table.ts";

export const SORTS = ["cpu", "mem", "age"] as const;
export type Sort = (typeof SORTS)[number];

/** A running job with the share of a CPU that it used between two looks, percent; null while that is not known. */
export type TopItem = JobUsage & { cpuPercent: number | null };

/** The jobs of a look, the largest first, or the oldest. @param options.before the look before, if there was one. */
export function topOf(usage: Usage, { before, sort }: { before?: Usage | undefined; sort: Sort }): TopItem[] {
  const atMs = Date.parse(usage.at);
  const earlier = new Map(before?.items.map((item) => [idOf(item), item.usage]));
  const secondsApart = before === undefined ? 0 : (atMs - Date.parse(before.at)) / 1000;
  const items = usage.items.map((item): TopItem => {
    const used = item.usage?.cpuSeconds;
    const startedMs = Date.parse(item.startedAt ?? "");
    // One that was not there before has used all of it since its start.
    const from = earlier.has(idOf(item)) ? earlier.get(idOf(item))?.cpuSeconds : 0;
    const seconds = earlier.has(idOf(item)) ? secondsApart : (atMs - startedMs) / 1000;
    const isKnown = used !== undefined && from !== undefined && seconds > 0 && before !== undefined;
    return { ...item, cpuPercent: isKnown ? (Math.max(0, used - from) / seconds) * 100 : null };
  });
  return items.sort((a, b) => compare(a, b, sort) || a.jobId.localeCompare(b.jobId));
}

/** A job's next attempt is another container. */
function idOf({ jobId, attempt }: JobUsage): string {
  return `${jobId}#${attempt}`;
}

function compare(a: TopItem, b: TopItem, sort: Sort): number {
  if (sort === "cpu") return (b.cpuPercent ?? -1) - (a.cpuPercent ?? -1);
  if (sort === "mem") return (b.usage?.memoryBytes ?? -1) - (a.usage?.memoryBytes ?? -1);
  return startMs(a) - startMs(b);
}

/** One of which it is not known counts as the youngest. */
function startMs({ startedAt }: JobUsage): number {
  return startedAt === null ? Number.MAX_SAFE_INTEGER : Date.parse(startedAt);
}

/** The jobs as a table; what is not known is a dash. */
export function topTable(items: readonly TopItem[], nowMs: number): string {
  const rows = items.map(({ name, jobId, runtime, startedAt, cpuPercent, usage }) => [
    name,
    jobId,
    runtime,
    startedAt === null ? "-" : ms(Math.max(0, nowMs - Date.parse(startedAt))),
    cpuPercent === null ? "-" : `${cpuPercent.toFixed(1)}%`,
    bytes(usage?.memoryBytes),
    `${bytes(usage?.networkReceivedBytes)} / ${bytes(usage?.networkSentBytes)}`,
    `${bytes(usage?.diskReadBytes)} / ${bytes(usage?.diskWrittenBytes)}`,
  ]);
  return table(rows, ["NAME", "JOB", "RUNTIME", "AGE", "CPU", "MEMORY", "NET IN / OUT", "DISK READ / WRITTEN"]);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** A number of bytes with one decimal in the largest unit of which it has one; `-` for one that is not known. */
export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return "-";
  const at = n < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(n) / 10));
  return at === 0 ? `${n} B` : `${(n / 1024 ** at).toFixed(1)} ${UNITS[at]}`;
}
