import type { RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { CONTAINER, STOP_REASON } from "./names.ts";
import { reasonOf } from "./reasons.ts";

/** A task as DescribeTasks and the events show it; of a time the one has a Date, the other a text. */
export interface TaskFacts {
  taskArn?: string | undefined;
  lastStatus?: string | undefined;
  desiredStatus?: string | undefined;
  stopCode?: string | undefined;
  stoppedReason?: string | undefined;
  startedAt?: Date | string | undefined;
  stoppedAt?: Date | string | undefined;
  executionStoppedAt?: Date | string | undefined;
  group?: string | undefined;
  startedBy?: string | undefined;
  version?: number | undefined;
  containers?:
    | {
        name?: string | undefined;
        exitCode?: number | undefined;
        reason?: string | undefined;
      }[]
    | undefined;
}

export const UNKNOWN_STATUS: RuntimeStatus = {
  phase: "unknown",
  exitCode: null,
  oom: false,
  failure: null,
  startedAt: null,
  finishedAt: null,
};

/** States before the command runs: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html */
const BEFORE: ReadonlySet<string> = new Set(["PROVISIONING", "PENDING", "ACTIVATING"]);
const MAX_MESSAGE = 300;

/** Stop codes with which not the command, but what it ran on, ended the task. */
const TAKEN_AWAY: Readonly<Record<string, string>> = {
  SpotInterruption: "ECS took the spot capacity away and stopped the task",
  TerminationNotice: "ECS took the capacity away and stopped the task",
  InfrastructureHealth: "what the task ran on was not healthy and ECS stopped it",
  ServiceSchedulerInitiated: "a scheduler of ECS stopped the task",
};

/**
 * A task as our status. It has ended only when ECS says STOPPED: until then its reasons and times may still change. A
 * task that is gone or was never there is `unknown`.
 */
export function statusOf(task: TaskFacts | undefined): RuntimeStatus {
  if (task === undefined) return UNKNOWN_STATUS;
  const startedAt = timeOf(task.startedAt);
  if (task.lastStatus !== "STOPPED") {
    // A task that was stopped before its command ran goes through the same states behind RUNNING.
    const waits = startedAt === null && (BEFORE.has(task.lastStatus ?? "") || task.desiredStatus === "STOPPED");
    return { ...UNKNOWN_STATUS, phase: waits ? "created" : "running", startedAt };
  }
  const finishedAt = timeOf(task.executionStoppedAt) ?? timeOf(task.stoppedAt);
  const container = containerOf(task);
  const exitCode = container?.exitCode ?? null;
  const reason = reasonOf(container?.reason);
  // The kernel may have killed a child only, and the command coped with it.
  const oom = reason?.category === "OOM" && exitCode !== 0;
  return {
    phase: "exited",
    exitCode,
    oom,
    failure: oom ? outOfMemory(reason.providerCode) : failureOf(task, exitCode),
    startedAt,
    finishedAt: finishedAt !== null && startedAt !== null && finishedAt < startedAt ? startedAt : finishedAt,
  };
}

function containerOf({ containers }: TaskFacts): NonNullable<TaskFacts["containers"]>[number] | undefined {
  return containers?.find(({ name }) => name === CONTAINER) ?? containers?.[0];
}

function outOfMemory(providerCode: string): RuntimeStatus["failure"] {
  return { category: "OOM", message: "the job used more memory than its limit and was killed", providerCode };
}

function failureOf(task: TaskFacts, exitCode: number | null): RuntimeStatus["failure"] {
  const { stopCode = "", stoppedReason } = task;
  const taken = TAKEN_AWAY[stopCode];
  // Whatever exit code the command had when it was asked to end: nobody can tell whether it had done its work.
  if (taken !== undefined) return { category: "RUNTIME_UNAVAILABLE", message: taken, providerCode: stopCode };
  if (stopCode === "UserInitiated") return stoppedBySomebody(stoppedReason);
  if (exitCode !== null) return null;
  const container = containerOf(task);
  const texts = [container?.reason, stoppedReason];
  const known = texts.map(reasonOf).find((reason) => reason !== null);
  const said =
    texts.find((text) => text !== undefined && reasonOf(text) !== null) ?? container?.reason ?? stoppedReason;
  const providerCode = known?.providerCode ?? (stopCode === "" ? null : stopCode);
  return { category: known?.category ?? "UNKNOWN", message: sentence(said), providerCode };
}

function stoppedBySomebody(reason: string | undefined): RuntimeStatus["failure"] {
  if (reason === STOP_REASON) return null;
  const known = reasonOf(reason);
  if (known !== null) return { category: known.category, message: sentence(reason), providerCode: known.providerCode };
  // Whoever stopped it by hand does not want it to be tried again.
  const message = "somebody other than Longshore stopped the task";
  return { category: "USER_CODE", message, providerCode: "UserInitiated" };
}

/** A reason as ECS gave it, on one line and short. */
export function sentence(text: string | undefined): string {
  const line = (text ?? "").replace(/\s+/g, " ").trim();
  if (line === "") return "ECS does not say why the task was not started";
  return `ECS: ${line.length > MAX_MESSAGE ? `${line.slice(0, MAX_MESSAGE)}…` : line}`;
}

/** Whether a task ended before its command was started. It never will be: nothing is left of it but what ECS tells. */
export function endedUnstarted(task: TaskFacts): boolean {
  return task.lastStatus === "STOPPED" && timeOf(task.startedAt) === null;
}

/** A time of ECS's as RFC 3339, UTC, milliseconds; null without one. */
function timeOf(time: Date | string | undefined): string | null {
  const ms = time === undefined ? Number.NaN : new Date(time).getTime();
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

/** Whether an ended task stays on purpose: its policy says never, or onSuccess and it did not succeed. */
export function isKept(policy: string | undefined, status: RuntimeStatus): boolean {
  if (status.phase !== "exited") return false;
  return policy === "never" || (policy === "onSuccess" && (status.exitCode !== 0 || status.failure !== null));
}
