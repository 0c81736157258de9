import { setTimeout as delay } from "node:timers/promises";
import type { Changes } from "../stream.ts";

/** Between two looks at a job: the first ones come soon, since most streams are of jobs that are at work. */
const FIRST_MS = 500;
const MOST_MS = 3_000;

/**
 * Where no process tells another of a change, each reader of a stream looks again: after half a second, later every
 * three. The work is the reader's and ends with it; a job without a reader costs nothing.
 */
export function createLookingChanges(): Changes {
  return {
    subscribe() {
      let pauseMs = FIRST_MS;
      return {
        async next(signal) {
          try {
            await delay(pauseMs, undefined, { signal });
          } catch (error) {
            if (!signal.aborted) throw error;
          }
          pauseMs = Math.min(MOST_MS, pauseMs * 1.5);
        },
        end: () => undefined,
      };
    },
  };
}
