import type { ExternalRef, RuntimeUsage } from "../../../engine/ports/runtime.ts";
import type { Engine } from "./client.ts";
import { engineFailure, httpStatus } from "./errors.ts";

/** Containers that the engine is asked for at once. */
const MAX_AT_ONCE = 8;

/** What is read of an answer of `GET /containers/{id}/stats`. */
export interface ContainerStats {
  cpu_stats?: { cpu_usage?: { total_usage?: number } };
  memory_stats?: { usage?: number; max_usage?: number; stats?: Record<string, number> };
  networks?: Record<string, { rx_bytes?: number; tx_bytes?: number }>;
  blkio_stats?: { io_service_bytes_recursive?: readonly { op?: string; value?: number }[] | null };
}

const NANOSECONDS = 1e9;

/**
 * A container's usage; undefined for one that does not run, of which the engine tells nothing but zeros. Memory is without
 * the cache of files that were not used lately, as `docker stats` counts it.
 */
export function usageOf({ cpu_stats, memory_stats, networks, blkio_stats }: ContainerStats): RuntimeUsage | undefined {
  const cpu = cpu_stats?.cpu_usage?.total_usage;
  const used = memory_stats?.usage;
  if (cpu === undefined || used === undefined) return undefined;
  // The first name is that of cgroup v1, the second that of v2.
  const { total_inactive_file, inactive_file } = memory_stats?.stats ?? {};
  const cache = total_inactive_file ?? inactive_file ?? 0;
  const blocks = blkio_stats?.io_service_bytes_recursive;
  const moved = (op: string) =>
    sum(
      (blocks ?? []).filter((one) => one.op?.toLowerCase() === op),
      (one) => one.value,
    );
  const cards = Object.values(networks ?? {});
  return {
    cpuSeconds: cpu / NANOSECONDS,
    memoryBytes: cache < used ? used - cache : used,
    memoryPeakBytes: memory_stats?.max_usage ?? null,
    networkReceivedBytes: sum(cards, (card) => card.rx_bytes),
    networkSentBytes: sum(cards, (card) => card.tx_bytes),
    diskReadBytes: Array.isArray(blocks) ? moved("read") : null,
    diskWrittenBytes: Array.isArray(blocks) ? moved("write") : null,
  };
}

function sum<T>(all: readonly T[], pick: (one: T) => number | undefined): number {
  return all.reduce((total, one) => total + (pick(one) ?? 0), 0);
}

/**
 * The usage of those of the containers that run, a few asked at once. What was not answered when the signal aborts is
 * left out. An engine older than API 1.41 takes a second or two for each answer.
 * @throws LongshoreError RUNTIME_UNAVAILABLE when the engine does not answer.
 */
export async function readUsage(
  engine: Engine,
  refs: readonly ExternalRef[],
  signal: AbortSignal,
): Promise<Map<ExternalRef, RuntimeUsage>> {
  const found = new Map<ExternalRef, RuntimeUsage>();
  let next = 0;
  const take = async (): Promise<void> => {
    while (next < refs.length && !signal.aborted) {
      const ref = refs[next++] as ExternalRef;
      const usage = await askUsage(engine, ref, signal);
      if (usage !== undefined) found.set(ref, usage);
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_AT_ONCE, refs.length) }, take));
  return found;
}

async function askUsage(engine: Engine, ref: ExternalRef, signal: AbortSignal): Promise<RuntimeUsage | undefined> {
  try {
    const stats = await engine.call(async (client, ending) => {
      const abortSignal = AbortSignal.any([signal, ending]);
      // Its types know of no signal here.
      const options = { stream: false, "one-shot": true, abortSignal } as { stream: false };
      return (await client.getContainer(ref).stats(options)) as ContainerStats;
    });
    return usageOf(stats);
  } catch (error) {
    // It has ended and was removed meanwhile, or whoever asked has gone.
    if (signal.aborted || httpStatus(error) === 404 || httpStatus(error) === 409) return undefined;
    throw engineFailure(error, "tell what a container uses");
  }
}
