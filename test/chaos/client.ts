import { setTimeout as delay } from "node:timers/promises";
import { type Answer, type CallOptions, call, type Target } from "../scenarios/client.ts";

const AGAIN_MS = 25;
/** Longer than any start of the home: a call that is not answered until then never will be. */
const LIMIT_MS = 60_000;
/** Answers after which the same call may go well: the home is about to stop, the queue is full. */
const LATER = [429, 503];

export interface StubbornAnswer<T> extends Answer<T> {
  /** How often the connection broke before: such a call may have been taken, and its answer lost. */
  broken: number;
}

/**
 * Calls until there is an answer, through any number of deaths of the home. What changes something must come with an
 * Idempotency-Key or be harmless to do twice.
 * @throws Error when there is none within a minute.
 */
export async function insist<T>(target: Target, path: string, options: CallOptions = {}): Promise<StubbornAnswer<T>> {
  const until = Date.now() + LIMIT_MS;
  for (let broken = 0; ; ) {
    try {
      const answer = await call<T>(target, path, options);
      if (!LATER.includes(answer.status)) return { ...answer, broken };
    } catch (error) {
      // A connection that could not be made, or broke off, also in the middle of an answer.
      if (!(error instanceof TypeError) || Date.now() > until) throw error;
      broken += 1;
    }
    if (Date.now() > until) throw new Error(`${options.method ?? "GET"} ${path} was put off for a minute`);
    await delay(AGAIN_MS);
  }
}
