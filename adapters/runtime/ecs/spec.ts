import { createHash } from "node:crypto";
import type { RegisterTaskDefinitionRequest, RunTaskRequest } from "@aws-sdk/client-ecs";
import { LABELS } from "../../../engine/naming.ts";
import type { Launch } from "../../../engine/ports/runtime.ts";
import { type Environment, environmentOf, registrySecret } from "./environment.ts";
import { capabilityName } from "./features.ts";
import { attemptFamily, CONTAINER, clientToken, groupOf, streamPrefix, tagsOf } from "./names.ts";
import { type EcsRuntimeSettings, placeOf } from "./options.ts";
import { fargateSize, ownSize } from "./sizes.ts";

/** How an attempt is started. */
export interface Plan {
  definition: RegisterTaskDefinitionRequest & { family: string };
  /** The definition is this attempt's alone and goes with it. Else it is shared by all jobs of its shape. */
  own: boolean;
  /** To be written before the start, and removed with the attempt. */
  parameters: Environment["parameters"];
  /** Without the revision of the definition. */
  run: Omit<RunTaskRequest, "taskDefinition">;
}

/** Characters of all overrides as JSON: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html */
const MAX_OVERRIDE_BYTES = 8192;
/** What a task of Fargate has anyway, GiB; one that asks for more gets 21 at least. */
const FARGATE_DISK_GIB = 20;
const ARCHITECTURES = { amd64: "X86_64", arm64: "ARM64" } as const;
type Container = NonNullable<RegisterTaskDefinitionRequest["containerDefinitions"]>[number];

/**
 * An attempt as requests to ECS. Jobs of the same shape (all but arguments, environment and whose they are) share one task
 * definition, named by its hash; arguments and environment are overrides. Where there are sensitive values, or more than
 * an override may hold, the attempt has a definition of its own.
 */
export function planOf(launch: Launch, settings: EcsRuntimeSettings): Plan {
  const environment = environmentOf(launch, settings);
  const { plain, secrets, parameters } = environment;
  const command = launch.spec.args.length === 0 ? {} : { command: [...launch.spec.args] };
  const rest = { ...command, ...(plain.length === 0 ? {} : { environment: plain }) };
  const overrides = { containerOverrides: [{ name: CONTAINER, ...rest }] };
  const fits = Buffer.byteLength(JSON.stringify(overrides)) <= MAX_OVERRIDE_BYTES;
  const own = parameters.length > 0 || !fits;
  const shape = shapeOf(launch, settings, {
    ...(fits ? {} : rest),
    secrets: [...secrets, ...parameters.map(({ name, valueFrom }) => ({ name, valueFrom }))],
  });
  const definition = own
    ? { ...shape, family: attemptFamily(launch, settings.homeId), tags: tagsOf(launch, settings.homeId) }
    : { ...shape, family: sharedFamily(shape), tags: [{ key: LABELS.home, value: settings.homeId }] };
  return { definition, own, parameters, run: runOf(launch, settings, fits ? overrides : undefined) };
}

type Shape = Omit<RegisterTaskDefinitionRequest, "family" | "tags">;

function sharedFamily(shape: Shape): string {
  return `longshore-${createHash("sha256").update(JSON.stringify(shape)).digest("hex").slice(0, 40)}`;
}

function shapeOf({ spec }: Launch, settings: EcsRuntimeSettings, given: Partial<Container>): Shape {
  const { launching, executionRoleArn, taskRoleArn } = settings;
  const fargate = launching.type === "FARGATE";
  const size = fargate ? (fargateSize(spec.resources) ?? ownSize(spec.resources)) : ownSize(spec.resources);
  const diskGib = Math.ceil((spec.resources.diskMiB ?? 0) / 1024);
  const arch =
    spec.placement?.arch === "arm64" || spec.placement?.arch === "amd64" ? spec.placement.arch : settings.arch;
  return {
    requiresCompatibilities: [launching.type],
    networkMode: spec.network.mode === "none" ? "none" : "awsvpc",
    cpu: String(size.cpu),
    memory: String(size.memoryMiB),
    executionRoleArn,
    ...(taskRoleArn === undefined ? {} : { taskRoleArn }),
    runtimePlatform: { operatingSystemFamily: "LINUX", cpuArchitecture: ARCHITECTURES[arch ?? "amd64"] },
    ...(fargate && diskGib > FARGATE_DISK_GIB ? { ephemeralStorage: { sizeInGiB: diskGib } } : {}),
    ...(spec.security.readOnlyRoot ? { volumes: [{ name: "tmp" }] } : {}),
    containerDefinitions: [{ ...containerOf(spec, settings), ...given }],
  };
}

function containerOf(spec: Launch["spec"], settings: EcsRuntimeSettings): Container {
  const { memoryMiB, gpu } = spec.resources;
  const credentials = spec.registryAuth && registrySecret(spec.registryAuth.from, settings.clusterArn);
  return {
    name: CONTAINER,
    image: spec.image ?? "",
    essential: true,
    ...(credentials ? { repositoryCredentials: { credentialsParameter: credentials } } : {}),
    ...(spec.command === undefined || spec.command.length === 0 ? {} : { entryPoint: [...spec.command] }),
    ...(spec.workdir === undefined ? {} : { workingDirectory: spec.workdir }),
    ...(spec.user === undefined ? {} : { user: spec.user }),
    // The container is held to what was asked for, though the task may be larger.
    ...(memoryMiB === undefined ? {} : { memory: memoryMiB }),
    ...(gpu === undefined ? {} : { resourceRequirements: [{ type: "GPU" as const, value: String(gpu.count) }] }),
    // The grace is fixed here: StopTask takes none. Below one second the agent would use its own default.
    stopTimeout: Math.max(1, Math.ceil(spec.stopGraceSeconds)),
    readonlyRootFilesystem: spec.security.readOnlyRoot,
    ...(spec.security.readOnlyRoot ? { mountPoints: [{ sourceVolume: "tmp", containerPath: "/tmp" }] } : {}),
    ...(settings.launching.type === "EC2" ? { privileged: false, dockerSecurityOptions: ["no-new-privileges"] } : {}),
    linuxParameters: {
      // A first process that passes signals on and reaps: without it a plain command is deaf to SIGTERM.
      initProcessEnabled: true,
      capabilities: { drop: ["ALL"], add: spec.security.addCapabilities.map(capabilityName) },
    },
    logConfiguration: {
      logDriver: "awslogs",
      options: {
        "awslogs-group": settings.logGroup,
        "awslogs-region": placeOf(settings.clusterArn).region,
        "awslogs-stream-prefix": streamPrefix(settings.homeId),
        // Lines that do not fit through in time must hold the command up: none is dropped.
        mode: "blocking",
      },
    },
  };
}

function runOf(launch: Launch, settings: EcsRuntimeSettings, overrides: RunTaskRequest["overrides"]): Plan["run"] {
  const { launching, subnets, securityGroups, homeId, clusterArn } = settings;
  const fargate = launching.type === "FARGATE";
  const identity = { homeId, jobId: launch.jobId, attempt: launch.attempt };
  const publicIp = fargate && launching.assignPublicIp !== false;
  const network = {
    subnets: [...subnets],
    securityGroups: [...securityGroups],
    // Tasks on instances of one's own cannot have one.
    ...(fargate ? { assignPublicIp: publicIp ? ("ENABLED" as const) : ("DISABLED" as const) } : {}),
  };
  return {
    cluster: clusterArn,
    count: 1,
    clientToken: clientToken(identity, launch.replaces),
    startedBy: launch.externalName,
    group: groupOf(identity),
    tags: tagsOf(launch, homeId),
    ...capacityOf(launch, launching),
    ...(fargate ? { platformVersion: launching.platformVersion ?? "LATEST" } : {}),
    ...(launch.spec.network.mode === "none" ? {} : { networkConfiguration: { awsvpcConfiguration: network } }),
    ...(overrides === undefined ? {} : { overrides }),
  };
}

function capacityOf(
  { spec }: Launch,
  launching: EcsRuntimeSettings["launching"],
): Pick<RunTaskRequest, "launchType" | "capacityProviderStrategy"> {
  const spot = spec.placement?.spot === true;
  if (launching.type === "FARGATE") return spot ? only("FARGATE_SPOT") : { launchType: "FARGATE" };
  const provider = spot ? launching.spotCapacityProvider : launching.capacityProvider;
  return provider === undefined ? { launchType: "EC2" } : only(provider);
}

function only(capacityProvider: string): Pick<RunTaskRequest, "capacityProviderStrategy"> {
  return { capacityProviderStrategy: [{ capacityProvider, weight: 1, base: 0 }] };
}
