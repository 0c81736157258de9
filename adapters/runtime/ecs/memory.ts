import type { Clock } from "../../../engine/ports/clock.ts";
import type { ExternalRef } from "../../../engine/ports/runtime.ts";

/** As many as ECS could have shown in the meantime on a busy cluster; the oldest go first. */
const MAX_REMEMBERED = 10_000;

/**
 * What this process knows that ECS does not show: an API call may not be seen by the next one for a while, and an ended
 * task is shown for an hour after whatever was left of it is gone. A hint: another process does without it.
 */
export interface Memory {
  /** A task was started, or found, under the name. */
  named(externalName: string, ref: ExternalRef): void;
  refOf(externalName: string): ExternalRef | undefined;
  /** ECS has just made the task, and may not show it yet. */
  isFresh(ref: ExternalRef): boolean;
  made(ref: ExternalRef): void;
  /** Nobody knows whether a task was started under the name. */
  doubted(externalName: string): void;
  /** When it was doubted last, if that was so lately that ECS may not show the task yet; ms since the epoch. */
  doubtfulUntil(externalName: string): number | undefined;
  /** Nothing is left of the task but ECS's own record. */
  cleaned(ref: ExternalRef): void;
  isCleaned(ref: ExternalRef): boolean;
}

/** @param options.consistencyMs how long ECS may not show yet what it has done. */
export function createMemory({ clock, consistencyMs }: { clock: Clock; consistencyMs: number }): Memory {
  const refs = new Map<string, ExternalRef>();
  const madeAt = new Map<ExternalRef, number>();
  const doubtedAt = new Map<string, number>();
  const gone = new Map<ExternalRef, true>();

  function put<V>(map: Map<string, V>, key: string, value: V): void {
    map.delete(key);
    map.set(key, value);
    const [oldest] = map.keys();
    if (map.size > MAX_REMEMBERED && oldest !== undefined) map.delete(oldest);
  }

  return {
    named(externalName, ref) {
      put(refs, externalName, ref);
      doubtedAt.delete(externalName);
    },
    refOf: (externalName) => refs.get(externalName),
    made: (ref) => put(madeAt, ref, clock()),
    isFresh: (ref) => clock() - (madeAt.get(ref) ?? Number.NEGATIVE_INFINITY) < consistencyMs,
    doubted: (externalName) => put(doubtedAt, externalName, clock()),
    doubtfulUntil(externalName) {
      const at = doubtedAt.get(externalName);
      return at === undefined || clock() - at >= consistencyMs ? undefined : at + consistencyMs;
    },
    cleaned: (ref) => put(gone, ref, true),
    isCleaned: (ref) => gone.has(ref),
  };
}
