import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import { readActive } from "../ledger/read.ts";
import type { JobRecord } from "../ledger/records.ts";
import { stageOf } from "../occurrences.ts";
import type { ExternalRef, RuntimeAdapter, RuntimeUsage } from "../ports/runtime.ts";

/** One running attempt and what it uses. */
export interface JobUsage {
  jobId: string;
  name: string;
  status: JobRecord["status"];
  phase: JobRecord["phase"];
  runtime: string;
  attempt: number;
  lane: string;
  /** Of the attempt. */
  startedAt: string | null;
  /** Null where the runtime did not tell. */
  usage: RuntimeUsage | null;
}

export interface UsageReport {
  /** When the runtimes were asked, RFC 3339. */
  at: string;
  items: JobUsage[];
  /** Running attempts above the bound, which no runtime was asked for and which are not listed. */
  leftOut: number;
  /** The runtimes that could not be asked, and what they said in place of an answer. */
  failures: { runtime: string; message: string }[];
}

/** Attempts that are looked at in one look: those that were submitted last. */
export const MAX_USAGES = 200;
/** A look is waited for no longer: what is not known by then is left out. */
const LIMIT_MS = 3_000;
/** Who asks within this gets the same answer, so that many who look cost no more than one. */
const FRESH_MS = 1_000;
/** An adapter that heeds the signal gives what it knows by then within this. */
const GRACE_MS = 200;

/**
 * What the running attempts use. Made to be asked by people and scrapers: one look at a time, kept for a second, a
 * bounded number of attempts, and a bounded time.
 */
export function createUsageReader(ctx: Pick<EngineContext, "ledger" | "runtimes" | "clock">) {
  let latest: { atMs: number; report: Promise<UsageReport>; isOver: boolean } | undefined;
  return async (): Promise<UsageReport> => {
    const atMs = ctx.clock();
    if (latest !== undefined && (!latest.isOver || (atMs - latest.atMs < FRESH_MS && atMs >= latest.atMs))) {
      return await latest.report;
    }
    const next = { atMs, report: look(ctx, atMs), isOver: false };
    latest = next;
    try {
      return await next.report;
    } catch (error) {
      // A look that failed is not kept.
      if (latest === next) latest = undefined;
      throw error;
    } finally {
      next.isOver = true;
    }
  };
}

export type UsageReader = ReturnType<typeof createUsageReader>;

async function look(
  { ledger, runtimes }: Pick<EngineContext, "ledger" | "runtimes">,
  atMs: number,
): Promise<UsageReport> {
  const running: JobRecord[] = [];
  for await (const page of readActive(ledger)) running.push(...page.filter((job) => stageOf(job) === "running"));
  const looked = running.toReversed().slice(0, MAX_USAGES);
  const failures: UsageReport["failures"] = [];
  const signal = AbortSignal.timeout(LIMIT_MS);
  const usages = new Map<string, RuntimeUsage>();
  const ask = async (name: string, jobs: JobRecord[]) => {
    try {
      const told = await usageOf(runtimes.get(name), refsOf(jobs), signal);
      for (const job of jobs) {
        const usage = told.get(job.externalRef ?? "");
        if (usage !== undefined) usages.set(job.jobId, usage);
      }
    } catch (error) {
      failures.push({ runtime: name, message: messageOf(error) });
    }
  };
  await Promise.all([...Map.groupBy(looked, ({ runtime }) => runtime)].map(([name, jobs]) => ask(name, jobs)));
  return {
    at: new Date(atMs).toISOString(),
    items: looked.map((job) => ({ ...described(job), usage: usages.get(job.jobId) ?? null })),
    leftOut: running.length - looked.length,
    failures,
  };
}

function described({ jobId, name, status, phase, runtime, attempt, lane, startedAt, underWay }: JobRecord) {
  // A job was started when its first attempt was.
  return { jobId, name, status, phase, runtime, attempt, lane, startedAt: underWay?.startedAt ?? startedAt };
}

function refsOf(jobs: JobRecord[]): ExternalRef[] {
  return jobs.map(({ externalRef }) => externalRef).filter((ref) => ref !== null);
}

/** A runtime that takes the question and never answers is not waited for beyond the signal. */
async function usageOf(
  runtime: RuntimeAdapter,
  refs: readonly ExternalRef[],
  signal: AbortSignal,
): Promise<Map<ExternalRef, RuntimeUsage>> {
  if (runtime.usage === undefined || refs.length === 0) return new Map();
  const late = Promise.withResolvers<never>();
  const onAbort = () =>
    late.reject(
      new LongshoreError("RUNTIME_UNAVAILABLE", `${runtime.name} did not tell what its jobs use within ${LIMIT_MS} ms`),
    );
  const afterwards = () => setTimeout(onAbort, GRACE_MS).unref();
  signal.addEventListener("abort", afterwards, { once: true });
  try {
    return await Promise.race([runtime.usage(refs, signal), late.promise]);
  } finally {
    signal.removeEventListener("abort", afterwards);
  }
}

/** Not the text of what nobody foresaw: it may hold a path of the server. */
function messageOf(error: unknown): string {
  return error instanceof LongshoreError ? error.message : "the runtime cannot be asked";
}
