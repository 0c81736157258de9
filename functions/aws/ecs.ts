import type { EcsRuntimeOptions } from "../../adapters/runtime/ecs/options.ts";
import { type AwsSettings, required } from "./settings.ts";

/**
 * What the deployment says of its cluster.
 * @throws LongshoreError INTERNAL when the function was deployed without what it names.
 */
export function ecsOptions(settings: AwsSettings, homeId: string): Omit<EcsRuntimeOptions, "maxConcurrent"> {
  const taskRoleArn = settings.LONGSHORE_ECS_TASK_ROLE;
  const parameterKeyId = settings.LONGSHORE_ECS_PARAMETER_KEY;
  return {
    homeId,
    clusterArn: required(settings, "LONGSHORE_ECS_CLUSTER"),
    launching: launchingOf(settings),
    subnets: required(settings, "LONGSHORE_ECS_SUBNETS"),
    securityGroups: required(settings, "LONGSHORE_ECS_SECURITY_GROUPS"),
    executionRoleArn: required(settings, "LONGSHORE_ECS_EXECUTION_ROLE"),
    logGroup: required(settings, "LONGSHORE_ECS_LOG_GROUP"),
    parameterPrefix: required(settings, "LONGSHORE_ECS_PARAMETER_PREFIX"),
    arch: settings.LONGSHORE_ECS_ARCH,
    ...(taskRoleArn === undefined ? {} : { taskRoleArn }),
    ...(parameterKeyId === undefined ? {} : { parameterKeyId }),
  };
}

function launchingOf(settings: AwsSettings): EcsRuntimeOptions["launching"] {
  if (settings.LONGSHORE_ECS_LAUNCH_TYPE === "FARGATE") {
    return { type: "FARGATE", spot: true, assignPublicIp: settings.LONGSHORE_ECS_PUBLIC_IP === "on" };
  }
  const capacityProvider = settings.LONGSHORE_ECS_CAPACITY_PROVIDER;
  const spotCapacityProvider = settings.LONGSHORE_ECS_SPOT_CAPACITY_PROVIDER;
  return {
    type: "EC2",
    gpu: settings.LONGSHORE_ECS_GPU === "on",
    ...(capacityProvider === undefined ? {} : { capacityProvider }),
    ...(spotCapacityProvider === undefined ? {} : { spotCapacityProvider }),
  };
}
