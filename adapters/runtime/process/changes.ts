import { type FSWatcher, watch } from "node:fs";

/** How often those are looked at whose supervisor's death nobody would tell. */
const SWEEP_MS = 2_000;

/** Tells that something about an attempt may have changed; whoever hears it looks for himself. */
export interface Changes {
  /**
   * Calls `notify` after every change of the files in `path` and of `name`'s fate, until the function that it gives
   * is called. A path that is not there (any more) is a change at once.
   */
  subscribe(name: string, path: string, notify: () => void): () => void;
  /** Something happened to the attempt that no file tells: its supervisor, our own child, has ended. */
  tell(name: string): void;
  /** A child of this process supervises the attempt, so its death will be told. */
  adoptChild(name: string): void;
  dispose(): void;
}

/**
 * Changes are pushed: by inotify for the files, by the end of the child for a supervisor of our own. What a
 * Longshore before this one started has no such messenger for the death of its supervisor, nor has anybody when the
 * system is out of watches: for those alone, one timer for all has their subscribers look again.
 */
export function createChanges(): Changes {
  const subscribers = new Map<string, Set<() => void>>();
  const unpushed = new Set<() => void>();
  const watchers = new Set<FSWatcher>();
  const children = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  function sweepFor(notify: () => void): void {
    unpushed.add(notify);
    timer ??= setInterval(() => {
      for (const one of [...unpushed]) one();
    }, SWEEP_MS);
  }

  function forget(notify: () => void): void {
    unpushed.delete(notify);
    if (unpushed.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    subscribe(name, path, notify) {
      const own = subscribers.get(name) ?? new Set();
      subscribers.set(name, own.add(notify));
      if (!children.has(name)) sweepFor(notify);
      let watcher: FSWatcher | undefined;
      try {
        watcher = watch(path, notify);
        watcher.on("error", () => sweepFor(notify));
        watchers.add(watcher);
      } catch {
        // Not there: the look that follows finds out. No watch to be had: the timer stands in.
        sweepFor(notify);
        queueMicrotask(notify);
      }
      return () => {
        own.delete(notify);
        if (own.size === 0 && subscribers.get(name) === own) subscribers.delete(name);
        forget(notify);
        watcher?.close();
        if (watcher !== undefined) watchers.delete(watcher);
      };
    },
    tell(name) {
      children.delete(name);
      for (const notify of [...(subscribers.get(name) ?? [])]) notify();
    },
    adoptChild(name) {
      children.add(name);
    },
    dispose() {
      clearInterval(timer);
      for (const watcher of watchers) watcher.close();
      const all = [...subscribers.values()].flatMap((own) => [...own]);
      for (const notify of all) notify();
    },
  };
}
