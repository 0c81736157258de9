import * as z from "zod";
import { LongshoreError, type Violation } from "../../engine/errors.ts";
import { retentionDays, retentionRuns } from "../../engine/retention.ts";

/** The runtimes that a deployed home can offer, in the order in which it prefers them. */
export const AWS_RUNTIMES = ["ecs", "docker", "stub"] as const;
export type AwsRuntimeName = (typeof AWS_RUNTIMES)[number];

/** A process's environment, as `process.env` has it. */
export type Environment = Record<string, string | undefined>;

function wholeNumber(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, message)
    .transform(Number)
    .pipe(z.number().min(min, message).max(max, message));
}

const runtimeName = z.enum(AWS_RUNTIMES, { error: `may name only ${AWS_RUNTIMES.join(", ")}` });
const commaList = z.string().transform((text) => text.split(",").map((part) => part.trim()));
const concurrency = commaList
  .transform((parts) => parts.map((part) => part.split("=")))
  .pipe(z.array(z.tuple([runtimeName, wholeNumber(1, 100_000)], { error: "must look like docker=8,stub=4" })))
  .transform((pairs): Partial<Record<AwsRuntimeName, number>> => Object.fromEntries(pairs));

const onOff = z.enum(["on", "off"], { error: "must be on or off" });

/**
 * What a function is told by its deployment. A resource that it has no right to is not named to it, but for the cluster's:
 * every function has to know what its runtimes can do.
 */
const schema = z.object({
  /** Which of several homes in one account this is. */
  LONGSHORE_STAGE: z.string().default("prod"),
  LONGSHORE_TABLE: z.string().min(1, "must name the table"),
  LONGSHORE_BUCKET: z.string().optional(),
  LONGSHORE_BUS: z.string().optional(),
  LONGSHORE_STATE_MACHINE: z.string().optional(),
  LONGSHORE_SPEC_KEY: z.string().optional(),
  LONGSHORE_DIGEST_KEY: z.string().optional(),
  LONGSHORE_SSM_PREFIX: z.string().optional(),
  LONGSHORE_SECRETS_PREFIX: z.string().optional(),
  LONGSHORE_RUNTIMES: commaList.pipe(z.array(runtimeName)).default([]),
  LONGSHORE_MAX_CONCURRENT: concurrency.default({}),
  LONGSHORE_MAX_QUEUED: wholeNumber(1, 10_000_000).default(10_000),
  LONGSHORE_SHARDS: wholeNumber(1, 64).default(4),
  LONGSHORE_RETENTION_DAYS: retentionDays.default({ all: 30, byStatus: {} }),
  LONGSHORE_RETENTION_RUNS: retentionRuns.default({ all: null, byStatus: {} }),
  LONGSHORE_LOG_LEVEL: z
    .enum(["debug", "info", "warn", "error"], { error: "must be one of debug, info, warn, error" })
    .default("info"),
  LONGSHORE_TRACING: onOff.default("off"),
  /** The ARN of the cluster. */
  LONGSHORE_ECS_CLUSTER: z.string().optional(),
  LONGSHORE_ECS_LAUNCH_TYPE: z.enum(["FARGATE", "EC2"], { error: "must be FARGATE or EC2" }).default("FARGATE"),
  /** Of instances, by default and for specs that ask for spot. */
  LONGSHORE_ECS_CAPACITY_PROVIDER: z.string().optional(),
  LONGSHORE_ECS_SPOT_CAPACITY_PROVIDER: z.string().optional(),
  LONGSHORE_ECS_GPU: onOff.default("off"),
  LONGSHORE_ECS_ARCH: z.enum(["amd64", "arm64"], { error: "must be amd64 or arm64" }).default("amd64"),
  LONGSHORE_ECS_PUBLIC_IP: onOff.default("on"),
  LONGSHORE_ECS_SUBNETS: commaList.optional(),
  LONGSHORE_ECS_SECURITY_GROUPS: commaList.optional(),
  LONGSHORE_ECS_EXECUTION_ROLE: z.string().optional(),
  LONGSHORE_ECS_TASK_ROLE: z.string().optional(),
  LONGSHORE_ECS_LOG_GROUP: z.string().optional(),
  /** Below it the parameters of attempts are. */
  LONGSHORE_ECS_PARAMETER_PREFIX: z.string().optional(),
  LONGSHORE_ECS_PARAMETER_KEY: z.string().optional(),
  /** Where the WebSockets of logs take messages. */
  LONGSHORE_LOG_STREAMS: z.string().optional(),
  /** Set by Lambda. */
  AWS_LAMBDA_FUNCTION_NAME: z.string().optional(),
  DOCKER_HOST: z
    .string()
    .regex(/^(unix|tcp|http|https):\/\/./, "must be a URL such as tcp://10.0.0.7:2376")
    .optional(),
});

export type AwsSettings = z.infer<typeof schema>;

/**
 * Reads what the deployment says; a variable that is set to nothing counts as unset.
 * @throws LongshoreError VALIDATION that names every setting that cannot be understood, with one violation for each.
 */
export function readAwsSettings(env: Environment): AwsSettings {
  const given = Object.fromEntries(Object.keys(schema.shape).flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const violations = new Map<string, Violation>();
  for (const { path, message } of parsed.error.issues) {
    const name = String(path[0]);
    if (!violations.has(name)) violations.set(name, { path: name, code: "SETTING", message });
  }
  const found = [...violations.values()];
  const message = found.map((one) => `${one.path} ${one.message}`).join("; ");
  throw new LongshoreError("VALIDATION", message, { violations: found });
}

/**
 * A setting that this function cannot do without.
 * @throws LongshoreError INTERNAL when its deployment left it out.
 */
export function required<N extends keyof AwsSettings>(settings: AwsSettings, name: N): NonNullable<AwsSettings[N]> {
  const value = settings[name];
  if (value !== undefined) return value as NonNullable<AwsSettings[N]>;
  throw new LongshoreError("INTERNAL", `this function was deployed without ${name}`);
}
