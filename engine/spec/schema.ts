import * as z from "zod";
import { alternativesIn, globProblem } from "../artifacts/glob-rules.ts";
import { CATEGORIES } from "../errors.ts";
import {
  absolutePath,
  argumentList,
  commandLine,
  concurrencyKey,
  dnsLabel,
  env,
  envName,
  image,
  labels,
  labelValue,
  linuxCapability,
  mountSource,
  mountTarget,
  rule,
  safePath,
  secretRef,
  secrets,
  user,
  whole,
} from "./fields.ts";
import { DEFAULT_LANE, SPEC_LIMITS as LIMITS } from "./limits.ts";

const unique = (values: readonly string[]) => new Set(values).size === values.length;

/** A path as the file system sees it: `/data/` and `/data/.` are the same place. */
const samePath = (path: string) =>
  path
    .split("/")
    .filter((segment) => segment !== "" && segment !== ".")
    .join("/");

const resources = z.strictObject({
  cpu: z.number().min(LIMITS.leastCpu).max(LIMITS.cpu).optional(),
  memoryMiB: whole(LIMITS.leastMemoryMiB, LIMITS.memoryMiB).optional(),
  diskMiB: whole(1, LIMITS.diskMiB).optional(),
  gpu: z.strictObject({ count: whole(1, LIMITS.gpus), type: labelValue.min(1).optional() }).optional(),
});

const retry = z.strictObject({
  maxAttempts: whole(1, LIMITS.attempts).default(1),
  delaySeconds: z.number().min(0).max(LIMITS.delaySeconds).default(5),
  backoff: z.number().min(1).max(LIMITS.backoff).default(2),
  maxDelaySeconds: z.number().min(0).max(LIMITS.delaySeconds).default(300),
  on: z
    .array(z.enum(CATEGORIES))
    .refine(unique, rule("duplicate", "names a category twice"))
    .meta({ uniqueItems: true })
    .default(["AUTH", "IMAGE_PULL", "RUNTIME_UNAVAILABLE", "UNKNOWN"]),
});

const artifactGlob = safePath.superRefine((path, context) => {
  const problem = globProblem(path);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem, params: { code: "invalid_glob" } });
});

const artifactGlobs = z
  .array(artifactGlob)
  .min(1)
  .max(LIMITS.artifactPaths)
  .refine(
    (paths) => paths.map(alternativesIn).reduce((sum, count) => sum + count, 0) <= LIMITS.artifactAlternatives,
    rule("too_big", `must stand for at most ${LIMITS.artifactAlternatives} alternatives together`),
  );

const artifacts = z.strictObject({
  paths: artifactGlobs,
  maxBytes: whole(1, LIMITS.artifactBytes).default(100 * 1024 * 1024),
  gzip: z.boolean().default(false),
});

const volumes = z
  .array(z.strictObject({ source: mountSource, target: mountTarget, readOnly: z.boolean().default(false) }))
  .max(LIMITS.volumes)
  .refine(
    (list) => unique(list.map(({ target }) => samePath(target))),
    rule("duplicate", "two volumes have the same target"),
  );

const container = z.strictObject({
  name: dnsLabel,
  image,
  command: commandLine.optional(),
  args: argumentList.default([]),
  env: env.default({}),
});
const containers = z.array(container).max(LIMITS.containers);

const healthCheck = z.strictObject({
  command: commandLine,
  intervalSeconds: whole(1, 3600).default(10),
  retries: whole(1, 100).default(3),
});

const placement = z.strictObject({
  spot: z.boolean().default(false),
  arch: z.enum(["amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x"]).optional(),
  region: dnsLabel.optional(),
  zone: dnsLabel.optional(),
});

const body = z.strictObject({
  name: dnsLabel.optional(),
  image: image.optional(),
  command: commandLine.optional(),
  args: argumentList.default([]),
  env: env.default({}),
  secrets: secrets.default({}),
  sensitive: z.array(envName).max(LIMITS.envVariables).default([]),
  runtime: dnsLabel.optional(),
  resources: resources.default({}),
  timeoutSeconds: whole(1, LIMITS.timeoutSeconds).default(3600),
  retry: retry.prefault({}),
  artifacts: artifacts.optional(),
  logs: z.strictObject({ maxBytes: whole(1, LIMITS.logBytes).default(10 * 1024 * 1024) }).prefault({}),
  volumes: volumes.default([]),
  workdir: absolutePath.optional(),
  user: user.optional(),
  network: z.strictObject({ mode: z.enum(["none", "isolated", "workflow"]).default("isolated") }).prefault({}),
  security: z
    .strictObject({
      readOnlyRoot: z.boolean().default(false),
      addCapabilities: z
        .array(linuxCapability)
        .max(64)
        .refine(unique, rule("duplicate", "names a capability twice"))
        .meta({ uniqueItems: true })
        .default([]),
    })
    .prefault({}),
  labels: labels.default({}),
  lane: dnsLabel.default(DEFAULT_LANE),
  priority: whole(-LIMITS.priority, LIMITS.priority).default(0),
  concurrencyKey: concurrencyKey.optional(),
  stopGraceSeconds: whole(0, LIMITS.stopGraceSeconds).default(10),
  cleanup: z.enum(["always", "onSuccess", "never"]).default("always"),
  registryAuth: secretRef.optional(),
  sidecars: containers.default([]),
  initContainers: containers.default([]),
  healthCheck: healthCheck.optional(),
  placement: placement.optional(),
  budget: z
    .strictObject({ maxCostUsd: z.number().positive().max(1_000_000), tag: labelValue.min(1).optional() })
    .optional(),
});

/** The runtimes that run a command without an image. */
export const WITHOUT_IMAGE: readonly string[] = ["process", "stub"];

/** The job spec as the API takes it, with its defaults. Unknown keys are an error that names the key. */
export const jobSpecSchema = body.superRefine((spec, context) => {
  const add = (path: (string | number)[], code: string, message: string) =>
    context.addIssue({ code: "custom", path, message, params: { code } });
  if (spec.image === undefined && !WITHOUT_IMAGE.includes(spec.runtime ?? "")) {
    add(["image"], "required", "is required, unless the runtime is process");
  }
  if (spec.image === undefined && spec.runtime === "process" && spec.command === undefined && spec.args.length === 0) {
    add(["command"], "required", "is required where there is no image to bring one");
  }
  for (const name of Object.keys(spec.secrets)) {
    if (Object.hasOwn(spec.env, name)) add(["secrets", name], "duplicate", "has the name of a variable of env");
  }
  const seen = new Set<string>();
  for (const kind of ["sidecars", "initContainers"] as const) {
    for (const [index, { name }] of spec[kind].entries()) {
      if (seen.has(name)) add([kind, index, "name"], "duplicate", "is the name of another container of this spec");
      seen.add(name);
    }
  }
});

/** What a submitter may write. */
export type JobSpecInput = z.input<typeof jobSpecSchema>;
/** An accepted spec: normalised, every default in place, named. */
export type JobSpec = Omit<z.output<typeof jobSpecSchema>, "name"> & { name: string };
