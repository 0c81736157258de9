import type { Random } from "./random.ts";

/** One end of the home: the signal, and the moment. */
export interface Blow {
  signal: "SIGKILL" | "SIGTERM";
  /**
   * `start`: so many ms after its process was started, whether it answers yet or not. `up`: after it answered.
   * `event`: after some job was seen to come to `type`.
   */
  at: { kind: "start" | "up"; ms: number } | { kind: "event"; type: string; ms: number };
}

/** The moments of a job's life that are short: by chance alone they would hardly be met. */
const AIMS = [
  "SUBMITTED",
  "ADMITTED",
  "VALIDATED",
  "CONTAINER_CREATING",
  "STARTED",
  "EXITED",
  "LOGS_COLLECTED",
  "RETRY_SCHEDULED",
  "CANCEL_REQUESTED",
  "SUCCEEDED",
  "FAILED",
] as const;

const SHARE_AT_START = 0.2;
const SHARE_AIMED = 0.45;
/** A stop that the home is asked for; only once it answers, since before that Node itself ends at it. */
const SHARE_ASKED = 0.12;
const START_MS = 1200;
const AIM_MS = 20;
/** Short lives are as likely as long ones: what a home does first is to take up what the last one left. */
const LIVES_MS = [50, 500, 1500, 3000];

/**
 * When and how the home is ended, spread over its start, the phases of jobs, and chance.
 * @param pace stretches the lives of the home: more on a runtime that starts jobs slowly.
 */
export function createBlows(count: number, random: Random, pace = 1): Blow[] {
  let aims = 0;
  return Array.from({ length: count }, () => {
    const dice = random.next();
    if (dice < SHARE_AT_START) return { signal: "SIGKILL", at: { kind: "start", ms: random.int(0, START_MS) } };
    const signal = random.chance(SHARE_ASKED) ? "SIGTERM" : "SIGKILL";
    if (dice < SHARE_AT_START + SHARE_AIMED) {
      const type = AIMS[aims++ % AIMS.length] as string;
      return { signal, at: { kind: "event", type, ms: random.int(0, AIM_MS) } };
    }
    return { signal, at: { kind: "up", ms: random.int(0, random.pick(LIVES_MS) * pace) } };
  });
}
