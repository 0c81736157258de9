import { statfs } from "node:fs/promises";
import type { EngineContext } from "../engine/context.ts";
import type { MetricName, Sample } from "../engine/metrics.ts";
import { measureLedger } from "../engine/operations/measure.ts";
import type { JobUsage, UsageReader } from "../engine/operations/usage.ts";
import type { RuntimeUsage } from "../engine/ports/runtime.ts";
import type { ApiResult } from "../functions/http.ts";
import type { HomeMetrics } from "./metrics.ts";

/** A runtime's word on how it is, is waited for no longer than this, ms. */
const HEALTH_LIMIT_MS = 2_500;

/** What is measured anew at each scrape: what cannot be measured then is not there, and not as it was. */
const MEASURED = [
  "longshore_queue_jobs",
  "longshore_queue_limit",
  "longshore_queue_oldest_seconds",
  "longshore_lane_waiting_jobs",
  "longshore_lane_running_jobs",
  "longshore_slots_in_use",
  "longshore_slots_limit",
  "longshore_circuit_state",
  "longshore_containers_measured",
  "longshore_containers_not_measured",
  "longshore_containers_memory_bytes",
  "longshore_data_free_bytes",
] as const satisfies MetricName[];

/** What of an attempt's usage only grows, and the counter that it adds to. */
const GROWING = [
  ["cpuSeconds", "longshore_containers_cpu_seconds_total"],
  ["networkReceivedBytes", "longshore_containers_network_received_bytes_total"],
  ["networkSentBytes", "longshore_containers_network_sent_bytes_total"],
  ["diskReadBytes", "longshore_containers_disk_read_bytes_total"],
  ["diskWrittenBytes", "longshore_containers_disk_written_bytes_total"],
] as const satisfies [keyof RuntimeUsage, MetricName][];

export interface ScrapeOptions {
  ctx: EngineContext;
  metrics: HomeMetrics;
  usage: UsageReader;
  /** The data directory. */
  directory: string;
  /** When this process began to count, ms since the epoch. */
  sinceMs: number;
}

/**
 * Answers a scraper: with what was counted, and what is measured now. A part that cannot be measured is left out, and a
 * gauge says which: `longshore_ledger_up`, `longshore_runtime_up`.
 */
export function createScrape({ ctx, metrics, usage, directory, sinceMs }: ScrapeOptions) {
  const growth = createGrowth(sinceMs);
  let measuring: Promise<void> | undefined;

  async function ledger(): Promise<Sample[]> {
    const samples = await measureLedger(ctx).catch(() => undefined);
    return [...(samples ?? []), { name: "longshore_ledger_up", labels: {}, value: Number(samples !== undefined) }];
  }

  async function runtimes(): Promise<Sample[]> {
    return await Promise.all(
      ctx.runtimes.all().map(async (runtime): Promise<Sample> => {
        const up = await inTime(
          runtime.health().then(({ ok }) => ok),
          HEALTH_LIMIT_MS,
        );
        return { name: "longshore_runtime_up", labels: { runtime: runtime.name }, value: Number(up ?? false) };
      }),
    );
  }

  async function containers(): Promise<Sample[]> {
    // Without the ledger nobody knows what runs; its own gauge says so.
    const report = await usage().catch(() => undefined);
    if (report === undefined) return [];
    const measured = report.items.filter((item): item is Measured => item.usage !== null);
    const missing = report.items.length - measured.length + report.leftOut;
    const told: Sample[] = [{ name: "longshore_containers_not_measured", labels: {}, value: missing }];
    for (const { name } of ctx.runtimes.all().filter((runtime) => runtime.usage !== undefined)) {
      // Where the runtime did not answer, 0 would be a lie.
      if (report.failures.some(({ runtime }) => runtime === name)) continue;
      const labels = { runtime: name };
      const own = measured.filter(({ runtime }) => runtime === name);
      const memory = own.reduce((sum, item) => sum + item.usage.memoryBytes, 0);
      told.push({ name: "longshore_containers_measured", labels, value: own.length });
      told.push({ name: "longshore_containers_memory_bytes", labels, value: memory });
    }
    return [...told, ...growth(measured)];
  }

  async function disk(): Promise<Sample[]> {
    const stats = await statfs(directory).catch(() => undefined);
    if (stats === undefined) return [];
    return [{ name: "longshore_data_free_bytes", labels: {}, value: stats.bavail * stats.bsize }];
  }

  async function measure(): Promise<void> {
    const parts = await Promise.all([ledger(), runtimes(), containers(), disk()]);
    metrics.reset(...MEASURED);
    for (const sample of parts.flat()) metrics.add(sample);
  }

  return async (accept: string | undefined): Promise<ApiResult> => {
    // Several scrapers at a time share one look.
    measuring ??= measure().finally(() => {
      measuring = undefined;
    });
    await measuring;
    const { contentType, body } = await metrics.text(accept);
    return { statusCode: 200, headers: { "Content-Type": contentType, "Cache-Control": "no-store" }, body };
  };
}

type Measured = JobUsage & { usage: RuntimeUsage };

/**
 * By how much the usage of attempts has grown since they were seen last. Of one that was started before this process all
 * that it had used by the first look is left out: the process before may have counted it.
 */
function createGrowth(sinceMs: number): (measured: readonly Measured[]) => Sample[] {
  let before = new Map<string, RuntimeUsage>();
  return (measured) => {
    const now = new Map<string, RuntimeUsage>();
    const told = measured.flatMap(({ jobId, attempt, runtime, startedAt, usage }): Sample[] => {
      const id = `${jobId}#${attempt}`;
      now.set(id, usage);
      const last = before.get(id);
      if (last === undefined && Date.parse(startedAt ?? "") < sinceMs) return [];
      return GROWING.flatMap(([of, name]): Sample[] => {
        // Processes that went away may take what they had used with them: a counter never falls.
        const grown = Math.max(0, (usage[of] ?? 0) - (last?.[of] ?? 0));
        return usage[of] === null ? [] : [{ name, labels: { runtime }, value: grown }];
      });
    });
    before = now;
    return told;
  };
}

/** What is known in time; undefined for what is late or fails. */
async function inTime<T>(answer: Promise<T>, limitMs: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), limitMs);
  try {
    return await Promise.race([answer, late.promise]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
