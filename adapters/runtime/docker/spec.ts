import type { ContainerCreateOptions, ContainerInspectInfo } from "dockerode";
import { LABELS } from "../../../engine/naming.ts";
import type { Launch, RuntimeStatus } from "../../../engine/ports/runtime.ts";

const BYTES_PER_MIB = 1024 * 1024;
const NANO_PER_CPU = 1e9;
const TMP_BYTES = 64 * BYTES_PER_MIB;
/** What Docker writes for a time that has not come. */
const ZERO_TIME = Date.parse("0001-01-01T00:00:00Z");
/** How a daemon that stops, dies or boots ends its containers: SIGTERM, SIGKILL, and "nobody saw it end". */
export const DAEMON_EXIT_CODES: readonly number[] = [143, 137, 255];

/** What the operator, and not the spec, decides about a container. */
export interface Placing {
  homeId: string;
  pidsLimit: number;
  /** The id of the home's bridge, or `none`. */
  networkMode: string;
  /** The spec's volumes with their sources resolved and found to be allowed. */
  mounts: readonly { source: string; target: string; readOnly: boolean }[];
}

/** What this process knows about a container beyond the engine's own answer. */
export interface Witness {
  /** It was not seen to end, because the engine itself had gone away meanwhile. */
  lost: boolean;
  /** Longshore asked it to end. */
  cancelled: boolean;
  /** The engine reported that it ran out of memory. */
  oomSeen: boolean;
}

export const UNKNOWN_STATUS: RuntimeStatus = {
  phase: "unknown",
  exitCode: null,
  oom: false,
  failure: null,
  startedAt: null,
  finishedAt: null,
};

/** The labels of an attempt's container; all but the cleanup policy say whose it is. */
export function labelsOf(launch: Launch, homeId: string): Record<string, string> {
  return {
    [LABELS.home]: homeId,
    [LABELS.job]: launch.jobId,
    [LABELS.attempt]: String(launch.attempt),
    [LABELS.cleanup]: launch.spec.cleanup,
  };
}

/** Whether labels say that a container is the one start of this attempt. */
export function isSameAttempt(labels: Record<string, string>, launch: Launch, homeId: string): boolean {
  const ours = labelsOf(launch, homeId);
  return [LABELS.home, LABELS.job, LABELS.attempt].every((label) => labels[label] === ours[label]);
}

/** An attempt as the body of `POST /containers/create`, hardened: no privilege that the operator did not allow. */
export function createOptions(launch: Launch, placing: Placing): ContainerCreateOptions {
  const { spec } = launch;
  return {
    name: launch.externalName,
    Image: imageReference(spec.image ?? ""),
    // With an entrypoint of its own the engine leaves out the image's command, so no args means none.
    ...(spec.command === undefined || spec.command.length === 0 ? {} : { Entrypoint: [...spec.command] }),
    ...(spec.args.length === 0 ? {} : { Cmd: [...spec.args] }),
    Env: Object.entries(launch.env).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(launch, placing.homeId),
    ...(spec.workdir === undefined ? {} : { WorkingDir: spec.workdir }),
    ...(spec.user === undefined ? {} : { User: spec.user }),
    StopTimeout: Math.ceil(spec.stopGraceSeconds),
    Tty: false,
    OpenStdin: false,
    HostConfig: hostConfig(launch, placing),
  };
}

function hostConfig({ spec }: Launch, placing: Placing): NonNullable<ContainerCreateOptions["HostConfig"]> {
  const { cpu, memoryMiB } = spec.resources;
  const memory = memoryMiB === undefined ? undefined : Math.round(memoryMiB * BYTES_PER_MIB);
  const hasOwnTmp = placing.mounts.some((mount) => mount.target === "/tmp");
  return {
    ...(cpu === undefined ? {} : { NanoCpus: Math.round(cpu * NANO_PER_CPU) }),
    // Swap counts on top of memory: the same number means that there is none.
    ...(memory === undefined ? {} : { Memory: memory, MemorySwap: memory }),
    PidsLimit: placing.pidsLimit,
    NetworkMode: placing.networkMode,
    CapDrop: ["ALL"],
    CapAdd: spec.security.addCapabilities.map(capabilityName),
    SecurityOpt: ["no-new-privileges"],
    Privileged: false,
    ReadonlyRootfs: spec.security.readOnlyRoot,
    ...(spec.security.readOnlyRoot && !hasOwnTmp
      ? { Tmpfs: { "/tmp": `rw,nosuid,nodev,mode=1777,size=${TMP_BYTES}` } }
      : {}),
    Mounts: placing.mounts.map(({ source, target, readOnly }) => ({
      Type: "bind" as const,
      Source: source,
      Target: target,
      ReadOnly: readOnly,
      // What somebody mounts later on either side stays there.
      BindOptions: { Propagation: "rprivate" as const },
    })),
    // A first process that passes signals on and reaps: without it a plain command is deaf to SIGTERM.
    Init: true,
    AutoRemove: false,
    RestartPolicy: { Name: "no" },
    // The daemon's default driver may not be readable, and its options may drop lines: numbers must not change.
    LogConfig: {
      Type: "json-file",
      Config: { "max-size": "1p", "max-file": "1", mode: "blocking", compress: "false" },
    },
  };
}

/** A capability's name as the kernel's list has it: `NET_ADMIN` for `cap_net_admin`. */
export function capabilityName(text: string): string {
  return text.toUpperCase().replace(/^CAP_/, "");
}

/**
 * An image as the engine is to be asked for it: with the tag that a bare name stands for, since the engine would pull
 * every tag of it, and by its digest alone where there is one.
 */
export function imageReference(image: string): string {
  const at = image.indexOf("@");
  const name = at < 0 ? image : image.slice(0, at);
  const colon = name.indexOf(":", name.lastIndexOf("/") + 1);
  if (at >= 0) return (colon < 0 ? name : name.slice(0, colon)) + image.slice(at);
  return colon < 0 ? `${name}:latest` : name;
}

/** The host of the registry that an image comes from, as Docker reads it. */
export function registryOf(image: string): string {
  const first = image.slice(0, Math.max(image.indexOf("/"), 0));
  return first.includes(".") || first.includes(":") || first === "localhost" ? first : "docker.io";
}

/** The engine's answer to an inspect, as our status. */
export function statusOf({ State: state }: Pick<ContainerInspectInfo, "State">, witness: Witness): RuntimeStatus {
  const startedAt = timeOf(state.StartedAt);
  const finishedAt = timeOf(state.FinishedAt);
  if (state.Running) return { ...UNKNOWN_STATUS, phase: "running", startedAt };
  // A start that failed leaves the state `created` with an exit code: nothing ever ran.
  if (startedAt === null) return { ...UNKNOWN_STATUS, phase: "created" };
  // Between its start and its end the engine may show neither: it has not ended as long as it has no end.
  if (finishedAt === null) return { ...UNKNOWN_STATUS, phase: "running", startedAt };
  const exitCode = state.ExitCode;
  // An engine also says so when a child was killed and the command coped with it.
  const oom = exitCode !== 0 && (state.OOMKilled || (exitCode === 137 && witness.oomSeen));
  return {
    phase: "exited",
    exitCode,
    oom,
    failure: daemonFailure(exitCode, oom, witness),
    startedAt,
    // The daemon notes the start, containerd the end: of a very short command the end may be the earlier.
    finishedAt: finishedAt < startedAt ? startedAt : finishedAt,
  };
}

/** What the engine's events tell of a container that ended with exit code 0. */
export function endedStatus(at: { startedAtMs: number | null; finishedAtMs: number }): RuntimeStatus {
  const startedAt = at.startedAtMs === null ? null : new Date(at.startedAtMs).toISOString();
  const finishedAt = new Date(Math.max(at.finishedAtMs, at.startedAtMs ?? 0)).toISOString();
  return { ...UNKNOWN_STATUS, phase: "exited", exitCode: 0, startedAt, finishedAt };
}

function daemonFailure(exitCode: number, oom: boolean, { lost, cancelled }: Witness): RuntimeStatus["failure"] {
  if (!lost || oom || cancelled || !DAEMON_EXIT_CODES.includes(exitCode)) return null;
  return {
    category: "RUNTIME_UNAVAILABLE",
    message: "Docker went away while the container was running and ended it",
    providerCode: String(exitCode),
  };
}

/** A time of Docker's as RFC 3339, UTC, milliseconds; null for its zero time. */
export function timeOf(text: string | undefined): string | null {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) || ms <= ZERO_TIME ? null : new Date(ms).toISOString();
}

/** Whether a container stays on purpose: its policy says never, or onSuccess and it did not succeed. */
export function isKept(policy: string | undefined, status: RuntimeStatus): boolean {
  if (status.phase !== "exited") return false;
  return policy === "never" || (policy === "onSuccess" && (status.exitCode !== 0 || status.failure !== null));
}
