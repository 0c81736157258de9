import type { Violation } from "../../../engine/errors.ts";
import type { RuntimeAdapter, RuntimeCapabilities, RuntimeConstraints } from "../../../engine/ports/runtime.ts";
import type { JobSpec } from "../../../engine/spec/schema.ts";
import { containsSecret, isSecretVariable, secretsOf } from "../../../engine/spec/secret-values.ts";
import { registrySecret } from "./environment.ts";
import { checkOptions, type EcsRuntimeOptions, type EcsRuntimeSettings, placeOf } from "./options.ts";
import { FARGATE_MAX, fargateSize } from "./sizes.ts";

/** Fargate kills a task that has not ended two minutes after it was asked to. */
const FARGATE_MAX_STOP_SECONDS = 120;
const FARGATE_MAX_DISK_MIB = 200 * 1024;
/** Fargate lets no other be added: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_KernelCapabilities.html */
const FARGATE_CAPABILITY = "SYS_PTRACE";
/** An advanced parameter's value: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html */
const MAX_PARAMETER_BYTES = 8 * 1024;
/** A task definition has 64 KiB, and what else stands in it is small but for the command. */
const MAX_ENV_BYTES = 32 * 1024;
const MAX_COMMAND_BYTES = 16 * 1024;
const DEFAULT_MAX_CONCURRENT = 100;

/** All of an adapter that is known without asking anybody, and without the SDK. */
export type AboutEcs = Pick<
  RuntimeAdapter,
  "name" | "kind" | "explicitOnly" | "capabilities" | "constraints" | "check"
>;

/** What the adapter with these options is. @throws LongshoreError VALIDATION for options that cannot be understood. */
export function aboutEcs(options: EcsRuntimeOptions): AboutEcs {
  checkOptions(options);
  return {
    name: "ecs",
    kind: "ecs",
    explicitOnly: false,
    capabilities: capabilitiesOf(options),
    constraints: constraintsOf(options),
    check: (spec) => violationsOf(spec, options),
  };
}

/** What this adapter does with a spec, which is less than what ECS could. */
export function capabilitiesOf({ launching, allowedCapabilities }: EcsRuntimeSettings): RuntimeCapabilities {
  const fargate = launching.type === "FARGATE";
  return {
    image: true,
    gpu: !fargate && launching.gpu === true,
    volumes: false,
    sidecars: false,
    initContainers: false,
    healthCheck: false,
    streamingLogs: true,
    artifacts: false,
    spot: fargate ? launching.spot === true : launching.spotCapacityProvider !== undefined,
    placement: true,
    exec: false,
    cpuLimit: true,
    memoryLimit: true,
    diskLimit: fargate,
    user: true,
    workdir: true,
    readOnlyRoot: true,
    // On Fargate a task always has a network interface.
    networkModes: fargate ? ["isolated"] : ["none", "isolated"],
    addCapabilities: (allowedCapabilities ?? []).length > 0,
    registryAuth: true,
  };
}

/** Numeric limits; of instances of one's own nobody knows the size. */
export function constraintsOf(settings: EcsRuntimeSettings & { maxConcurrent?: number }): RuntimeConstraints {
  const fargate = settings.launching.type === "FARGATE";
  return {
    maxTimeoutSeconds: null,
    maxMemoryMiB: fargate ? FARGATE_MAX.memoryMiB : null,
    maxCpu: fargate ? FARGATE_MAX.cpu : null,
    maxEnvBytes: MAX_ENV_BYTES,
    maxArtifactBytes: null,
    maxConcurrent: settings.maxConcurrent ?? DEFAULT_MAX_CONCURRENT,
  };
}

type Check = (spec: JobSpec, settings: EcsRuntimeSettings) => Violation[];

/** What of a spec neither ECS nor the operator's settings allow. */
export function violationsOf(spec: JobSpec, settings: EcsRuntimeSettings): Violation[] {
  const checks: Check[] = [sizeViolations, placementViolations, capabilityViolations, secretViolations];
  return checks.flatMap((check) => check(spec, settings));
}

function violation(path: string, code: string, message: string): Violation {
  return { path, code, message: `ecs: ${message}` };
}

function sizeViolations({ resources, stopGraceSeconds, command, args }: JobSpec, settings: EcsRuntimeSettings) {
  const found: Violation[] = [];
  const bytes = Buffer.byteLength(JSON.stringify([command ?? [], args]));
  if (bytes > MAX_COMMAND_BYTES) {
    const message = `maximum size of command and args is ${MAX_COMMAND_BYTES} bytes but the spec has ${bytes} bytes`;
    found.push(violation("args", "limit_exceeded", message));
  }
  if (settings.launching.type !== "FARGATE") {
    if (resources.gpu?.type === undefined) return found;
    return [...found, violation("resources.gpu.type", "unsupported", "kinds of GPUs cannot be chosen")];
  }
  if (stopGraceSeconds > FARGATE_MAX_STOP_SECONDS) {
    const message = `maximum stop grace is ${FARGATE_MAX_STOP_SECONDS} s but the spec asks for ${stopGraceSeconds} s`;
    found.push(violation("stopGraceSeconds", "limit_exceeded", message));
  }
  const { cpu, memoryMiB, diskMiB = 0 } = resources;
  if (diskMiB > FARGATE_MAX_DISK_MIB) {
    const message = `maximum disk is ${FARGATE_MAX_DISK_MIB} MiB but the spec asks for ${diskMiB} MiB`;
    found.push(violation("resources.diskMiB", "limit_exceeded", message));
  }
  // One that is too large by itself is told by the constraints.
  const tooLarge = (cpu ?? 0) > FARGATE_MAX.cpu || (memoryMiB ?? 0) > FARGATE_MAX.memoryMiB;
  if (!tooLarge && fargateSize(resources) === undefined) {
    const message = `Fargate has no size with ${cpu ?? 0} CPUs and ${memoryMiB ?? 0} MiB`;
    found.push(violation("resources.memoryMiB", "limit_exceeded", message));
  }
  return found;
}

function placementViolations({ placement }: JobSpec, { clusterArn }: EcsRuntimeSettings) {
  const found: Violation[] = [];
  const { arch, region, zone } = placement ?? {};
  if (arch !== undefined && arch !== "amd64" && arch !== "arm64") {
    found.push(violation("placement.arch", "unsupported", `there is amd64 and arm64 but the spec asks for ${arch}`));
  }
  const here = placeOf(clusterArn).region;
  if (region !== undefined && region !== here) {
    found.push(
      violation("placement.region", "unsupported", `the cluster is in ${here} but the spec asks for ${region}`),
    );
  }
  if (zone !== undefined) found.push(violation("placement.zone", "unsupported", "zones cannot be chosen"));
  return found;
}

function capabilityViolations({ security }: JobSpec, { allowedCapabilities = [], launching }: EcsRuntimeSettings) {
  const allowed = new Set(allowedCapabilities.map(capabilityName));
  return security.addCapabilities.flatMap((name, index) => {
    const path = `security.addCapabilities.${index}`;
    if (!allowed.has(capabilityName(name))) {
      return [violation(path, "not_allowed", `the operator does not allow the capability ${name}`)];
    }
    if (launching.type === "EC2" || capabilityName(name) === FARGATE_CAPABILITY) return [];
    return [violation(path, "unsupported", `Fargate adds no capability but ${FARGATE_CAPABILITY}`)];
  });
}

/** A capability's name as the kernel's list has it: `NET_ADMIN` for `cap_net_admin`. */
export function capabilityName(text: string): string {
  return text.toUpperCase().replace(/^CAP_/, "");
}

/**
 * Values that could be had only in the clear: whoever may call DescribeTasks or DescribeTaskDefinition reads the
 * command and all else but the variables.
 */
function secretViolations(spec: JobSpec, { clusterArn }: EcsRuntimeSettings): Violation[] {
  const found = exposedPaths(spec, secretsOf(spec)).map((path) =>
    violation(path, "contains_secret", "a secret value can be handed over in env or secrets only"),
  );
  for (const [name, value] of Object.entries(spec.env)) {
    if (Buffer.byteLength(value) <= MAX_PARAMETER_BYTES || !isSecretVariable(spec, name, value)) continue;
    const message = `maximum size of a sensitive variable is ${MAX_PARAMETER_BYTES} bytes`;
    found.push(violation(`env.${name}`, "limit_exceeded", message));
  }
  const from = spec.registryAuth?.from;
  if (from !== undefined && registrySecret(from, clusterArn) === null) {
    const message = "registry credentials must be a whole secret of secretsmanager:";
    found.push(violation("registryAuth.from", "unsupported", message));
  }
  return found;
}

/** The fields besides the environment that hold one of the values. */
export function exposedPaths(spec: JobSpec, secretValues: readonly string[]): string[] {
  const words = [
    ...(spec.command ?? []).map((text, index) => [`command.${index}`, text] as const),
    ...spec.args.map((text, index) => [`args.${index}`, text] as const),
  ];
  const others = (["image", "workdir", "user"] as const).map((path) => [path, spec[path] ?? ""] as const);
  return [...words, ...others].filter(([, text]) => containsSecret(text, secretValues)).map(([path]) => path);
}
