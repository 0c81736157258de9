import { LongshoreError, type Violation } from "./errors.ts";
import type { RuntimeAdapter } from "./ports/runtime.ts";
import { envBytes } from "./spec/fields.ts";
import type { JobSpec } from "./spec/schema.ts";

/** What routing knows of a runtime. */
export type RoutableRuntime = Pick<
  RuntimeAdapter,
  "name" | "kind" | "explicitOnly" | "capabilities" | "constraints" | "check"
>;

/** Why a runtime does not take a spec; `path` is the spec's field, where there is one. */
export interface Reason {
  code: string;
  message: string;
  path?: string;
}

/** Whether a runtime takes a spec; it does when there is no reason against it. */
export interface Verdict {
  runtime: string;
  fits: boolean;
  reasons: Reason[];
}

/** Something that a spec may ask for; `claim` and `asked` make the sentence when it is wanted and cannot be had. */
type Need = [wanted: boolean, met: boolean, path: string, claim: string, asked: string];

const counted = (list: readonly unknown[]) => `the spec has ${list.length}`;

/** Everything that takes a capability. */
function needsOf(spec: JobSpec, can: RuntimeAdapter["capabilities"]): Need[] {
  const { cpu, memoryMiB, diskMiB, gpu } = spec.resources;
  const { placement, security, artifacts, volumes, sidecars, initContainers, network } = spec;
  const placed = (["arch", "region", "zone"] as const).filter((key) => placement?.[key] !== undefined);
  const added = security.addCapabilities;
  const modes = can.networkModes;
  return [
    [spec.image !== undefined, can.image, "image", "container images are", "the spec has one"],
    [cpu !== undefined, can.cpuLimit, "resources.cpu", "CPU limits are", `the spec asks for ${cpu}`],
    [
      memoryMiB !== undefined,
      can.memoryLimit,
      "resources.memoryMiB",
      "memory limits are",
      `the spec asks for ${memoryMiB} MiB`,
    ],
    [diskMiB !== undefined, can.diskLimit, "resources.diskMiB", "disk limits are", `the spec asks for ${diskMiB} MiB`],
    [gpu !== undefined, can.gpu, "resources.gpu", "GPUs are", `the spec asks for ${gpu?.count}`],
    [
      artifacts !== undefined,
      can.artifacts,
      "artifacts",
      "artifacts are",
      `the spec has ${artifacts?.paths.length} of their paths`,
    ],
    [volumes.length > 0, can.volumes, "volumes", "volumes are", counted(volumes)],
    [spec.workdir !== undefined, can.workdir, "workdir", "working directories are", "the spec has one"],
    [spec.user !== undefined, can.user, "user", "users are", "the spec has one"],
    [
      true,
      modes.includes(network.mode),
      "network.mode",
      `network mode ${network.mode} is`,
      `there is ${modes.join(", ") || "none"}`,
    ],
    [security.readOnlyRoot, can.readOnlyRoot, "security.readOnlyRoot", "read-only roots are", "the spec asks for one"],
    [added.length > 0, can.addCapabilities, "security.addCapabilities", "added capabilities are", counted(added)],
    [
      spec.registryAuth !== undefined,
      can.registryAuth,
      "registryAuth",
      "registry credentials are",
      "the spec has some",
    ],
    [sidecars.length > 0, can.sidecars, "sidecars", "sidecars are", counted(sidecars)],
    [initContainers.length > 0, can.initContainers, "initContainers", "init containers are", counted(initContainers)],
    [spec.healthCheck !== undefined, can.healthCheck, "healthCheck", "health checks are", "the spec has one"],
    [placement?.spot === true, can.spot, "placement.spot", "spot capacity is", "the spec asks for it"],
    [placed.length > 0, can.placement, "placement", "placement hints are", `the spec has ${placed.join(", ")}`],
  ];
}

function unsupported(spec: JobSpec, { name, capabilities }: RoutableRuntime): Reason[] {
  return needsOf(spec, capabilities).flatMap(([wanted, met, path, claim, asked]) =>
    wanted && !met ? [{ code: "unsupported", message: `${name}: ${claim} not supported (${asked})`, path }] : [],
  );
}

type Limit = [path: string, name: string, unit: string, limit: number | null, asked: number | undefined];

function exceeded(spec: JobSpec, { name, constraints }: RoutableRuntime): Reason[] {
  const { cpu, memoryMiB } = spec.resources;
  const limits: Limit[] = [
    ["resources.cpu", "CPU", "", constraints.maxCpu, cpu],
    ["resources.memoryMiB", "memory", " MiB", constraints.maxMemoryMiB, memoryMiB],
    ["env", "environment", " bytes", constraints.maxEnvBytes, envBytes(spec.env)],
    ["timeoutSeconds", "timeout", " s", constraints.maxTimeoutSeconds, spec.timeoutSeconds],
    ["artifacts.maxBytes", "size of artifacts", " bytes", constraints.maxArtifactBytes, spec.artifacts?.maxBytes],
  ];
  return limits.flatMap(([path, what, unit, limit, asked]) => {
    if (limit === null || asked === undefined || asked <= limit) return [];
    const message = `${name}: maximum ${what} is ${limit}${unit} but the spec asks for ${asked}${unit}`;
    return [{ code: "limit_exceeded", message, path }];
  });
}

/** Reasons against a runtime that lie in how the spec chooses one, and not in what the runtime can do. */
const CHOICE_CODES: ReadonlySet<string> = new Set(["explicit_only", "not_chosen"]);

function choiceReasons(spec: JobSpec, { name, explicitOnly }: RoutableRuntime): Reason[] {
  if (spec.runtime === name) return [];
  if (spec.runtime !== undefined) {
    return [{ code: "not_chosen", message: `${name}: the spec names another runtime`, path: "runtime" }];
  }
  if (!explicitOnly) return [];
  return [{ code: "explicit_only", message: `${name}: runs a job only when its spec names it`, path: "runtime" }];
}

/**
 * Whether a runtime takes a spec: its capabilities and constraints against what the spec asks for, its own `check`, and
 * whether the spec may choose it. Every reason names the runtime, and the limit and the request where there are some.
 */
export function judgeRuntime(spec: JobSpec, runtime: RoutableRuntime): Verdict {
  const { name } = runtime;
  const reasons = choiceReasons(spec, runtime);
  // A runtime that is only for specs that name it may do without an image: the operator's own process, or a stub.
  if (spec.image === undefined && runtime.capabilities.image && !runtime.explicitOnly) {
    reasons.push({ code: "required", message: `${name}: needs an image and the spec has none`, path: "image" });
  }
  reasons.push(...unsupported(spec, runtime), ...exceeded(spec, runtime));
  if (spec.budget !== undefined) {
    const message = `${name}: a budget is not enforced yet (the spec has ${spec.budget.maxCostUsd} US dollars)`;
    reasons.push({ code: "unsupported", message, path: "budget" });
  }
  for (const { path, code, message } of runtime.check?.(spec) ?? []) {
    reasons.push({ code, message: message.startsWith(`${name}:`) ? message : `${name}: ${message}`, path });
  }
  return { runtime: name, fits: reasons.length === 0, reasons };
}

/**
 * The runtime for a spec: the one that it names and no other, else the first of those offered that fits; one that is
 * `explicitOnly` never by itself. Null when there is none. The verdicts say why, in the order offered; a name that is
 * not offered gets a verdict of its own.
 */
export function route(
  spec: JobSpec,
  runtimes: readonly RoutableRuntime[],
): { runtime: string | null; verdicts: Verdict[] } {
  const verdicts = runtimes.map((runtime) => judgeRuntime(spec, runtime));
  const named = spec.runtime;
  if (named !== undefined && !runtimes.some(({ name }) => name === named)) {
    const offered = runtimes.map(({ name }) => name).join(", ");
    const message = `${named}: no such runtime here; ${offered === "" ? "none is offered" : `there are: ${offered}`}`;
    verdicts.push({ runtime: named, fits: false, reasons: [{ code: "unknown_runtime", message, path: "runtime" }] });
  }
  return { runtime: verdicts.find(({ fits }) => fits)?.runtime ?? null, verdicts };
}

/**
 * The error for a spec that no runtime takes; its violations have the paths of the spec's fields. Runtimes that the spec
 * did not choose are left out, unless there is nothing else to say.
 */
export function noFit(spec: JobSpec, verdicts: readonly Verdict[]): LongshoreError {
  const isChoice = ({ code }: Reason) => CHOICE_CODES.has(code);
  const choosable = verdicts.filter(({ reasons }) => !reasons.some(isChoice));
  const shown =
    choosable.length > 0
      ? choosable.flatMap(({ reasons }) => reasons)
      : verdicts.flatMap(({ reasons }) => reasons.filter(isChoice));
  const violations: Violation[] = shown.map(({ code, message, path = "runtime" }) => ({ path, code, message }));
  if (violations.length === 0) {
    violations.push({ path: "runtime", code: "no_runtime", message: "no runtime is offered here" });
  }
  const asked = spec.runtime === undefined ? "no runtime can run this job" : "the runtime cannot run this job";
  const message = `${asked}: ${violations.map((violation) => violation.message).join("; ")}`;
  return new LongshoreError("VALIDATION", message, { violations });
}
