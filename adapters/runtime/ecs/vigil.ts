import type { Task } from "@aws-sdk/client-ecs";
import { LongshoreError } from "../../../engine/errors.ts";
import type { ExternalRef } from "../../../engine/ports/runtime.ts";

type Done = (task: Task | undefined) => boolean;

interface Watcher {
  done: Done;
  settle: PromiseWithResolvers<Task | undefined>;
}

export interface Vigil {
  /**
   * Resolves with the task once `done` says so of it; undefined stands for one that ECS does not know.
   * @throws the signal's reason; LongshoreError RUNTIME_UNAVAILABLE when the vigil is closed.
   */
  until(ref: ExternalRef, done: Done, signal?: AbortSignal): Promise<Task | undefined>;
  /** Refuses everybody who waits, and whoever comes later. Idempotent. */
  close(): void;
}

/**
 * Looks at all tasks that somebody waits for at once, and at none while nobody does: a task costs a hundredth of a call
 * for each look, however many wait for it. ECS pushes news to EventBridge only, which reaches no process that waits.
 */
export function createVigil(
  describe: (refs: readonly ExternalRef[]) => Promise<Map<ExternalRef, Task>>,
  pollMs: number,
): Vigil {
  const watched = new Map<ExternalRef, Set<Watcher>>();
  const closed = new LongshoreError("RUNTIME_UNAVAILABLE", "ecs: the adapter was disposed of");
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let looking = false;

  function everybody(): [ExternalRef, Watcher][] {
    return [...watched].flatMap(([ref, watchers]) => [...watchers].map((one): [ExternalRef, Watcher] => [ref, one]));
  }

  function leave(ref: ExternalRef, watcher: Watcher): void {
    const watchers = watched.get(ref);
    watchers?.delete(watcher);
    if (watchers?.size === 0) watched.delete(ref);
    if (watched.size > 0) return;
    clearTimeout(timer);
    timer = undefined;
  }

  async function look(): Promise<void> {
    // Whoever comes while ECS is asked is not answered with what may be older than the question.
    const asked = everybody();
    const found = await describe([...new Set(asked.map(([ref]) => ref))]);
    for (const [ref, watcher] of asked) {
      const task = found.get(ref);
      if (watcher.done(task)) watcher.settle.resolve(task);
    }
  }

  function schedule(delayMs: number): void {
    if (isClosed || looking || timer !== undefined || watched.size === 0) return;
    timer = setTimeout(() => {
      timer = undefined;
      looking = true;
      look()
        .catch((error: unknown) => {
          // A service that cannot answer is asked again; one that refuses will always do so.
          if (error instanceof LongshoreError && error.code === "RUNTIME_UNAVAILABLE") return;
          for (const [, watcher] of everybody()) watcher.settle.reject(error);
        })
        .finally(() => {
          looking = false;
          schedule(pollMs);
        });
    }, delayMs);
  }

  return {
    async until(ref, done, signal) {
      signal?.throwIfAborted();
      if (isClosed) throw closed;
      const watcher: Watcher = { done, settle: Promise.withResolvers() };
      const abort = (): void => watcher.settle.reject(signal?.reason);
      signal?.addEventListener("abort", abort, { once: true });
      const watchers = watched.get(ref) ?? new Set();
      watched.set(ref, watchers.add(watcher));
      schedule(pollMs);
      try {
        return await watcher.settle.promise;
      } finally {
        signal?.removeEventListener("abort", abort);
        leave(ref, watcher);
      }
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      for (const [, watcher] of everybody()) watcher.settle.reject(closed);
    },
  };
}
