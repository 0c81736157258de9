import {
  CloudWatchLogsClient,
  CreateLogGroupCommand,
  DescribeLogStreamsCommand,
} from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateClusterCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTaskDefinitionFamiliesCommand,
  ListTasksCommand,
} from "@aws-sdk/client-ecs";
import { GetParametersByPathCommand, SSMClient } from "@aws-sdk/client-ssm";
import { createEcsRuntime, type EcsRuntimeOptions } from "../../../../adapters/runtime/ecs/index.ts";
import type { RuntimeAdapter } from "../../../../engine/ports/runtime.ts";
import type { RuntimeFacts, RuntimeHarness } from "../../../contracts/runtime-harness.ts";
import { type LabSettings, labSettings } from "../../../lab/aws.ts";
import { createEcsAgent, type EcsAgent } from "../../../lab/ecs-agent.ts";

export const ECS_FACTS: RuntimeFacts = {
  image: "busybox:1",
  cannot: [
    {
      reason: "ECS has no way to a task's files once it has ended",
      tests: [
        "of an attempt that has ended are the files under the globs, as often as they are asked for",
        "that nobody reads are passed over, and what is not there is told",
        "of an unknown reference, and of an attempt that was cleaned up, are gone",
        "of another home are not handed over",
      ],
    },
    {
      reason: "the container's first process is an init, whose start succeeds: a bad command exits 127 or 126",
      tests: ["refuses a command that cannot be started, and cleanup leaves nothing of it"],
    },
    {
      reason: "ECS does not tell what a task uses; Container Insights does, for a price",
      tests: [
        "tells what a running attempt uses, which only grows, and of no other",
        "counts CPU time in seconds and memory in bytes",
        "is told to the home's own only",
      ],
    },
    {
      reason: "the awslogs driver writes both streams of a container into one and does not say which is which",
      tests: [
        "tells the streams apart",
        "keeps the order of each stream and numbers without gaps",
        "counts the last line without a newline",
      ],
    },
    {
      reason: "CloudWatch Logs takes no empty events: the awslogs driver leaves empty lines out",
      tests: [
        "keeps empty lines and gives no line for no output",
        // They print what they got, and with it an empty value as an empty line.
        "hands over the environment exactly",
        "hands over the arguments exactly",
      ],
    },
  ],
};

export interface EcsHarness extends RuntimeHarness {
  agent: EcsAgent;
  /** A client of moto's ECS, past every adapter. */
  ecs: ECSClient;
  logs: CloudWatchLogsClient;
  ssm: SSMClient;
  /** An adapter with options of its own, and the client that it speaks through. */
  make(homeId: string, options?: Partial<EcsRuntimeOptions>): { adapter: RuntimeAdapter; client: ECSClient };
}

const PREFIX = "/longshore/attempts/";

/** A cluster of moto's and a log group by a name of one's own, and an agent that runs the cluster's tasks here. */
export async function ecsHarness(clusterName: string): Promise<EcsHarness> {
  const settings = await labSettings("aws");
  // Without Longshore's timeouts: on a busy machine moto is slower than any service, and a second try is another call.
  const ecs = new ECSClient(settings);
  const logs = new CloudWatchLogsClient(settings);
  const ssm = new SSMClient(settings);
  const agent = createEcsAgent(settings, { secondMs: 200 });
  const { cluster } = await ecs.send(new CreateClusterCommand({ clusterName }));
  const clusterArn = cluster?.clusterArn ?? "";
  const logGroupName = `/longshore/${clusterName}`;
  await logs.send(new CreateLogGroupCommand({ logGroupName }));
  const subnet = await anySubnet(settings);
  const clients: ECSClient[] = [];

  function make(homeId: string, options: Partial<EcsRuntimeOptions> = {}) {
    // Two tries of its own: what is tried beyond them is the adapter's.
    const client = new ECSClient({ ...settings, maxAttempts: 2 });
    clients.push(client);
    agent.serve(client);
    const adapter = createEcsRuntime(
      {
        homeId,
        clusterArn,
        launching: { type: "FARGATE", spot: true },
        subnets: [subnet],
        securityGroups: ["sg-jobs"],
        executionRoleArn: "arn:aws:iam::123456789012:role/execution",
        logGroup: logGroupName,
        parameterPrefix: PREFIX,
        pollMs: 15,
        logDelayMs: 0,
        consistencyMs: 0,
        ...options,
      },
      { ecs: client, logs, ssm },
    );
    return { adapter, client };
  }

  async function runningTasks(homeId: string): Promise<string[]> {
    const { taskArns: tasks = [] } = await ecs.send(new ListTasksCommand({ cluster: clusterArn }));
    if (tasks.length === 0) return [];
    const described = await ecs.send(new DescribeTasksCommand({ cluster: clusterArn, tasks, include: ["TAGS"] }));
    const own = (described.tasks ?? []).filter((task) => task.tags?.some(({ value }) => value === homeId));
    return own.map((task) => `task ${task.taskArn} ${task.lastStatus}`);
  }

  return {
    agent,
    ecs,
    logs,
    ssm,
    make,
    adapter: (homeId) => make(homeId).adapter,
    async leftovers(homeId) {
      const streams = await logs.send(
        new DescribeLogStreamsCommand({ logGroupName, logStreamNamePrefix: `longshore/${homeId}/` }),
      );
      const { families = [] } = await ecs.send(
        new ListTaskDefinitionFamiliesCommand({ familyPrefix: `longshore_${homeId}_`, status: "ACTIVE" }),
      );
      const path = { Path: `${PREFIX}${homeId}`, Recursive: true };
      const { Parameters = [] } = await ssm.send(new GetParametersByPathCommand(path));
      return [
        ...(await runningTasks(homeId)),
        ...(streams.logStreams ?? []).map(({ logStreamName }) => `log ${logStreamName}`),
        ...families.map((family) => `definition ${family}`),
        ...Parameters.map(({ Name }) => `parameter ${Name}`),
      ];
    },
    async dispose() {
      try {
        await agent.dispose();
      } finally {
        for (const client of [ecs, logs, ssm, ...clients]) client.destroy();
      }
    },
  };
}

/** A subnet of the default VPC that every account of moto's has; there is no other need for the client of EC2. */
async function anySubnet({ endpoint, region, credentials }: LabSettings): Promise<string> {
  const scope = `${credentials.accessKeyId}/20260101/${region}/ec2/aws4_request`;
  const answer = await fetch(endpoint, {
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=none`,
    },
    body: "Action=DescribeSubnets&Version=2016-11-15",
  });
  const found = /<subnetId>(subnet-\w+)</.exec(await answer.text())?.[1];
  if (found === undefined) throw new Error("moto has no default subnet");
  return found;
}
