import { constants } from "node:os";
import { isAbsolute } from "node:path";
import type { Violation } from "../../../engine/errors.ts";
import type { Launch, RuntimeCapabilities, RuntimeConstraints, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import type { JobSpec } from "../../../engine/spec/schema.ts";
import type { Cause, Exit } from "./leader.ts";
import type { Claim, ExitRecord, Order, StartedRecord } from "./records.ts";

/**
 * A plain process is not isolated from the machine: it has the user, the files and the network of Longshore. It
 * therefore takes no limit, no user, no mount and no image, and of the network modes only the default, which promises
 * nothing that a process breaks: nobody can reach a job, and a job can reach out.
 */
export const CAPABILITIES: RuntimeCapabilities = {
  image: false,
  gpu: false,
  volumes: false,
  sidecars: false,
  initContainers: false,
  healthCheck: false,
  streamingLogs: true,
  artifacts: true,
  spot: false,
  placement: false,
  exec: false,
  cpuLimit: false,
  memoryLimit: false,
  diskLimit: false,
  user: false,
  workdir: true,
  readOnlyRoot: false,
  networkModes: ["isolated"],
  addCapabilities: false,
  registryAuth: false,
};

/** `maxEnvBytes`: Linux takes 2 MiB for arguments and environment with the usual stack limit; half is the arguments'. */
export function constraintsOf(maxConcurrent: number): RuntimeConstraints {
  return {
    maxTimeoutSeconds: null,
    maxMemoryMiB: null,
    maxCpu: null,
    maxEnvBytes: 1024 * 1024,
    maxArtifactBytes: null,
    maxConcurrent,
  };
}

/** What only this runtime knows to be wrong with a spec. */
export function violationsOf(spec: JobSpec): Violation[] {
  const found: Violation[] = [];
  if (argvOf(spec).length === 0) {
    found.push({ path: "command", code: "required", message: "process: a command is required, there is no image" });
  }
  if (spec.workdir !== undefined && !isAbsolute(spec.workdir)) {
    found.push({ path: "workdir", code: "invalid", message: "process: workdir must be an absolute path" });
  }
  return found;
}

/** Whose the attempt is. */
export function claimOf(launch: Launch, homeId: string): Omit<Claim, "token" | "claimant"> {
  const { jobId, attempt, externalName, spec } = launch;
  return { homeId, jobId, attempt, externalName, cleanup: spec.cleanup };
}

/** What the supervisor is told. */
export function orderOf(launch: Launch, claim: Claim, home: { directory: string; path: string }): Order {
  const { spec } = launch;
  return {
    directory: home.directory,
    claim,
    argv: argvOf(spec),
    env: launch.env,
    path: home.path,
    ...(spec.workdir === undefined ? {} : { workdir: spec.workdir }),
    maskValues: launch.secretValues,
    timeoutSeconds: spec.timeoutSeconds,
    graceSeconds: spec.stopGraceSeconds,
    maxLogBytes: spec.logs.maxBytes,
  };
}

function argvOf(spec: JobSpec): string[] {
  return [...(spec.command ?? []), ...spec.args];
}

export const UNKNOWN: RuntimeStatus = {
  phase: "unknown",
  exitCode: null,
  oom: false,
  failure: null,
  startedAt: null,
  finishedAt: null,
};

/** How an attempt stands, by what lies in its directory. A process cannot tell that it was the kernel's OOM killer. */
export function statusOf(records: { started?: StartedRecord; exit?: ExitRecord }): RuntimeStatus {
  const { started, exit } = records;
  if (exit !== undefined) {
    const { exitCode, failure, startedAt, finishedAt } = exit;
    return { phase: "exited", exitCode, oom: false, failure, startedAt, finishedAt };
  }
  return { ...UNKNOWN, phase: started === undefined ? "created" : "running", startedAt: started?.startedAt ?? null };
}

/** Whether the attempt is to stay on the machine although it has ended. */
export function isKept(claim: Claim, status: RuntimeStatus): boolean {
  if (claim.cleanup === "never") return true;
  const failed = status.phase === "exited" && (status.exitCode !== 0 || status.failure !== null);
  return claim.cleanup === "onSuccess" && failed;
}

/** 128 + N when signal N ended it. */
export function exitCodeOf(exit: Exit): number | null {
  if (exit.signal !== null) return 128 + constants.signals[exit.signal];
  return exit.code;
}

/** The failure of a command that something other than itself ended; a cancel is none. */
export function outcomeOf(cause: Cause | null, order: Order): ExitRecord["failure"] {
  if (cause === "timedOut") {
    const message = `the command ran longer than ${order.timeoutSeconds} s`;
    return { category: "TIMEOUT", message, providerCode: null };
  }
  if (cause === "stopped") {
    const message = "the supervisor was told to end, as at the machine's shutdown";
    return { category: "RUNTIME_UNAVAILABLE", message, providerCode: "SUPERVISOR_STOPPED" };
  }
  return null;
}

/** The end of an attempt that was cancelled before any supervisor had taken it. */
export function neverStarted(now: Date): ExitRecord {
  return { exitCode: null, cancelled: true, failure: null, startedAt: null, finishedAt: now.toISOString() };
}

/** What a supervisor left that was killed, or lost with the machine. */
export function lostOutcome(started: StartedRecord | undefined, now: Date): ExitRecord {
  const message =
    started === undefined
      ? "the supervisor of the process was lost before it had started the command"
      : "the supervisor of the process was lost; what was left of the job has been ended";
  return {
    exitCode: null,
    cancelled: false,
    failure: { category: "RUNTIME_UNAVAILABLE", message, providerCode: "SUPERVISOR_LOST" },
    startedAt: started?.startedAt ?? null,
    finishedAt: now.toISOString(),
  };
}

/** The codes of a machine that has no room for one more process: not the command's fault. */
const NO_ROOM = ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"];
const REASONS: Readonly<Record<string, (order: Order) => string>> = {
  NO_WORKDIR: (order) => `the work directory ${order.workdir} is not there`,
  ENOENT: (order) => `the command ${order.argv[0]} was not found`,
  EACCES: (order) => `the command ${order.argv[0]} may not be executed`,
  E2BIG: () => "the arguments and the environment are larger than the system takes",
};

/** Why the command could not be started; 127 when it was not found, else 126, as a shell has it. */
export function refusalOf(
  error: unknown,
  order: Order,
  mask: (text: string) => string,
): Pick<ExitRecord, "exitCode" | "failure"> {
  const code = (error as NodeJS.ErrnoException).code ?? "UNKNOWN";
  const reason = REASONS[code]?.(order) ?? `the command ${order.argv[0]} could not be started (${code})`;
  const category = NO_ROOM.includes(code) ? "RUNTIME_UNAVAILABLE" : "USER_CODE";
  return {
    exitCode: code === "ENOENT" ? 127 : 126,
    // The command's name is the submitter's text, and may hold a value.
    failure: { category, message: mask(reason), providerCode: code },
  };
}
