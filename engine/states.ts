/** A job's statuses, in the order of its life. Where a job stands inside one is its phase. */
export const STATUSES = ["PENDING", "RUNNING", "RETRYING", "SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"] as const;
export type Status = (typeof STATUSES)[number];

/** Where inside its status a job stands; null at rest. */
export const PHASES = ["queued", "validating", "pulling", "creating", "running", "collecting", "cleaning"] as const;
export type Phase = (typeof PHASES)[number];

export const TERMINAL_STATUSES = ["SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"] as const;
export type TerminalStatus = (typeof TERMINAL_STATUSES)[number];

/** A terminal job never changes its status again. */
export function isTerminal(status: Status): status is TerminalStatus {
  return (TERMINAL_STATUSES as readonly Status[]).includes(status);
}

/** `POST /jobs/{id}/retry` makes a new job from one that ended in one of these. */
export function isRetryableByHand(status: Status): boolean {
  return status === "FAILED" || status === "TIMED_OUT" || status === "CANCELLED";
}

/**
 * Whether a job that ended so has failed for good and leaves a dead letter. One that ran out of time has: nobody wanted
 * that end. One that was cancelled has not: somebody did.
 */
export function isDeadLettered(status: TerminalStatus): boolean {
  return status === "FAILED" || status === "TIMED_OUT";
}

/** Where a phase stands in an attempt; a phase never goes back within one execution of it. */
export function phaseOrder(phase: Phase | null): number {
  return phase === null ? -1 : PHASES.indexOf(phase);
}

/** Every type an event can have, as api.md names them. */
export const EVENT_TYPES = [
  "SUBMITTED",
  "ADMITTED",
  "VALIDATED",
  "IMAGE_PULLING",
  "CONTAINER_CREATING",
  "STARTED",
  "EXITED",
  "LOGS_COLLECTED",
  "ARTIFACT_READY",
  "COST_RECORDED",
  "RETRY_SCHEDULED",
  "CANCEL_REQUESTED",
  "SUCCEEDED",
  "FAILED",
  "TIMED_OUT",
  "CANCELLED",
  "DEAD_LETTERED",
  "RECONCILED",
  "ORPHAN_DETECTED",
  "CLEANED_UP",
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** Events after which a slot is free. */
export const FREEING: ReadonlySet<EventType> = new Set([...TERMINAL_STATUSES, "RETRY_SCHEDULED"]);

/** The events that the lifecycle is driven by; a feed may leave out all others, but never an accepted batch. */
export const DRIVING: ReadonlySet<EventType> = new Set(["SUBMITTED", "CANCEL_REQUESTED", "RECONCILED", ...FREEING]);

/** Closes a switch over a union: a missing case is a type error, an impossible value an exception. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${String(value)}`);
}
