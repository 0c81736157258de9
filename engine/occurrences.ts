import type { ArtifactRecord, ArtifactSummary } from "./artifacts/record.ts";
import type { Cost } from "./cost.ts";
import type { AttemptExit, AttemptRecord, JobRecord, LogTail, StopReason } from "./ledger/records.ts";
import type { Outcome } from "./outcome.ts";
import { assertNever, isTerminal, type Phase } from "./states.ts";

/** Something that happened to a job, as `decide` takes it. All but CANCEL and ORPHAN speak of the current attempt. */
export type Occurrence =
  /** A slot was got for the attempt. */
  | { type: "ADMIT"; attempt: number; slotShard: number }
  /** An execution began to run the attempt and waits for this token. `masked`: values to mask are stored with it. */
  | { type: "DISPATCH"; attempt: number; token: string; externalName: string; logBase: number; masked?: boolean }
  /** The runtime fetches the image. */
  | { type: "PULL"; attempt: number; data: Record<string, unknown> }
  /** The runtime makes the container or the process. */
  | { type: "CREATE"; attempt: number; data: Record<string, unknown> }
  /** The command was started. */
  | { type: "START"; attempt: number; externalRef: string; startedAt: string }
  /** Longshore decided to stop the attempt. */
  | { type: "STOP"; attempt: number; reason: StopReason }
  /** The attempt has ended, or never began. `startedAt` and `externalRef` when the runtime knows better than we did. */
  | { type: "EXIT"; attempt: number; exit: AttemptExit; startedAt: string | null; externalRef: string | null }
  /** Files that the attempt left are stored. */
  | { type: "KEEP"; attempt: number; artifacts: readonly ArtifactRecord[] }
  /** What the attempt left is collected and it is judged. A retry comes with its delay. */
  | {
      type: "FINISH";
      attempt: number;
      outcome: Outcome;
      logs: { lines: number; bytes: number; truncated: boolean };
      logTail?: LogTail;
      /** Where the spec asks for files. */
      artifacts?: ArtifactSummary;
      cost: Cost;
      retry: { delaySeconds: number } | null;
    }
  /** The attempt's resource is gone. */
  | { type: "CLEAN"; attempt: number }
  /** The delay before the next attempt is over. `queueShard`: where it counts while it waits. */
  | { type: "REQUEUE"; attempt: number; queueShard: number }
  /**
   * The runtime did not answer, and nothing of the attempt was started: back to the queue with the same attempt. Of the
   * generation that was launched. `refused`: the runtime answers others, so that it may be the job that it does not take.
   * `unstarted`: what the runtime had made for it and ended.
   */
  | {
      type: "DEFER";
      attempt: number;
      generation: number;
      queueShard: number;
      reason: string;
      refused: boolean;
      unstarted?: string | undefined;
    }
  /** The execution of the attempt and this generation was lost and must be started again. */
  | { type: "RELAUNCH"; attempt: number; generation: number; reason: string }
  /** A resource was found that carries the job's label and that no attempt owns: it will be removed. */
  | { type: "ORPHAN"; attempt: number; externalName: string; externalRef: string }
  /** Somebody asked to cancel the job. */
  | { type: "CANCEL"; by: string };

export type OccurrenceType = Occurrence["type"];

/** Whether a job was asked to end, or Longshore decided that its attempt is to be stopped. */
export function isToEnd({ job, attempt }: { job: JobRecord; attempt: AttemptRecord | null }): boolean {
  return job.cancelRequestedAt !== null || attempt?.stop != null;
}

/** Where a job stands, as far as the legality of an occurrence goes. */
export type Stage =
  | "queued"
  | "admitted"
  | "validating"
  | "pulling"
  | "creating"
  | "running"
  | "collecting"
  | "retrying"
  | "terminal";

export function stageOf(job: JobRecord): Stage {
  switch (job.status) {
    case "PENDING":
      return job.slotShard === null ? "queued" : "admitted";
    case "RUNNING":
      return runningStage(job.phase);
    case "RETRYING":
      return "retrying";
    default:
      if (!isTerminal(job.status)) return assertNever(job.status);
      return "terminal";
  }
}

function runningStage(phase: Phase | null): Stage {
  switch (phase) {
    case "validating":
    case "pulling":
    case "creating":
    case "running":
    case "collecting":
      return phase;
    default:
      throw new Error(`a RUNNING job cannot be in phase ${phase}`);
  }
}

/**
 * `apply`: it changes the job. `ignore`: it is late, doubled or out of order, and changes nothing.
 * `refuse`: it must not happen; the caller is told.
 */
export type Legality = "apply" | "ignore" | "refuse";

/** Every occurrence at every stage. Deliveries are at-least-once and unordered, so most of what does not apply is ignored. */
export const TRANSITIONS: Readonly<Record<Stage, Readonly<Record<OccurrenceType, Legality>>>> = {
  queued: row({
    ADMIT: "apply",
    CANCEL: "apply",
    REQUEUE: "ignore",
    DEFER: "ignore",
    RELAUNCH: "ignore",
    CLEAN: "ignore",
  }),
  admitted: row({
    ADMIT: "ignore",
    DISPATCH: "apply",
    STOP: "apply",
    EXIT: "apply",
    CANCEL: "apply",
    RELAUNCH: "apply",
  }),
  validating: launching({ PULL: "apply", CREATE: "apply" }),
  pulling: launching({ PULL: "ignore", CREATE: "apply" }),
  creating: launching({ PULL: "ignore", CREATE: "ignore" }),
  // A start that is on record is not taken back.
  running: launching({ PULL: "ignore", CREATE: "ignore", START: "ignore", DEFER: "ignore" }),
  collecting: row({
    ADMIT: "ignore",
    DISPATCH: "apply",
    PULL: "ignore",
    CREATE: "ignore",
    START: "ignore",
    STOP: "ignore",
    EXIT: "ignore",
    KEEP: "apply",
    FINISH: "apply",
    DEFER: "ignore",
    CANCEL: "apply",
    RELAUNCH: "apply",
  }),
  retrying: { ...all("ignore"), CLEAN: "apply", REQUEUE: "apply", ORPHAN: "apply", CANCEL: "apply" },
  terminal: { ...all("ignore"), CLEAN: "apply", ORPHAN: "apply", CANCEL: "refuse" },
};

function launching(differences: Partial<Record<OccurrenceType, Legality>>) {
  return row({
    ADMIT: "ignore",
    DISPATCH: "apply",
    START: "apply",
    STOP: "apply",
    EXIT: "apply",
    CANCEL: "apply",
    DEFER: "apply",
    RELAUNCH: "apply",
    ...differences,
  });
}

function row(differences: Partial<Record<OccurrenceType, Legality>>): Record<OccurrenceType, Legality> {
  return { ...all("refuse"), ORPHAN: "apply", ...differences };
}

function all(legality: Legality): Record<OccurrenceType, Legality> {
  return {
    ADMIT: legality,
    DISPATCH: legality,
    PULL: legality,
    CREATE: legality,
    START: legality,
    STOP: legality,
    EXIT: legality,
    KEEP: legality,
    FINISH: legality,
    CLEAN: legality,
    REQUEUE: legality,
    DEFER: legality,
    RELAUNCH: legality,
    ORPHAN: legality,
    CANCEL: legality,
  };
}
