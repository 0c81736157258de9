import { LongshoreError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/ports/clock.ts";

/** Fargate, or instances of one's own that are registered in the cluster. */
export type Launching =
  | {
      type: "FARGATE";
      /** Default: LATEST. */
      platformVersion?: string;
      /** Public subnets without NAT need it to pull; default true. */
      assignPublicIp?: boolean;
      /** Whether specs may ask for spot: the cluster has the capacity provider FARGATE_SPOT; default false. */
      spot?: boolean;
    }
  | {
      type: "EC2";
      /** Default: any instance of the cluster. */
      capacityProvider?: string;
      /** The capacity provider of spot instances; without one no spec may ask for spot. */
      spotCapacityProvider?: string;
      /** Whether the instances have GPUs; default false. */
      gpu?: boolean;
    };

/** What the operator decides about the tasks. */
export interface EcsRuntimeSettings {
  /** The home whose tasks these are; no other is ever touched. */
  homeId: string;
  /** The ARN of the cluster. */
  clusterArn: string;
  launching: Launching;
  /** Where the tasks' network interfaces are; at least one. */
  subnets: readonly string[];
  /** They should let nothing in. */
  securityGroups: readonly string[];
  /** Pulls, writes the log and reads the secrets on behalf of a task. */
  executionRoleArn: string;
  /** What the job's own code may do in AWS; default nothing. */
  taskRoleArn?: string;
  /** The CloudWatch log group of the tasks. */
  logGroup: string;
  /** Below it an attempt's SecureString parameters are, such as `/longshore/attempts/`; it begins and ends with a slash. */
  parameterPrefix: string;
  /** The KMS key of these parameters; default: the account's own for Systems Manager. */
  parameterKeyId?: string;
  /** Capabilities that a spec may add; default none. */
  allowedCapabilities?: readonly string[];
  /** Of the tasks whose specs do not say; default amd64. */
  arch?: "amd64" | "arm64";
}

export interface EcsRuntimeOptions extends EcsRuntimeSettings {
  /** Jobs at once; default 100. */
  maxConcurrent?: number;
  /**
   * Whether `cancel` resolves only when the task has ended, which takes a minute on Fargate; default true. Where events
   * tell of ends nobody has to wait.
   */
  awaitsStops?: boolean;
  /** Between two looks at the tasks that somebody waits for, ms: one call for a hundred of them; default 3,000. */
  pollMs?: number;
  /** How long after a task's end lines may still be on their way to its log, ms; default 3,000. */
  logDelayMs?: number;
  /** How long ECS may not show yet what it has done, ms; default 30,000. */
  consistencyMs?: number;
  /** Default: the machine's. */
  clock?: Clock;
}

/** Where the cluster is. */
export interface Place {
  partition: string;
  region: string;
  account: string;
  cluster: string;
}

const CLUSTER = /^arn:(aws[a-z-]*):ecs:([a-z0-9-]+):(\d{12}):cluster\/([A-Za-z0-9_-]{1,255})$/;

/** The parts of a cluster's ARN. @throws LongshoreError VALIDATION for what is none. */
export function placeOf(clusterArn: string): Place {
  const [, partition, region, account, cluster] = CLUSTER.exec(clusterArn) ?? [];
  if (partition && region && account && cluster) return { partition, region, account, cluster };
  throw invalid("clusterArn must be the ARN of a cluster");
}

/** @throws LongshoreError VALIDATION for options that cannot be understood. */
export function checkOptions(options: EcsRuntimeOptions): void {
  placeOf(options.clusterArn);
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(options.homeId)) throw invalid("homeId must be of letters, digits, _ and -");
  if (!/^\/([A-Za-z0-9_.-]+\/)+$/.test(options.parameterPrefix)) {
    throw invalid("parameterPrefix must be a path that begins and ends with a slash");
  }
  if (options.subnets.length === 0 || options.securityGroups.length === 0) {
    throw invalid("there must be at least one subnet and one security group");
  }
  if (!/^[A-Za-z0-9_/.#-]{1,512}$/.test(options.logGroup)) throw invalid("logGroup must be the name of a log group");
  for (const name of ["maxConcurrent", "pollMs"] as const) {
    const value = options[name] ?? 1;
    if (!Number.isSafeInteger(value) || value < 1) throw invalid(`${name} must be a whole number above 0`);
  }
}

function invalid(message: string): LongshoreError {
  return new LongshoreError("VALIDATION", `ecs: ${message}`);
}
