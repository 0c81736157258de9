import { setTimeout as delay } from "node:timers/promises";
import type { Running } from "./peer.ts";

/** Submitters at once; each waits for its job to be durable before it submits the next. */
export const CLIENTS = 32;

/**
 * Between two looks at what is left. Each look costs the store some work, so not more often; on a round of a second it
 * makes an error of one percent at most, the same for everybody.
 */
const LOOK_MS = 10;
const LIMIT_MS = 120_000;

/**
 * No-op jobs a second, submit to done: jobs are submitted for a time; their number over the time from the first
 * submission until the store says that all of them are done.
 * @throws Error when they are not done after two minutes, or one failed; the signal's reason.
 */
export async function jobsPerSecond(system: Running, submitForMs: number, signal: AbortSignal): Promise<number> {
  const begin = performance.now();
  const elapsed = () => performance.now() - begin;
  let jobs = 0;
  const client = async () => {
    while (elapsed() < submitForMs) {
      signal.throwIfAborted();
      await system.submit();
      jobs++;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  while ((await system.left()) > 0) {
    if (elapsed() > LIMIT_MS) throw new Error(`${jobs} jobs were not done after ${LIMIT_MS} ms`);
    await delay(LOOK_MS, undefined, { signal });
  }
  return jobs / (elapsed() / 1000);
}
