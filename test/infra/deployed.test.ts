import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { CreateSecretCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { GATEWAY_PROBLEMS } from "../../infra/constructs/api.ts";
import { type AwsFront, CALLER, openAwsFront } from "../lab/aws-front.ts";
import { openConnection, startConnectionsServer } from "../lab/connections-server.ts";
import { describeWith } from "../lab/counterparts.ts";
import { type DeployedHome, deployHome } from "../lab/deployed-home.ts";
import { type DeployedStores, openStores } from "../lab/deployed-stores.ts";
import { awsScenarios, awsTarget } from "../scenarios/aws.ts";
import { call, cleanedUp, ended, logsOf, show, submit, type Target, until } from "../scenarios/client.ts";
import type { Job, JobEvent, Page } from "../scenarios/contract.ts";
import { type LocalHome, startLocalHome } from "../scenarios/local-home.ts";
import { DOCKER, dockerJob, stubJob } from "../scenarios/runtimes.ts";
import { ecsLives } from "./ecs-lives.ts";
import { synthesize } from "./template.ts";

const BUS = "longshore-lab-bus";
const CONTEXT = {
  stage: "lab",
  runtimes: "docker,stub,ecs",
  dockerHost: "unix:///var/run/docker.sock",
  inboundSources: "my.app",
  logLevel: "debug",
  data: "destroy",
};
const CANARY = "canary-6f1c9d0b7e";
const SECRET = "canary-referenced-51ab";

let home: DeployedHome;
let front: AwsFront;
let stores: DeployedStores;
let local: LocalHome;
const aws = awsTarget(() => ({ home, front, stores }));
const here: Target = { api: () => local.api() };

describeWith("aws", "a home in AWS", () => {
  beforeAll(async () => {
    // Whichever of them fails, the other one is there to be ended.
    const deploying = deployHome(CONTEXT).catch((error: unknown) => error);
    local = await startLocalHome();
    const deployed = await deploying;
    if (deployed instanceof Error) throw deployed;
    home = deployed as DeployedHome;
    front = await openAwsFront(home);
    stores = await openStores(home, BUS);
  }, 300_000);
  afterAll(async () => {
    await front?.stop();
    stores?.close();
    await local?.dispose();
    await home?.stop();
  });

  it("is deployed by the CDK but for what moto cannot create", () => {
    expect(countsOf(home.resources.map(({ type }) => type))).toMatchObject({
      "AWS::DynamoDB::Table": 1,
      "AWS::ECS::Cluster": 1,
      "AWS::EC2::VPC": 1,
      "AWS::EC2::Subnet": 2,
      "AWS::EC2::SecurityGroup": 1,
      "AWS::S3::Bucket": 1,
      "AWS::KMS::Key": 2,
      "AWS::Lambda::Function": 12,
      "AWS::Lambda::EventSourceMapping": 2,
      "AWS::StepFunctions::StateMachine": 1,
      "AWS::Events::EventBus": 1,
      "AWS::Events::Archive": 1,
      "AWS::Events::Rule": 4,
      "AWS::ApiGateway::RestApi": 1,
      "AWS::SQS::Queue": 11,
    });
    const functions = [
      ...["ChangeFeed", "Dispatch", "Finalize", "InboundEvents", "LogSocket", "Publish", "Query", "Reconcile"],
      ...["Resubmit", "RuntimeEvents", "Stream", "Submit"],
    ];
    const withQueue = functions.filter((name) => name !== "InboundEvents");
    expect(home.placeholders).toEqual(
      [
        "AWS::ApiGateway::Account ApiAccount",
        "AWS::ApiGateway::Stage ApiDeploymentStageapi",
        "AWS::ApiGatewayV2::Api LogStreams",
        ...["connectRouteConnect", "defaultRouteIgnored"].map(
          (name) => `AWS::ApiGatewayV2::Integration LogStreams${name}`,
        ),
        ...["connectRoute", "defaultRoute"].map((name) => `AWS::ApiGatewayV2::Route LogStreams${name}`),
        "AWS::ApiGatewayV2::Stage LogStreamsStage",
        "AWS::S3::BucketPolicy BucketPolicy",
        ...functions.map((name) => `AWS::Lambda::EventInvokeConfig ${name}FunctionEventInvokeConfig`),
        ...withQueue.map((name) => `AWS::SQS::QueuePolicy ${name}DlqPolicy`),
        ...GATEWAY_PROBLEMS.map(
          ([{ responseType }]) => `AWS::ApiGateway::GatewayResponse ${gatewayResponseId(responseType)}`,
        ),
        ...withQueue.map((name) => `AWS::CloudWatch::Alarm ${name}Dlq`),
        ...[
          ...["ApiFailures", "ChangeFeedLate", "DispatchErrors", "FailedExecutions", "InboundEventsErrors"],
          ...["OldestWaiting", "PublishLate", "SweepFailures", "Throttles"],
        ].map((name) => `AWS::CloudWatch::Alarm ${name}`),
      ].sort(),
    );
  });

  it("tells where it is", async () => {
    const client = new CloudFormationClient(home.client);
    const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: "longshore-lab-home" }));
    client.destroy();
    const told = Object.fromEntries(Stacks?.[0]?.Outputs?.map((one) => [one.OutputKey, one.OutputValue]) ?? []);
    expect(told).toMatchObject({ BusName: BUS, TableName: home.physicalId("AWS::DynamoDB::Table") });
    // Of the stage there is only a placeholder here.
    expect(told.LogStreamUrl).toMatch(/^wss:\/\/\S+\/logs$/);
    expect(told.ApiUrl).toMatch(/^https:\/\/\w+\.execute-api\.us-east-1\.amazonaws\.com\/\S+\/v1$/);
    // Named by nobody, so that the next home of this stage can be deployed beside it.
    expect(home.physicalId("AWS::Events::Archive")).toMatch(/^longshore-lab-home-Archive/);
  });

  it("takes a signed submission to its end, with the events and the states of the local home", async () => {
    const spec = stubJob({}, { name: "life", labels: { team: "a" } });
    const accepted = await submit(aws, spec);
    expect(accepted).toMatchObject({ status: "PENDING", submittedBy: CALLER });
    const events = await cleanedUp(aws, accepted.jobId);
    const reference = await cleanedUp(here, (await submit(here, spec)).jobId);
    expect(events.map(essence)).toEqual(reference.map(essence));
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
    const job = await show(aws, accepted.jobId);
    expect(job).toMatchObject({ status: "SUCCEEDED", exitCode: 0, attempt: 1, error: null });
    await vi.waitFor(async () => expect(await statesOf(job.jobId)).toEqual(["Run", "Finalize"]), WAIT);
  });

  it("publishes every event, in order, with its stable id", async () => {
    const { jobId } = await submit(aws, stubJob());
    const events = await cleanedUp(aws, jobId);
    await vi.waitFor(async () => {
      const seen = (await stores.heard()).filter(({ detail }) => detail.subject === jobId);
      const first = [...new Map(seen.map(({ detail }) => [detail.id, detail])).values()];
      expect(first.map(({ id }) => id)).toEqual(events.map(({ seq }) => `${jobId}#${seq}`));
      expect(first.map(({ type }) => type)).toEqual(events.map(({ type }) => type));
    }, WAIT);
  });

  it("judges a failure, retries it with an execution of its own, and keeps a dead letter that can be replayed", async () => {
    const spec = stubJob({ STUB_EXIT_CODE: "3" }, { retry: { maxAttempts: 2, delaySeconds: 1, on: ["USER_CODE"] } });
    const { jobId } = await submit(aws, spec);
    expect(await ended(aws, jobId)).toMatchObject({ status: "FAILED", attempt: 2, exitCode: 3 });
    expect((await executions()).filter((name) => name.startsWith(jobId)).sort()).toEqual([
      `${jobId}-1-0`,
      `${jobId}-2-0`,
    ]);
    const id = `dl_${jobId.slice(4)}`;
    const replay = await call<Job>(aws, `/dead-letters/${id}/replay`, { method: "POST" });
    expect(replay.status, replay.text).toBe(202);
    expect(await ended(aws, replay.body.jobId)).toMatchObject({ status: "FAILED", retryOf: jobId });
  });

  it("gives the first job again for the same key, whichever process is asked", async () => {
    const headers = { "Idempotency-Key": "once" };
    const [first, second] = await Promise.all([submit(aws, stubJob(), headers), submit(aws, stubJob(), headers)]);
    expect(second.jobId).toBe(first.jobId);
    const other = await call(aws, "/jobs", { body: stubJob({ STUB_EXIT_CODE: "1" }), headers });
    expect(other.status).toBe(409);
  });

  it("answers what the API does not have by a problem document", async () => {
    const unknown = await call(aws, "/nothing");
    expect([unknown.status, unknown.body]).toMatchObject([404, { code: "NOT_FOUND", instance: "/api/v1/nothing" }]);
    const wrong = await call(aws, "/jobs", { method: "PATCH", body: {} });
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST, GET"]);
    expect((await call(aws, "/jobs", { body: "{" })).status).toBe(400);
    expect((await call(aws, "/jobs/job_00000000000000000000000000/events")).status).toBe(404);
  });

  it("takes a job from an event, once, and rejects what may not be on the bus", async () => {
    const good = { spec: stubJob({}, { name: "inbound" }), idempotencyKey: "inbound-1" };
    await put("my.app", good);
    await put("my.app", good);
    await put("other.app", { spec: stubJob({}, { name: "other" }) });
    await put("my.app", { spec: stubJob({ DB_PASSWORD: CANARY }) });
    await put("my.app", { spec: { runtime: "stub", nonsense: 1 } });
    const rejected = await vi.waitFor(async () => {
      const found = (await stores.heard()).filter(({ "detail-type": type }) => type === "Job Submission Rejected");
      expect(found).toHaveLength(2);
      return found;
    }, WAIT);
    expect(
      rejected.map(({ detail }) => (detail.data as { violations: { code: string }[] }).violations[0]?.code).sort(),
    ).toEqual(["plain_secret", "unknown_key"]);
    const jobs = await vi.waitFor(async () => {
      const { body } = await call<Page<Job>>(aws, "/jobs?name=inbound");
      expect(body.items).toHaveLength(1);
      return body.items;
    }, WAIT);
    expect(jobs[0]).toMatchObject({ submittedBy: "event:my.app" });
    await ended(aws, jobs[0]?.jobId ?? "");
    expect((await call<Page<Job>>(aws, "/jobs?name=other")).body.items).toEqual([]);
  });

  it("is swept by the function of its schedule, which tells its numbers", async () => {
    const { jobId } = await submit(aws, stubJob({ STUB_DURATION_MS: "1" }));
    await ended(aws, jobId);
    const report = await invoke("Reconcile", {});
    expect(report).toMatchObject({ failed: 0, failures: [] });
    const metrics = home.runner
      .output()
      .split("\n")
      .filter((line) => line.includes("longshore_queue_oldest_seconds"));
    expect(JSON.parse(metrics.at(-1) ?? "null")).toMatchObject({ longshore_queue_oldest_seconds: 0, service: "lab" });
  });

  describe("with a cluster of its own", () => ecsLives({ home: () => home, aws, invoke }));

  it("has called, for each function, nothing that the function's role does not allow", async () => {
    const calls = home.calls();
    await using folder = await mkdtempDisposable(join(tmpdir(), "longshore-rights-"));
    const { statementsOf } = synthesize(CONTEXT, { outdir: folder.path });
    for (const [name, called] of calls) {
      const allowed = statementsOf(name).flatMap(({ actions }) => actions);
      const others = [...called].filter((action) => !TABLE.test(action) && !allowed.includes(action));
      expect(others, name).toEqual([]);
    }
    // What it looks at is there: the calls of a launch and of a sweep.
    expect([...(calls.get("Dispatch") ?? [])]).toEqual(expect.arrayContaining(["ecs:RunTask", "ssm:PutParameter"]));
    expect([...(calls.get("Reconcile") ?? [])]).toEqual(expect.arrayContaining(["logs:DescribeLogStreams"]));
    expect([...(calls.get("RuntimeEvents") ?? [])].filter((action) => !TABLE.test(action))).toEqual([
      "states:SendTaskSuccess",
    ]);
  });

  describeWith("docker", "with an engine that its functions reach", () => {
    it("runs a container and keeps what it wrote, as the local home does", async () => {
      const spec = { ...DOCKER.talk(0), name: "life" };
      const [{ jobId }, { jobId: reference }] = await Promise.all([submit(aws, spec), submit(here, spec)]);
      const events = await cleanedUp(aws, jobId);
      expect(events.map(essence)).toEqual((await cleanedUp(here, reference)).map(essence));
      const texts = (await logsOf(aws, jobId)).map(({ text }) => text).sort();
      expect(texts).toEqual(["one", "oops", "two"]);
    });

    it("tells a WebSocket of a log, by an invocation that the one of its opening has begun", async () => {
      const { jobId } = await submit(aws, DOCKER.talk(0));
      await ended(aws, jobId);
      const server = await startConnectionsServer();
      try {
        await home.configure({ LONGSHORE_LOG_STREAMS: server.endpoint }, "LogSocket");
        const connection = openConnection();
        server.connections.set("c=", connection);
        const query = { jobId: [jobId], stream: ["stdout"] };
        const requestContext = { routeKey: "$connect", connectionId: "c=" };
        const opened = { headers: {}, queryStringParameters: { jobId }, multiValueQueryStringParameters: query };
        expect(await invoke("LogSocket", { ...opened, requestContext })).toMatchObject({ statusCode: 200 });
        await vi.waitFor(() => expect(connection.isEnded).toBe(true), WAIT);
        const said = connection.texts.map((text) => JSON.parse(text));
        expect(said.map(({ event, data }) => [event, data.text ?? data.status])).toEqual([
          ["heartbeat", undefined],
          ["log", "one"],
          ["log", "two"],
          ["end", "SUCCEEDED"],
        ]);
        const unknown = { jobId: ["job_00000000000000000000000000"] };
        const refused = { ...opened, multiValueQueryStringParameters: unknown, requestContext };
        expect(await invoke("LogSocket", refused)).toMatchObject({ statusCode: 404 });
      } finally {
        await server.close();
      }
    });

    it("stops a container that runs, and only then says so", async () => {
      const { jobId } = await submit(aws, DOCKER.forever());
      await until(aws, jobId, (job) => expect(job.status).toBe("RUNNING"));
      expect((await call(aws, `/jobs/${jobId}/cancel`, { method: "POST" })).status).toBe(202);
      const events = await cleanedUp(aws, jobId);
      expect(events.map(({ type }) => type).filter((type) => /CANCEL|EXITED/.test(type))).toEqual([
        "CANCEL_REQUESTED",
        "EXITED",
        "CANCELLED",
      ]);
    });

    it("lets a secret value rest nowhere, and names the job on every line of its functions", async () => {
      const secrets = new SecretsManagerClient(home.client);
      await secrets.send(new CreateSecretCommand({ Name: "longshore/jobs/db", SecretString: SECRET }));
      secrets.destroy();
      const spec = dockerJob('echo "says $DB_PASSWORD and $API_TOKEN"', {
        env: { DB_PASSWORD: CANARY },
        secrets: { API_TOKEN: { from: "secretsmanager:longshore/jobs/db" } },
      });
      const { jobId } = await submit(aws, spec);
      expect(await ended(aws, jobId)).toMatchObject({ status: "SUCCEEDED" });
      await cleanedUp(aws, jobId);
      const [line] = await logsOf(aws, jobId);
      expect(line?.text).toMatch(/^says \S+ and \S+$/);
      // What is told everywhere is found everywhere: so the search would find a secret.
      const everywhere = ["table", "objects", "histories", "bus", "answers"];
      await vi.waitFor(async () => {
        expect(await stores.holding([jobId, CANARY, SECRET])).toEqual([everywhere, [], []]);
      }, WAIT);
      const lines = home.runner
        .output()
        .split("\n")
        .filter((line) => line.startsWith('{"level"'))
        .map((line) => JSON.parse(line));
      const ofTasks = lines.filter(({ function_name: name }) => /Dispatch|Finalize/.test(name));
      expect(ofTasks.filter(({ jobId: named }) => !/^job_/.test(named ?? ""))).toEqual([]);
    });
  });

  awsScenarios(() => ({ home, front, stores }));
});

/** Of the table's transactions IAM knows the parts only. */
const TABLE = /^dynamodb:/;

/** The CDK leaves out of a logical id what is neither letter nor digit. */
function gatewayResponseId(type: string): string {
  return `ApiProblem${type.replaceAll("_", "")}`;
}

const WAIT = { timeout: 20_000, interval: 100 };

/** What of an event must be the same in both homes. */
function essence({ seq, type, status, phase, attempt, data }: JobEvent): unknown {
  return { seq, type, status, phase, attempt, data: Object.keys(data).sort() };
}

function countsOf(names: string[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]));
}

async function invoke(logicalId: string, event: unknown): Promise<unknown> {
  const client = new LambdaClient(home.client);
  const FunctionName = home.physicalId("AWS::Lambda::Function", `${logicalId}Function`);
  const { Payload, FunctionError } = await client.send(
    new InvokeCommand({ FunctionName, Payload: JSON.stringify(event) }),
  );
  client.destroy();
  const text = Buffer.from(Payload ?? []).toString("utf8");
  expect(FunctionError, text).toBeUndefined();
  return JSON.parse(text);
}

async function put(Source: string, detail: unknown): Promise<void> {
  const client = new EventBridgeClient(home.client);
  const entry = { EventBusName: BUS, Source, DetailType: "Job Submission Requested", Detail: JSON.stringify(detail) };
  const { FailedEntryCount } = await client.send(new PutEventsCommand({ Entries: [entry] }));
  expect(FailedEntryCount).toBe(0);
  client.destroy();
}

async function executions(): Promise<string[]> {
  return (await stores.executions()).map(({ name }) => name);
}

async function statesOf(jobId: string): Promise<(string | undefined)[]> {
  const found = (await stores.executions()).find(({ name }) => name === `${jobId}-1-0`);
  return (found?.events ?? []).flatMap(({ stateEnteredEventDetails: entered }) => (entered ? [entered.name] : []));
}
