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

/**
 * What the operator decides about a deployment, from the CDK's context: `cdk.json` or `-c name=value`. Where the local
 * home has the same setting it has the same meaning.
 */
const schema = z.object({
  /** Which of several homes in one account this is; part of the names of what it makes. */
  stage: name.default("prod"),
  /** What `cdk destroy` does with what holds data: `retain` leaves it, `destroy` takes it away. */
  data: z.enum(["retain", "destroy"]).default("retain"),
  /** The runtimes to offer, in order of preference. */
  runtimes: list.pipe(z.array(z.enum(["docker", "stub"]))).default([]),
  /** Jobs at once, by runtime: `docker=8,stub=4`. */
  maxConcurrent: z
    .string()
    .regex(/^[a-z-]+=\d+(,[a-z-]+=\d+)*$/, "must look like docker=8,stub=4")
    .optional(),
  maxQueued: count(10_000_000).min(1).default(10_000),
  /** Counters that share each bound, so that no partition of the table gets too hot. */
  shards: count(64).min(1).default(4),
  retentionDays: count(36_500).min(1).default(30),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
  /** How long log lines are kept, days; one of CloudWatch's own steps. */
  logRetentionDays: z.coerce
    .number()
    .pipe(z.union([1, 3, 5, 7, 14, 30, 60, 90, 180, 365].map((days) => z.literal(days))))
    .default(30),
  /** The engine that the functions reach, for the runtime docker. */
  dockerHost: z.string().optional(),
  /** Only parameters below it can be named by jobs as `ssm:`; it begins and ends with a slash. */
  ssmPrefix: prefix(/^\/([\w.-]+\/)+$/, "must begin and end with a slash").default("/longshore/jobs/"),
  /** Only secrets below it can be named by jobs as `secretsmanager:`; it ends with a slash. */
  secretsPrefix: prefix(/^([\w.+=@-]+\/)+$/, "must end with a slash").default("longshore/jobs/"),
  /** The sources whose events on the bus may submit jobs; default none. */
  inboundSources: list.default([]),
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

export type InfraSettings = z.infer<typeof schema>;

/** What the context says, read by name. @throws Error that names every setting that cannot be understood. */
export function readSettings(node: Pick<Node, "tryGetContext">): InfraSettings {
  const given = Object.keys(schema.shape).map((key) => [key, node.tryGetContext(key)]);
  const parsed = schema.safeParse(Object.fromEntries(given.filter(([, value]) => value !== undefined)));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`the context is not understood: ${faults.join("; ")}`);
}

/** The name of a resource that has to have one, in a stage. */
export function nameOf({ stage }: InfraSettings, what: string): string {
  return `longshore-${stage}-${what}`;
}
