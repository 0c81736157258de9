import type { JobId } from "./ids.ts";
import type { HomeRecord } from "./ledger/home.ts";
import type { Ledger } from "./ledger/ledger.ts";
import type { HealthCheck } from "./operations/health.ts";
import type { Clock } from "./ports/clock.ts";
import type { Logger } from "./ports/logger.ts";
import type { Objects } from "./ports/objects.ts";
import type { Orchestrator } from "./ports/orchestrator.ts";
import type { ExternalRef, LaunchReport, RuntimeAdapter } from "./ports/runtime.ts";
import type { Sealer } from "./ports/sealer.ts";
import type { SecretSource } from "./ports/secrets.ts";
import type { Retention } from "./retention.ts";

/** The runtimes of this home. */
export interface Runtimes {
  /** Every one that can be named, in order of preference. */
  all(): RuntimeAdapter[];
  /** @throws LongshoreError RUNTIME_UNAVAILABLE when this home has no such runtime (any more). */
  get(name: string): RuntimeAdapter;
  /** What routing may choose from now, in order of preference. */
  offered(): RuntimeAdapter[];
}

/** What is going on in this process for one attempt; a hint for speed, never the truth. */
export interface Inflight {
  /** Registers a launch; aborted by `abort` or when the process shuts down. */
  begin(jobId: JobId, attempt: number): { signal: AbortSignal; end(): void };
  /** Aborts the launch of a job in this process; false when there is none. */
  abort(jobId: JobId, reason: unknown): boolean;
  /**
   * Launches go on in several processes, each of which hears by itself of a cancel of its own: one that is not in this
   * process may be alive in another. Default false: it was lost.
   */
  hearsOfCancels?: boolean;
  /** Whether this process is at a launch of the job. */
  isLaunching(jobId: JobId): boolean;
  /** The latest progress of a pull, shown to whoever looks. */
  progress(jobId: JobId, report: LaunchReport | null): void;
}

/** Everything that the operations work with: the ports, filled in by a home. */
export interface EngineContext {
  home: HomeRecord;
  ledger: Ledger;
  objects: Objects;
  sealer: Sealer;
  /** By scheme. */
  secrets: ReadonlyMap<string, SecretSource>;
  orchestrator: Orchestrator;
  runtimes: Runtimes;
  inflight: Inflight;
  /**
   * Called when an attempt is known to run, maybe more than once: the home sees to it that `observeExit` is called
   * when it ends and `stopAttempt` when its deadline passes.
   */
  watch(attempt: {
    jobId: JobId;
    attempt: number;
    runtime: string;
    externalRef: ExternalRef;
    deadlineAt: string;
  }): void;
  /**
   * Runs slow work that nobody waits for, one of a name at a time: what is asked for again meanwhile is left out. A home
   * that may freeze after its answer waits for it itself.
   */
  background(name: string, work: () => Promise<void>): void;
  /**
   * How long a launch's progress may wait for what comes next, to share its commit, ms: where a commit is dear and most
   * starts are quick. Default: until the next turn of the event loop.
   */
  progressDelayMs?: number;
  /** How long finished runs are kept; default: until somebody erases them. */
  retention?: Retention;
  /** What the home can check of itself beside its table and its runtimes. Default nothing. */
  checks?: readonly (() => Promise<HealthCheck>)[];
  clock: Clock;
  /** 0 ≤ x < 1. */
  random(): number;
  logger: Logger;
}
