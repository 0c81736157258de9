import type { Node } from "constructs";
import * as z from "zod";

const seconds = (days: number) => days * 24 * 3600;

const name = z.string().regex(/^[a-z][a-z0-9-]{0,19}$/, "must be 1 to 20 lower-case letters, digits and dashes");
const prefix = (pattern: RegExp, message: string) => z.string().regex(pattern, message);
const count = (max: number) => z.coerce.number().int().min(0).max(max);
/** On the command line (`-c name=value`) a list is a text with commas. */
const list = z.preprocess(
  (value) => (typeof value === "string" ? value.split(",").map((part) => part.trim()) : value),
  z.array(z.string().min(1)),
);
const flag = z.preprocess((value) => (value === "true" ? true : value === "false" ? false : value), z.boolean());

const STATUSES = "SUCCEEDED|FAILED|CANCELLED|TIMED_OUT";
const BOUNDS = new RegExp(`^(\\d{1,7}|(${STATUSES})=\\d{1,7})(,(${STATUSES})=\\d{1,7})*$`);
const numbersIn = (text: string): number[] => text.split(",").map((part) => Number(part.replace(/^.*=/, "")));

/** A number, and others for single statuses, as text; the functions read it too (`engine/retention.ts`). */
function bounds(max: number) {
  const message = `must be a number from 1 to ${max}, with others for single statuses: 30,FAILED=90`;
  const text = z.string().regex(BOUNDS, message);
  const known = text.refine((given) => numbersIn(given).every((n) => n >= 1 && n <= max), message);
  return z.preprocess((value) => (typeof value === "number" ? String(value) : value), known);
}

const DEFAULT_RETENTION_DAYS = 30;

/**
 * What the operator decides about a deployment, from the CDK's context: `cdk.json` or `-c name=value`. Where the local
 * home has the same setting it has the same meaning.
 */
const fields = z.object({
  /** Which of several homes in one account this is; part of the names of what it makes. */
  stage: name.default("prod"),
  /**
   * The stream of a table that was restored from a backup: the home works on that table instead of one of its own. Default:
   * a table of its own.
   */
  tableStreamArn: z
    .string()
    .regex(
      /^arn:[\w-]+:dynamodb:[\w-]+:\d{12}:table\/[\w.-]+\/stream\/[\w:.-]+$/,
      "must be the ARN of a table's stream",
    )
    .optional(),
  /** What `cdk destroy` does with what holds data: `retain` leaves it, `destroy` takes it away. */
  data: z.enum(["retain", "destroy"]).default("retain"),
  /** The runtimes to offer, in order of preference. */
  runtimes: list.pipe(z.array(z.enum(["ecs", "docker", "stub"]))).default(["ecs"]),
  /** Jobs at once, by runtime: `ecs=200,stub=4`. */
  maxConcurrent: z
    .string()
    .regex(/^[a-z-]+=\d+(,[a-z-]+=\d+)*$/, "must look like ecs=200,stub=4")
    .optional(),
  maxQueued: count(10_000_000).min(1).default(10_000),
  /** Counters that share each bound, so that no partition of the table gets too hot. */
  shards: count(64).min(1).default(4),
  /** Days that a finished run is kept, for single statuses others: `30,FAILED=90`. */
  retentionDays: bounds(36_500).default(String(DEFAULT_RETENTION_DAYS)),
  /** How many of the newest runs are kept: `10000,SUCCEEDED=1000`; default all. */
  retentionRuns: bounds(1_000_000).optional(),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
  /** How long log lines are kept, days; one of CloudWatch's own steps. */
  logRetentionDays: z.coerce
    .number()
    .pipe(z.union([1, 3, 5, 7, 14, 30, 60, 90, 180, 365].map((days) => z.literal(days))))
    .default(30),
  /** What ECS runs jobs on: Fargate, or instances of the operator's that have joined the home's cluster. */
  ecsLaunchType: z.enum(["FARGATE", "EC2"]).default("FARGATE"),
  /** Of the operator's instances; default: any that is in the cluster. */
  ecsCapacityProvider: z.string().min(1).optional(),
  /** Of the operator's spot instances; without one no spec may ask for spot. */
  ecsSpotCapacityProvider: z.string().min(1).optional(),
  /** The operator's instances have GPUs. */
  ecsGpu: flag.default(false),
  /** Of jobs whose specs do not say. */
  ecsArch: z.enum(["amd64", "arm64"]).default("amd64"),
  /** What jobs may do in AWS; default: a role that allows nothing. */
  ecsTaskRoleArn: z
    .string()
    .regex(/^arn:[^:]+:iam::\d{12}:role\/./, "must be the ARN of a role")
    .optional(),
  /** Repositories of this account and region that jobs may have images of; `team/*` are all below it. Default none. */
  ecrRepositories: list.pipe(z.array(z.string().regex(/^[a-z0-9._/*-]+$/, "must name repositories"))).default([]),
  /** The network of the tasks; default: one of the home's own, of public subnets and without NAT. Nothing is looked up. */
  vpcId: z
    .string()
    .regex(/^vpc-[0-9a-z]+$/, "must be the id of a VPC")
    .optional(),
  subnetIds: list.pipe(z.array(z.string().regex(/^subnet-[0-9a-z]+$/, "must be ids of subnets")).min(1)).optional(),
  /** Default: one of the home's own that lets nothing in. */
  securityGroupIds: list
    .pipe(z.array(z.string().regex(/^sg-[0-9a-z]+$/, "must be ids of security groups")).min(1))
    .optional(),
  /** Tasks on Fargate get an address of their own: in subnets without NAT they reach nothing without it. */
  ecsPublicIp: flag.default(true),
  /** The engine that the functions reach, for the runtime docker. */
  dockerHost: z.string().optional(),
  /** Only parameters below it can be named by jobs as `ssm:`; it begins and ends with a slash. */
  ssmPrefix: prefix(/^\/([\w.-]+\/)+$/, "must begin and end with a slash").default("/longshore/jobs/"),
  /** Only secrets below it can be named by jobs as `secretsmanager:`; it ends with a slash. */
  secretsPrefix: prefix(/^([\w.+=@-]+\/)+$/, "must end with a slash").default("longshore/jobs/"),
  /** The sources whose events on the bus may submit jobs; default none. What the home says itself never does. */
  inboundSources: list
    .refine((sources) => !sources.some((source) => source === "longshore"), "may not name longshore itself")
    .default([]),
  /** Requests a second, and at once above that, that the API takes from all callers together. */
  apiRateLimit: count(10_000).min(1).default(200),
  apiBurstLimit: count(5_000).min(1).default(400),
  /**
   * Invocations at once of the functions where a stampede would hurt. An account with a small quota has none to reserve:
   * `reserveConcurrency=false`.
   */
  reserveConcurrency: flag.default(true),
  /** X-Ray for the functions, the API and the lifecycle. */
  tracing: flag.default(true),
  /** Topic that gets the alarms; default: they are only shown. */
  alarmTopicArn: z
    .string()
    .regex(/^arn:[^:]+:sns:/, "must be the ARN of a topic")
    .optional(),
  /** A job that waits longer for a slot raises an alarm, seconds. */
  oldestWaitingAlarmSeconds: count(seconds(30)).min(60).default(3600),
});

/** Settings that make sense only together. */
const schema = fields.superRefine((given, context) => {
  const fault = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
  const { vpcId, subnetIds, securityGroupIds, ecsLaunchType } = given;
  if (vpcId !== undefined && subnetIds === undefined) fault("subnetIds", "must say which subnets of the VPC");
  for (const [name, value] of Object.entries({ subnetIds, securityGroupIds })) {
    if (value !== undefined && vpcId === undefined) fault(name, "needs vpcId");
  }
  if (ecsLaunchType === "EC2") {
    // A task on an instance gets no public address: in a network without NAT it would reach nothing.
    if (vpcId === undefined) fault("vpcId", "must say where the instances are");
    return;
  }
  for (const name of ["ecsCapacityProvider", "ecsSpotCapacityProvider"] as const) {
    if (given[name] !== undefined) fault(name, "needs ecsLaunchType=EC2");
  }
  if (given.ecsGpu) fault("ecsGpu", "needs ecsLaunchType=EC2");
});

export type InfraSettings = z.infer<typeof schema>;

/** What the context says, read by name. @throws Error that names every setting that cannot be understood. */
export function readSettings(node: Pick<Node, "tryGetContext">): InfraSettings {
  const given = Object.keys(fields.shape).map((key) => [key, node.tryGetContext(key)]);
  const parsed = schema.safeParse(Object.fromEntries(given.filter(([, value]) => value !== undefined)));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`the context is not understood: ${faults.join("; ")}`);
}

/** Days that a run is kept whose status has no days of its own, and the most that any is kept. */
export function retentionOf({ retentionDays }: Pick<InfraSettings, "retentionDays">): {
  days: number;
  longest: number;
} {
  const days = /^\d/.test(retentionDays) ? Number.parseInt(retentionDays, 10) : DEFAULT_RETENTION_DAYS;
  return { days, longest: Math.max(days, ...numbersIn(retentionDays)) };
}

/** The name of a resource that has to have one, in a stage. */
export function nameOf({ stage }: InfraSettings, what: string): string {
  return `longshore-${stage}-${what}`;
}
