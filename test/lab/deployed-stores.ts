import { DynamoDBClient, paginateScan } from "@aws-sdk/client-dynamodb";
import {
  EventBridgeClient,
  ListTargetsByRuleCommand,
  PutRuleCommand,
  PutTargetsCommand,
} from "@aws-sdk/client-eventbridge";
import { GetObjectCommand, paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import { type HistoryEvent, paginateGetExecutionHistory, paginateListExecutions, SFNClient } from "@aws-sdk/client-sfn";
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { holds } from "../scenarios/needles.ts";
import type { DeployedHome } from "./deployed-home.ts";

/** What came out of the bus. */
export interface Heard {
  "detail-type": string;
  detail: { id: string; type: string; subject: string; data: unknown };
}

/** An execution of the lifecycle, with its history. */
export interface Execution {
  name: string;
  events: HistoryEvent[];
}

/** All places where a deployed home keeps or tells something. */
export interface DeployedStores {
  items(): Promise<unknown[]>;
  /** The keys and contents of all objects. */
  objects(): Promise<string[]>;
  executions(): Promise<Execution[]>;
  /** What the home has put on its bus since the stores were opened. */
  heard(): Promise<Heard[]>;
  /** For each text the places that hold it, plain or in one of the forms that it might have. */
  holding(texts: readonly string[]): Promise<string[][]>;
  close(): void;
}

/** Opens the stores, and listens to the bus by a queue of the test's own. */
export async function openStores(home: DeployedHome, bus: string): Promise<DeployedStores> {
  const table = new DynamoDBClient(home.client);
  const bucket = new S3Client({ ...home.client, forcePathStyle: true });
  const machines = new SFNClient(home.client);
  const queues = new SQSClient(home.client);
  const QueueUrl = await listen(home, bus, queues);
  const messages: string[] = [];

  async function items(): Promise<unknown[]> {
    const found: unknown[] = [];
    const TableName = home.physicalId("AWS::DynamoDB::Table");
    for await (const { Items = [] } of paginateScan({ client: table }, { TableName })) found.push(...Items);
    return found;
  }

  async function objects(): Promise<string[]> {
    const Bucket = home.physicalId("AWS::S3::Bucket");
    const texts: string[] = [];
    for await (const { Contents = [] } of paginateListObjectsV2({ client: bucket }, { Bucket })) {
      for (const { Key } of Contents) {
        const { Body } = await bucket.send(new GetObjectCommand({ Bucket, Key }));
        texts.push(Key ?? "", (await Body?.transformToString()) ?? "");
      }
    }
    return texts;
  }

  async function executions(): Promise<Execution[]> {
    const stateMachineArn = home.physicalId("AWS::StepFunctions::StateMachine");
    const found: Execution[] = [];
    for await (const { executions: page = [] } of paginateListExecutions({ client: machines }, { stateMachineArn })) {
      for (const { executionArn, name = "" } of page) {
        const one: Execution = { name, events: [] };
        const query = { executionArn, includeExecutionData: true };
        for await (const { events = [] } of paginateGetExecutionHistory({ client: machines }, query)) {
          one.events.push(...events);
        }
        found.push(one);
      }
    }
    return found;
  }

  async function listened(): Promise<string[]> {
    for (;;) {
      const query = { QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 3600 };
      const { Messages = [] } = await queues.send(new ReceiveMessageCommand(query));
      messages.push(...Messages.map(({ Body }) => Body ?? "null"));
      if (Messages.length === 0) return messages;
    }
  }

  return {
    items,
    objects,
    executions,
    heard: async () => (await listened()).map((text) => JSON.parse(text) as Heard),
    async holding(texts) {
      const { runner } = home;
      const places: Record<string, string[]> = {
        table: textsIn(await items()),
        objects: await objects(),
        histories: textsIn(await executions()),
        bus: await listened(),
        logs: [runner.output()],
        answers: runner.invocations.map(({ payload }) => payload),
      };
      const contents = Object.entries(places).map(([place, parts]) => [place, Buffer.from(parts.join("\n"))] as const);
      return texts.map((text) => contents.filter(([, bytes]) => holds(bytes, text)).map(([place]) => place));
    },
    close() {
      for (const client of [table, bucket, machines, queues]) client.destroy();
    },
  };
}

async function listen(home: DeployedHome, EventBusName: string, queues: SQSClient): Promise<string> {
  const client = new EventBridgeClient(home.client);
  const { QueueUrl = "" } = await queues.send(new CreateQueueCommand({ QueueName: "heard" }));
  const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] });
  const { Attributes } = await queues.send(asked);
  const EventPattern = JSON.stringify({ source: ["longshore"] });
  await client.send(new PutRuleCommand({ Name: "heard", EventBusName, EventPattern }));
  const Targets = [{ Id: "queue", Arn: Attributes?.QueueArn }];
  await client.send(new PutTargetsCommand({ Rule: "heard", EventBusName, Targets }));
  const there = await client.send(new ListTargetsByRuleCommand({ Rule: "heard", EventBusName }));
  if (there.Targets?.length !== 1) throw new Error("nobody listens to the bus");
  client.destroy();
  return QueueUrl;
}

/** Every text that is somewhere in a value, as it stands there; bytes as base64. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (value instanceof Uint8Array)
    return [Buffer.from(value).toString("base64"), Buffer.from(value).toString("latin1")];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => [name, ...textsIn(member)]);
}
