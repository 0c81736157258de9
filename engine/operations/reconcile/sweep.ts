import type { EngineContext } from "../../context.ts";
import { LongshoreError } from "../../errors.ts";
import { type Lease, LeaseLostError } from "../../ledger/lease.ts";
import type { Correction } from "../../ledger/recount.ts";
import type { RuntimeLook } from "./look.ts";

export interface ReconcileOptions {
  /** Ms since the epoch. A job that Longshore touched at or after this time is left to whoever is at it. */
  touchedBefore: number;
  /** Ms since the epoch: what is not done by then is left to the next sweep, which goes on there. Default: no end. */
  until?: number;
  /**
   * How many of the jobs that a runtime shows running before their deadline are looked at closer, each at its turn in the
   * ledger and at its execution: `all`, the default, or a `few` of them by chance, where each such question has its price
   * and executions do not go with a process. See `isSeenWell`.
   */
  closely?: "all" | "few";
  /**
   * Whether the counters are counted again: when it is time to (`due`, the default), in any case (`now`), or not at all
   * (`never`), for a table whose indexes may lag for longer than a look takes: two looks would be wrong in the same way.
   */
  recount?: "due" | "now" | "never";
}

export interface ReconcileReport {
  looked: number;
  /** All active jobs, when this sweep ended a round in which each was looked at; else null. */
  active: number | null;
  repaired: number;
  /** Attempts that their runtimes did not know any more; they count as repaired too. */
  lost: number;
  orphans: number;
  /** Runs that were older than they are kept, or more than are kept. */
  erased: number;
  /** Counters that did not say what the jobs say, and do since. */
  corrected: Correction[];
  /** How much could not be repaired this time; it will be tried again. */
  failed: number;
  /** What went wrong, for the first of them. */
  failures: string[];
  /** Why it stopped before its end: somebody else sweeps, or its time was over. Null: the round is at its end. */
  stopped: "lease" | "time" | null;
}

/** One sweep: what its parts share. */
export interface Sweep {
  ctx: EngineContext;
  options: ReconcileOptions;
  report: ReconcileReport;
  lease: Lease;
  /** What each runtime told of what runs there, by its name. */
  looks: ReadonlyMap<string, RuntimeLook>;
}

/** How long one question to a runtime is waited for, ms. Less than what is left of a lease that is about to be renewed. */
const STEP_LIMIT_MS = 20_000;
/** Repairs of one runtime's jobs at once. */
const MAX_AT_ONCE = 8;
const MAX_FAILURES_TOLD = 20;

/** The sweep must not go on: not an error of the job that it was at. */
export class SweepStopped extends Error {
  override name = "SweepStopped";
  readonly why: "lease" | "time";
  constructor(why: "lease" | "time") {
    super(why === "lease" ? "another instance sweeps" : "the time of the sweep is over");
    this.why = why;
  }
}

/**
 * To be called before every step. @throws SweepStopped when the sweep has lost its lease or its time is over.
 */
export async function goOn({ ctx, options, lease }: Pick<Sweep, "ctx" | "options" | "lease">): Promise<void> {
  if (options.until !== undefined && ctx.clock() >= options.until) throw new SweepStopped("time");
  await asOwner(() => lease.hold());
}

/** Does what only the owner of the lease may do. @throws SweepStopped when that is somebody else. */
export async function asOwner(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw error instanceof LeaseLostError ? new SweepStopped("lease") : error;
  }
}

/** One step; its failure is told and does not keep the sweep from the others. False: it failed. */
export async function step(sweep: Sweep, what: string, work: () => Promise<void>): Promise<boolean> {
  await goOn(sweep);
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof SweepStopped) throw error;
    fail(sweep.report, what, error);
    return false;
  }
}

/** Counts a failure and tells of the first ones. */
export function fail(report: ReconcileReport, what: string, error: unknown): void {
  report.failed++;
  if (report.failures.length === MAX_FAILURES_TOLD) return;
  report.failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
}

/** Does the work on each, a few at once. What one throws stops the rest, and is thrown when those begun have ended. */
export async function each<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  let next = 0;
  let stopped = false;
  const take = async () => {
    while (!stopped && next < all.length) {
      try {
        await work(all[next++] as T);
      } catch (error) {
        stopped = true;
        throw error;
      }
    }
  };
  const workers = Array.from({ length: Math.min(MAX_AT_ONCE, all.length) }, take);
  const failed = (await Promise.allSettled(workers)).find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/**
 * Asks a runtime for something and waits for a bounded time: a runtime that takes calls and never answers must not hold
 * up the sweep. What is late goes on in the background, and is not begun again meanwhile. After the first late answer
 * nothing more is asked of that runtime in this sweep.
 * @throws LongshoreError RUNTIME_UNAVAILABLE when it is late; what the work throws.
 */
export async function ask(
  sweep: Sweep,
  { runtime, what }: { runtime: string; what: string },
  work: () => Promise<void>,
): Promise<void> {
  const look = sweep.looks.get(runtime);
  if (look?.silent) throw late(runtime);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  sweep.ctx.background(`reconcile ${what}`, () => work().then(resolve, reject));
  try {
    await inTime(promise, runtime);
  } catch (error) {
    if (isLate(error) && look !== undefined) look.silent = true;
    throw error;
  }
}

const LATE = "LATE";

function late(runtime: string): LongshoreError {
  const message = `${runtime} did not answer within ${STEP_LIMIT_MS / 1000} s`;
  return new LongshoreError("RUNTIME_UNAVAILABLE", message, { providerCode: LATE });
}

/** The answer, if it comes in time. @throws LongshoreError as `ask`; what the answer throws. */
export async function inTime<T>(answer: Promise<T>, runtime: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late(runtime)), STEP_LIMIT_MS);
  });
  try {
    return await Promise.race([answer, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether an answer did not come in time. */
export function isLate(error: unknown): boolean {
  return error instanceof LongshoreError && error.providerCode === LATE;
}
