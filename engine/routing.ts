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

/** Something that a spec asks for: what it is called, and how much of it. */
interface Need {
  path: string;
  what: string;
  asked: string;
  plural?: boolean;
  met: boolean;
}

const counted = (list: readonly unknown[]) => `the spec has ${list.length}`;

/** Everything that takes a capability, in the order of the spec's keys; only what the spec asks for. */
function needsOf(spec: JobSpec, { capabilities: can }: RoutableRuntime): Need[] {
  const { resources, placement, security } = spec;
  const placed = (["arch", "region", "zone"] as const).filter((key) => placement?.[key] !== undefined);
  const all: (Need | false)[] = [
    spec.image !== undefined && { path: "image", what: "container images", asked: "the spec has one", met: can.image },
    resources.cpu !== undefined && {
      path: "resources.cpu",
      what: "CPU limits",
      asked: `the spec asks for ${resources.cpu}`,
      met: can.cpuLimit,
    },
    resources.memoryMiB !== undefined && {
      path: "resources.memoryMiB",
      what: "memory limits",
      asked: `the spec asks for ${resources.memoryMiB} MiB`,
      met: can.memoryLimit,
    },
    resources.diskMiB !== undefined && {
      path: "resources.diskMiB",
      what: "disk limits",
      asked: `the spec asks for ${resources.diskMiB} MiB`,
      met: can.diskLimit,
    },
    resources.gpu !== undefined && {
      path: "resources.gpu",
      what: "GPUs",
      asked: `the spec asks for ${resources.gpu.count}`,
      met: can.gpu,
    },
    spec.artifacts !== undefined && {
      path: "artifacts",
      what: "artifacts",
      asked: `the spec has ${spec.artifacts.paths.length} of their paths`,
      met: can.artifacts,
    },
    spec.volumes.length > 0 && { path: "volumes", what: "volumes", asked: counted(spec.volumes), met: can.volumes },
    spec.workdir !== undefined && {
      path: "workdir",
      what: "working directories",
      asked: "the spec sets workdir",
      met: can.workdir,
    },
    spec.user !== undefined && { path: "user", what: "users", asked: "the spec sets user", met: can.user },
    {
      path: "network.mode",
      what: `network mode ${spec.network.mode}`,
      asked: `it has ${can.networkModes.join(", ") || "none to choose"}`,
      plural: false,
      met: can.networkModes.includes(spec.network.mode),
    },
    security.readOnlyRoot && {
      path: "security.readOnlyRoot",
      what: "read-only root file systems",
      asked: "the spec asks for one",
      met: can.readOnlyRoot,
    },
    security.addCapabilities.length > 0 && {
      path: "security.addCapabilities",
      what: "added capabilities",
      asked: counted(security.addCapabilities),
      met: can.addCapabilities,
    },
    spec.registryAuth !== undefined && {
      path: "registryAuth",
      what: "registry credentials",
      asked: "the spec refers to some",
      met: can.registryAuth,
    },
    spec.sidecars.length > 0 && {
      path: "sidecars",
      what: "sidecars",
      asked: counted(spec.sidecars),
      met: can.sidecars,
    },
    spec.initContainers.length > 0 && {
      path: "initContainers",
      what: "init containers",
      asked: counted(spec.initContainers),
      met: can.initContainers,
    },
    spec.healthCheck !== undefined && {
      path: "healthCheck",
      what: "health checks",
      asked: "the spec has one",
      met: can.healthCheck,
    },
    placement?.spot === true && {
      path: "placement.spot",
      what: "spot capacity",
      asked: "the spec asks for it",
      plural: false,
      met: can.spot,
    },
    placed.length > 0 && {
      path: "placement",
      what: "placement hints",
      asked: `the spec has ${placed.join(", ")}`,
      met: can.placement,
    },
  ];
  return all.filter((need) => need !== false);
}

function unmet(runtime: RoutableRuntime, { path, what, asked, plural = true }: Need): Reason {
  const verb = plural ? "are" : "is";
  return { code: "unsupported", message: `${runtime.name}: ${what} ${verb} not supported (${asked})`, path };
}

interface Limit {
  path: string;
  name: string;
  unit: string;
  limit: number | null;
  asked: number | undefined;
}

function exceeded(spec: JobSpec, runtime: RoutableRuntime): Reason[] {
  const { constraints } = runtime;
  const artifactBytes = spec.artifacts?.maxBytes;
  const { cpu, memoryMiB } = spec.resources;
  const limits: Limit[] = [
    { path: "resources.cpu", name: "CPU", unit: "", limit: constraints.maxCpu, asked: cpu },
    { path: "resources.memoryMiB", name: "memory", unit: " MiB", limit: constraints.maxMemoryMiB, asked: memoryMiB },
    { path: "env", name: "environment", unit: " bytes", limit: constraints.maxEnvBytes, asked: envBytes(spec.env) },
    {
      path: "timeoutSeconds",
      name: "timeout",
      unit: " s",
      limit: constraints.maxTimeoutSeconds,
      asked: spec.timeoutSeconds,
    },
    {
      path: "artifacts.maxBytes",
      name: "size of artifacts",
      unit: " bytes",
      limit: constraints.maxArtifactBytes,
      asked: artifactBytes,
    },
  ];
  return limits.flatMap(({ path, name, unit, limit, asked }) => {
    if (limit === null || asked === undefined || asked <= limit) return [];
    const message = `${runtime.name}: maximum ${name} is ${limit}${unit} but the spec asks for ${asked}${unit}`;
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
  for (const need of needsOf(spec, runtime)) if (!need.met) reasons.push(unmet(runtime, need));
  reasons.push(...exceeded(spec, runtime));
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
