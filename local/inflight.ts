import { SHUTDOWN } from "../engine/abort.ts";
import type { Inflight } from "../engine/context.ts";
import type { JobId } from "../engine/ids.ts";

export interface LocalInflight extends Inflight {
  /** The latest progress of a job's pull, as a stream tells it; null when there is none. */
  progressOf(jobId: JobId): object | null;
  /** Calls `wake` when a job's progress has changed; returns the function that ends it. */
  onProgress(jobId: JobId, wake: () => void): () => void;
  /** Aborts every launch of this process: nothing is undone, the next start goes on with them. */
  shutDown(): void;
}

/** What is going on in this process: the launches, so that a cancel reaches them at once, and the progress of pulls. */
export function createInflight(): LocalInflight {
  const launches = new Map<JobId, AbortController>();
  const progress = new Map<JobId, object>();
  const watchers = new Map<JobId, Set<() => void>>();
  let isShutDown = false;
  return {
    begin(jobId) {
      const controller = new AbortController();
      launches.set(jobId, controller);
      if (isShutDown) controller.abort(SHUTDOWN);
      const end = () => {
        if (launches.get(jobId) === controller) launches.delete(jobId);
      };
      return { signal: controller.signal, end };
    },
    abort(jobId, reason) {
      const launch = launches.get(jobId);
      launch?.abort(reason);
      return launch !== undefined;
    },
    isLaunching: (jobId) => launches.has(jobId),
    progress(jobId, report) {
      if (report === null) progress.delete(jobId);
      else progress.set(jobId, { phase: report.phase, progress: report.progress });
      for (const wake of watchers.get(jobId) ?? []) wake();
    },
    progressOf: (jobId) => progress.get(jobId) ?? null,
    onProgress(jobId, wake) {
      // An own function: the same one given twice is two watchers.
      const watcher = () => wake();
      const ofJob = watchers.get(jobId) ?? new Set();
      watchers.set(jobId, ofJob.add(watcher));
      return () => {
        ofJob.delete(watcher);
        if (ofJob.size === 0 && watchers.get(jobId) === ofJob) watchers.delete(jobId);
      };
    },
    shutDown() {
      isShutDown = true;
      for (const launch of launches.values()) launch.abort(SHUTDOWN);
    },
  };
}
