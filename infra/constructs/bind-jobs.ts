import { ArnFormat, Stack } from "aws-cdk-lib";
import { type InfraSettings, nameOf } from "../settings.ts";
import type { LongshoreFunction } from "./function.ts";
import type { Jobs } from "./jobs.ts";
import { acknowledge, acknowledgeWildcard } from "./nag.ts";

/**
 * What a function asks of ECS, as the runtime port has it: `start` an attempt; find, `stop` and remove what is there of it;
 * read its `logs`; `list` all that is there; ask for the cluster's `health`.
 */
export type JobsUse = "start" | "stop" | "logs" | "list" | "health";

interface Right {
  actions: string[];
  resources: string[];
  conditions?: Record<string, unknown>;
}

/**
 * Lets a function use the cluster. Every function is told of it, since whoever takes a job has to know what its runtimes
 * can do; which rights an action knows: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
 */
export function bindJobs(
  target: LongshoreFunction,
  jobs: Jobs,
  { settings, uses }: { settings: InfraSettings; uses: readonly JobsUse[] },
): void {
  for (const [name, value] of Object.entries(variablesOf(jobs, settings))) target.set(name, value);
  const rights = rightsOf(jobs, settings);
  for (const use of uses) {
    for (const { actions, resources, conditions } of rights[use]) target.allow(actions, resources, conditions);
  }
  if (uses.length === 0) return;
  const { tasks, definitions, ownDefinitions } = arnsOf(jobs, settings);
  for (const arn of [tasks, ...definitions, ownDefinitions]) {
    acknowledgeWildcard(target, arn, "tasks and their definitions have names that ECS or an attempt gives them");
  }
  acknowledgeWildcard(target, jobs.parameters, "parameters have the names of attempts");
  acknowledge(
    target,
    "IAM5[Resource::*]",
    "the actions of X-Ray, of DynamoDB's streams and some of ECS know no resources",
  );
}

/** What the sources read of it is in `functions/aws/settings.ts`. */
function variablesOf(jobs: Jobs, settings: InfraSettings): Record<string, string> {
  const { ecsLaunchType, ecsCapacityProvider, ecsSpotCapacityProvider } = settings;
  return {
    LONGSHORE_ECS_CLUSTER: jobs.cluster.attrArn,
    LONGSHORE_ECS_LAUNCH_TYPE: ecsLaunchType,
    LONGSHORE_ECS_ARCH: settings.ecsArch,
    LONGSHORE_ECS_PUBLIC_IP: settings.ecsPublicIp ? "on" : "off",
    LONGSHORE_ECS_GPU: settings.ecsGpu ? "on" : "off",
    LONGSHORE_ECS_SUBNETS: jobs.subnets.join(","),
    LONGSHORE_ECS_SECURITY_GROUPS: jobs.securityGroups.join(","),
    LONGSHORE_ECS_EXECUTION_ROLE: jobs.executionRole.roleArn,
    LONGSHORE_ECS_TASK_ROLE: jobs.taskRole.roleArn,
    LONGSHORE_ECS_LOG_GROUP: jobs.logGroup.logGroupName,
    LONGSHORE_ECS_PARAMETER_PREFIX: jobs.parameterPrefix,
    LONGSHORE_ECS_PARAMETER_KEY: jobs.parameterKey.keyArn,
    ...(ecsCapacityProvider === undefined ? {} : { LONGSHORE_ECS_CAPACITY_PROVIDER: ecsCapacityProvider }),
    ...(ecsSpotCapacityProvider === undefined ? {} : { LONGSHORE_ECS_SPOT_CAPACITY_PROVIDER: ecsSpotCapacityProvider }),
  };
}

function arnsOf(jobs: Jobs, settings: InfraSettings) {
  const arn = (resource: string) =>
    Stack.of(jobs).formatArn({ service: "ecs", resource, arnFormat: ArnFormat.NO_RESOURCE_NAME });
  const ownDefinitions = arn("task-definition/longshore_*:*");
  return {
    tasks: arn(`task/${nameOf(settings, "jobs")}/*`),
    /** Those of a shape, which jobs share, and those of one attempt, which go with it. */
    definitions: [arn("task-definition/longshore-*:*"), ownDefinitions],
    ownDefinitions,
  };
}

function rightsOf(jobs: Jobs, settings: InfraSettings): Record<JobsUse, Right[]> {
  const { tasks, definitions, ownDefinitions } = arnsOf(jobs, settings);
  const cluster = jobs.cluster.attrArn;
  const inCluster = { ArnEquals: { "ecs:cluster": cluster } };
  const log = [jobs.logGroup.logGroupArn];
  const made = (action: string) => ({ StringEquals: { "ecs:CreateAction": action } });
  const find: Right[] = [
    // Its resource would be an instance of the cluster, of which Fargate has none.
    { actions: ["ecs:ListTasks"], resources: ["*"], conditions: inCluster },
    { actions: ["ecs:DescribeTasks"], resources: [tasks] },
    { actions: ["ecs:ListTaskDefinitionFamilies"], resources: ["*"] },
  ];
  return {
    start: [
      { actions: ["ecs:RunTask"], resources: definitions, conditions: inCluster },
      { actions: ["ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"], resources: ["*"] },
      // To name what is being made, and nothing that is there.
      { actions: ["ecs:TagResource"], resources: [tasks], conditions: made("RunTask") },
      { actions: ["ecs:TagResource"], resources: definitions, conditions: made("RegisterTaskDefinition") },
      {
        actions: ["iam:PassRole"],
        resources: [jobs.executionRole.roleArn, jobs.taskRole.roleArn],
        conditions: { StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" } },
      },
      { actions: ["ssm:PutParameter"], resources: [jobs.parameters] },
      // A long value is encrypted under a data key, a short one under the key itself.
      {
        actions: ["kms:Encrypt", "kms:GenerateDataKey"],
        resources: [jobs.parameterKey.keyArn],
        conditions: jobs.keyConditions,
      },
    ],
    stop: [
      ...find,
      { actions: ["ecs:StopTask"], resources: [tasks] },
      {
        actions: ["ecs:DeregisterTaskDefinition", "ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions"],
        resources: ["*"],
      },
      { actions: ["ecs:DeleteTaskDefinitions"], resources: [ownDefinitions] },
      { actions: ["ssm:DeleteParameters"], resources: [jobs.parameters] },
      { actions: ["logs:DeleteLogStream"], resources: log },
    ],
    logs: [
      { actions: ["ecs:DescribeTasks"], resources: [tasks] },
      { actions: ["logs:GetLogEvents"], resources: log },
    ],
    list: [...find, { actions: ["logs:DescribeLogStreams"], resources: log }],
    health: [{ actions: ["ecs:DescribeClusters"], resources: [cluster] }],
  };
}
