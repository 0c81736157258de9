import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "aws-lambda";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { groupOf } from "../../adapters/runtime/ecs/names.ts";
import type { EngineContext } from "../../engine/context.ts";
import { ERRORS, type ErrorCode, LongshoreError } from "../../engine/errors.ts";
import { METRICS, type Metric } from "../../engine/metrics.ts";
import { DRIVING } from "../../engine/states.ts";
import { ecsOptions } from "../../functions/aws/ecs.ts";
import { invocable } from "../../functions/aws/serve.ts";
import { AWS_RUNTIMES, readAwsSettings } from "../../functions/aws/settings.ts";
import { makeHandler as query } from "../../functions/query.ts";
import { ROUTES as KNOWN_ROUTES } from "../../functions/routes.ts";
import { makeHandler as streamed } from "../../functions/stream.ts";
import { makeHandler as submit } from "../../functions/submit.ts";
import { bundleOptions } from "../../infra/bundle.ts";
import { GATEWAY_PROBLEMS, ROUTES } from "../../infra/constructs/api.ts";
import { readSettings } from "../../infra/settings.ts";
import { silentLogger } from "../functions/aws/silent.ts";
import { checked, flat, type Properties, type Statement, type Synthesized, synthesize } from "./template.ts";

let folder: string;
let made: Synthesized;
let withoutEcs: Synthesized;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "longshore-template-"));
  made = synthesize({ inboundSources: "my.app,other.app" }, { outdir: join(folder, "default"), code: true });
  withoutEcs = synthesize({ runtimes: "stub", inboundSources: "my.app" }, { outdir: join(folder, "without-ecs") });
}, 120_000);
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const FUNCTIONS = [
  ...["ChangeFeed", "Dispatch", "Finalize", "InboundEvents", "LogSocket", "Publish", "Query", "Reconcile"],
  ...["Resubmit", "RuntimeEvents", "Stream", "Submit"],
];
const STATES = "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>";
const MACHINE = `${STATES}:stateMachine:longshore-prod-lifecycle`;

const TRACE: Statement = {
  actions: ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
  resources: ["*"],
  conditions: undefined,
};
const logs = (name: string): Statement => ({
  actions: ["logs:CreateLogStream", "logs:PutLogEvents"],
  resources: [`<${name}Logs.Arn>`],
  conditions: undefined,
});
const TABLE_READ = {
  actions: ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"],
  resources: ["<Table.Arn>", "<Table.Arn>/index/index1", "<Table.Arn>/index/index2"],
  conditions: undefined,
};
const TABLE_WRITE = {
  actions: ["dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
  resources: ["<Table.Arn>"],
  conditions: undefined,
};
const HOME_WRITE = {
  actions: ["dynamodb:PutItem", "dynamodb:UpdateItem"],
  resources: ["<Table.Arn>"],
  conditions: { "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": ["HOME"] } },
};
const bound = (action: string) => ({
  actions: [action],
  resources: ["<SpecKey.Arn>"],
  conditions: { Null: { "kms:EncryptionContext:jobId": "false" } },
});
const SEAL = bound("kms:GenerateDataKey");
const OPEN = bound("kms:Decrypt");
const OPEN_MASKS = {
  ...OPEN,
  conditions: { StringLike: { "kms:EncryptionContext:jobId": "job_*#masks" } },
};
const DIGEST = { actions: ["kms:GenerateMac"], resources: ["<DigestKey.Arn>"], conditions: undefined };
const BUS = { actions: ["events:PutEvents"], resources: ["<Bus.Arn>"], conditions: undefined };
const machine = (...actions: string[]) =>
  actions.map((action) => ({ actions: [action], resources: [MACHINE], conditions: undefined }));
const DLQ = (name: string) => ({
  actions: ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"],
  resources: [`<${name}Dlq.Arn>`],
  conditions: undefined,
});
const STREAM = [
  {
    actions: ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
    resources: ["<Table.StreamArn>"],
    conditions: undefined,
  },
  { actions: ["dynamodb:ListStreams"], resources: ["*"], conditions: undefined },
];
const objects = (...actions: string[]) => [
  { actions: ["s3:ListBucket"], resources: ["<Bucket.Arn>"], conditions: undefined },
  { actions, resources: ["<Bucket.Arn>/artifacts/*", "<Bucket.Arn>/logs/*"], conditions: undefined },
];
const LIST = { actions: ["s3:ListBucket"], resources: ["<Bucket.Arn>"], conditions: undefined };
const below = (prefixes: string[], ...actions: string[]) => ({
  actions,
  resources: prefixes.map((prefix) => `<Bucket.Arn>/${prefix}/*`),
  conditions: undefined,
});
const ERASE = [LIST, below(["runs", "logs", "artifacts"], "s3:DeleteObject")];
const SECRETS = [
  {
    actions: ["ssm:GetParameter"],
    resources: ["arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter/longshore/jobs/*"],
    conditions: undefined,
  },
  {
    actions: ["secretsmanager:GetSecretValue"],
    resources: ["arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:longshore/jobs/*"],
    conditions: undefined,
  },
];
const RIGHTS: Record<string, Statement[]> = {
  Submit: [TABLE_READ, TABLE_WRITE, SEAL, DIGEST, ...ERASE],
  Resubmit: [TABLE_READ, TABLE_WRITE, SEAL, OPEN, DIGEST],
  InboundEvents: [TABLE_READ, TABLE_WRITE, SEAL, DIGEST, BUS],
  Query: [TABLE_READ, HOME_WRITE, LIST, below(["logs"], "s3:GetObject")],
  Stream: [TABLE_READ, HOME_WRITE, ...objects("s3:GetObject"), OPEN_MASKS],
  LogSocket: [
    ...[TABLE_READ, HOME_WRITE, LIST, below(["logs"], "s3:GetObject"), OPEN_MASKS],
    { actions: ["lambda:InvokeFunction"], resources: ["<LogSocketFunction.Arn>"], conditions: undefined },
    {
      actions: ["execute-api:ManageConnections"],
      resources: ["arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:<LogStreams>/logs/*/@connections/*"],
      conditions: undefined,
    },
  ],
  Dispatch: [
    ...[TABLE_READ, TABLE_WRITE, SEAL, OPEN, ...SECRETS],
    ...machine("states:StartExecution", "states:SendTaskSuccess"),
  ],
  Finalize: [
    TABLE_READ,
    TABLE_WRITE,
    ...objects("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"),
    OPEN_MASKS,
    ...machine("states:StartExecution", "states:SendTaskSuccess"),
  ],
  ChangeFeed: [TABLE_READ, TABLE_WRITE, ...STREAM, ...machine("states:StartExecution", "states:SendTaskSuccess")],
  Publish: [
    ...[TABLE_READ, HOME_WRITE, ...STREAM, BUS, LIST],
    below(["runs"], "s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
    below(["logs"], "s3:GetObject"),
  ],
  RuntimeEvents: [TABLE_READ, TABLE_WRITE, ...machine("states:SendTaskSuccess")],
  Reconcile: [
    TABLE_READ,
    TABLE_WRITE,
    ...machine("states:StartExecution", "states:SendTaskSuccess"),
    ...ERASE,
    {
      actions: ["states:DescribeExecution"],
      resources: [`${STATES}:execution:longshore-prod-lifecycle:*`],
      conditions: undefined,
    },
  ],
};

const ECS = "arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>";
const TASKS = `${ECS}:task/longshore-prod-jobs/*`;
const SHARED = `${ECS}:task-definition/longshore-*:*`;
const OWN = `${ECS}:task-definition/longshore_*:*`;
const PARAMETERS = "arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter/longshore/prod/attempts/*";
const IN_CLUSTER = { ArnEquals: { "ecs:cluster": "<JobsCluster.Arn>" } };
/** The key for the values of attempts, and for nothing else that is under it. */
const FOR_PARAMETERS = {
  StringEquals: { "kms:ViaService": "ssm.<AWS::Region>.amazonaws.com" },
  StringLike: { "kms:EncryptionContext:PARAMETER_ARN": PARAMETERS },
};
const right = (actions: string[], resources: string[], conditions?: unknown): Statement => ({
  actions,
  resources,
  conditions,
});
const FIND = [
  right(["ecs:ListTasks"], ["*"], IN_CLUSTER),
  right(["ecs:DescribeTasks"], [TASKS]),
  right(["ecs:ListTaskDefinitionFamilies"], ["*"]),
];
const STOP = [
  ...FIND,
  right(["ecs:StopTask"], [TASKS]),
  right(["ecs:DeregisterTaskDefinition", "ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions"], ["*"]),
  right(["ecs:DeleteTaskDefinitions"], [OWN]),
  right(["ssm:DeleteParameters"], [PARAMETERS]),
  right(["logs:DeleteLogStream"], ["<JobsLogs.Arn>"]),
];
const START = [
  right(["ecs:RunTask"], [SHARED, OWN], IN_CLUSTER),
  right(["ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"], ["*"]),
  right(["ecs:TagResource"], [TASKS], { StringEquals: { "ecs:CreateAction": "RunTask" } }),
  right(["ecs:TagResource"], [SHARED, OWN], { StringEquals: { "ecs:CreateAction": "RegisterTaskDefinition" } }),
  right(["iam:PassRole"], ["<JobsExecutionRole.Arn>", "<JobsTaskRole.Arn>"], {
    StringEquals: { "iam:PassedToService": "ecs-tasks.amazonaws.com" },
  }),
  right(["ssm:PutParameter"], [PARAMETERS]),
  right(["kms:Encrypt", "kms:GenerateDataKey"], ["<SpecKey.Arn>"], FOR_PARAMETERS),
];
const LOGS = [right(["ecs:DescribeTasks"], [TASKS]), right(["logs:GetLogEvents"], ["<JobsLogs.Arn>"])];
const HEALTH = [right(["ecs:DescribeClusters"], ["<JobsCluster.Arn>"])];
/** What a function asks of ECS. */
const JOBS_RIGHTS: Record<string, Statement[]> = {
  Query: HEALTH,
  Stream: LOGS,
  LogSocket: LOGS,
  Dispatch: [...START, ...STOP],
  Finalize: [...STOP, ...LOGS],
  ChangeFeed: STOP,
  Reconcile: [...STOP, ...HEALTH, right(["logs:DescribeLogStreams"], ["<JobsLogs.Arn>"])],
};

/** Statements as single pairs of an action and a resource: how the CDK packs them is nobody's business. */
function pairs(statements: Statement[]): string[] {
  const all = statements.flatMap(({ actions, resources, conditions }) =>
    actions.flatMap((action) =>
      resources.map((resource) => `${action} ${resource} ${JSON.stringify(conditions ?? null)}`),
    ),
  );
  return [...new Set(all)].sort();
}

describe("the code of a function", () => {
  it.each(["Query", "Submit"])("%s loads at its start of its libraries what it uses", async (name) => {
    const atStart = await loadedAtStart(join(folder, "default", made.codeOf(name)));
    const sizes = await Promise.all(atStart.map(async (file) => (await stat(file)).size));
    // zod alone has 300 KiB of translations: they are there as soon as one source imports its `z` instead of its names.
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(950 * 1024);
  });
});

/** The modules of a bundle that its handler imports before it runs: what is imported later is another matter. */
async function loadedAtStart(directory: string): Promise<string[]> {
  const [entry = ""] = (await readdir(directory)).filter((file) => !/chunk|\.map$/.test(file) && file.endsWith(".mjs"));
  const found = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (found.has(file)) return;
    found.add(file);
    const source = await readFile(join(directory, file), "utf8");
    for (const [, next = ""] of source.matchAll(/(?:from|import)\s*"\.\/([^"]+\.mjs)"/g)) await visit(next);
  };
  await visit(entry);
  return [...found].map((file) => join(directory, file));
}

describe("the rights of a function", () => {
  it.each(FUNCTIONS)("%s has what its work needs and nothing else", (name) => {
    const queue = name === "InboundEvents" ? [] : [DLQ(name)];
    const expected = [...(RIGHTS[name] ?? []), logs(name), TRACE, ...queue];
    expect(pairs(made.statementsOf(name))).toEqual(pairs([...expected, ...(JOBS_RIGHTS[name] ?? [])]));
    expect(pairs(withoutEcs.statementsOf(name))).toEqual(pairs(expected));
  });

  it("opens sealed specs in dispatch and in resubmit only, and the values to mask where logs are read", () => {
    const who = (statement: Statement) =>
      FUNCTIONS.filter((name) => pairs(made.statementsOf(name)).includes(pairs([statement])[0] ?? ""));
    expect(who(OPEN)).toEqual(["Dispatch", "Resubmit"]);
    expect(who(OPEN_MASKS)).toEqual(["Finalize", "LogSocket", "Stream"]);
    // Whoever holds no statement of its own for the key is let in by nobody else: the key's policy names only IAM.
    for (const key of made.of("AWS::KMS::Key").values()) {
      expect(key.KeyPolicy.Statement).toHaveLength(1);
      expect(flat(key.KeyPolicy.Statement[0].Principal.AWS)).toBe("arn:<AWS::Partition>:iam::<AWS::AccountId>:root");
    }
  });

  it("names no resource by a star alone but for what AWS gives no resources", () => {
    const starred = [...made.of("AWS::IAM::Policy").values()].flatMap(({ PolicyDocument }) =>
      PolicyDocument.Statement.filter((one: Properties) => [one.Resource].flat().includes("*")).flatMap(
        (one: Properties) => one.Action,
      ),
    );
    expect([...new Set(starred)].sort()).toEqual([
      "dynamodb:ListStreams",
      "ecs:DeregisterTaskDefinition",
      "ecs:DescribeTaskDefinition",
      "ecs:ListTaskDefinitionFamilies",
      "ecs:ListTaskDefinitions",
      "ecs:ListTasks",
      "ecs:RegisterTaskDefinition",
      "xray:GetSamplingRules",
      "xray:GetSamplingTargets",
      "xray:PutTelemetryRecords",
      "xray:PutTraceSegments",
    ]);
  });

  it("has a role, a log group and a place for failures of its own", () => {
    const functions = made.of("AWS::Lambda::Function");
    expect([...functions.keys()].sort()).toEqual(FUNCTIONS.map((name) => `${name}Function`).sort());
    for (const name of FUNCTIONS) {
      const one = functions.get(`${name}Function`);
      expect(flat(one?.Role)).toBe(`<${name}Role.Arn>`);
      expect(flat(one?.LoggingConfig.LogGroup)).toBe(`<${name}Logs>`);
      expect(made.of("AWS::Logs::LogGroup").get(`${name}Logs`)).toMatchObject({ RetentionInDays: 30 });
      expect(one).toMatchObject({ Runtime: "nodejs24.x", Architectures: ["arm64"] });
      const destination = made.of("AWS::Lambda::EventInvokeConfig").get(`${name}FunctionEventInvokeConfig`);
      if (name === "InboundEvents") expect(destination?.DestinationConfig).toBeUndefined();
      else expect(flat(destination?.DestinationConfig.OnFailure.Destination)).toBe(`<${name}Dlq.Arn>`);
    }
    for (const queue of made.of("AWS::SQS::Queue").values()) expect(queue.SqsManagedSseEnabled).toBe(true);
  });
});

describe("the environment of a function", () => {
  it.each(FUNCTIONS)("%s is told what it may use, in words that it understands", (name) => {
    const environment = made.environmentOf(name);
    const actions = (RIGHTS[name] ?? []).flatMap(({ actions }) => actions.map((action) => action.split(":")[0]));
    const told = Object.keys(environment);
    const named = (variable: string) => told.includes(variable);
    expect(environment.LONGSHORE_TABLE).toBe("<Table>");
    expect(named("LONGSHORE_BUCKET")).toBe(actions.includes("s3"));
    expect(named("LONGSHORE_BUS")).toBe(actions.includes("events"));
    expect(named("LONGSHORE_STATE_MACHINE")).toBe(actions.includes("states"));
    expect(named("LONGSHORE_SPEC_KEY")).toBe(actions.includes("kms"));
    expect(named("LONGSHORE_DIGEST_KEY")).toBe(pairs(RIGHTS[name] ?? []).includes(pairs([DIGEST])[0] ?? ""));
    expect(named("LONGSHORE_SSM_PREFIX")).toBe(actions.includes("ssm"));
    if (named("LONGSHORE_STATE_MACHINE")) expect(environment.LONGSHORE_STATE_MACHINE).toBe(MACHINE);
    expect(readAwsSettings(environment)).toMatchObject({
      LONGSHORE_STAGE: "prod",
      LONGSHORE_RUNTIMES: ["ecs"],
      LONGSHORE_SHARDS: 4,
    });
    expect(ecsOptions(readAwsSettings(environment), "home_1")).toEqual({
      homeId: "home_1",
      clusterArn: "<JobsCluster.Arn>",
      launching: { type: "FARGATE", spot: true, assignPublicIp: true },
      subnets: ["<JobsVpcJobsSubnet1Subnet>", "<JobsVpcJobsSubnet2Subnet>"],
      securityGroups: ["<JobsSecurityGroup.GroupId>"],
      executionRoleArn: "<JobsExecutionRole.Arn>",
      taskRoleArn: "<JobsTaskRole.Arn>",
      logGroup: "<JobsLogs>",
      parameterPrefix: "/longshore/prod/attempts/",
      parameterKeyId: "<SpecKey.Arn>",
      arch: "amd64",
    });
    const others = Object.keys(withoutEcs.environmentOf(name));
    expect(others.filter((variable) => variable.includes("ECS"))).toEqual([]);
  });

  it("knows the runtimes that the operator may name", () => {
    const all = runtimesOf(AWS_RUNTIMES.join(","));
    expect(all).toEqual([...AWS_RUNTIMES]);
    expect(() => runtimesOf("nonsense")).toThrow(/runtimes/);
  });
});

describe("the API", () => {
  it("asks for a signature on every method, and nothing but a function answers", () => {
    const methods = [...made.of("AWS::ApiGateway::Method").entries()];
    expect(methods.length).toBeGreaterThan(ROUTES.length);
    for (const [id, method] of methods) {
      expect(method.AuthorizationType, id).toBe("AWS_IAM");
      expect(method.Integration.Type, id).toBe("AWS_PROXY");
    }
  });

  it("has the routes of the contract, each behind its function, and what streams is streamed", () => {
    // Both ways: what the functions know and the API does not have would only be answered 404.
    expect(ROUTES.map(([method, path]) => `${method} ${path}`).sort()).toEqual(
      KNOWN_ROUTES.map(([method, path]) => `${method} ${path}`).sort(),
    );
    expect(deployedRoutes()).toEqual([...ROUTES.map(([method, path]) => `${method} ${path}`), ...catchAll()].sort());
    const uris = [...made.of("AWS::ApiGateway::Method").values()].map(({ HttpMethod, Integration }) => ({
      method: HttpMethod,
      mode: Integration.ResponseTransferMode,
      timeout: Integration.TimeoutInMillis,
      uri: flat(Integration.Uri),
    }));
    const streamed = uris.filter(({ mode }) => mode === "STREAM");
    // The default is 29 s, as for an answer that is not streamed.
    expect(streamed.map(({ timeout }) => timeout)).toEqual(streamed.map(() => 900_000));
    expect(streamed.map(({ method }) => method).sort()).toEqual(["GET", "GET", "GET", "HEAD"]);
    for (const { uri } of streamed) {
      expect(uri).toMatch(/\/2021-11-15\/functions\/<StreamFunction\.Arn>\/response-streaming-invocations$/);
    }
    const behind = (name: string) =>
      uris.filter(({ method, uri }) => method !== "ANY" && uri.includes(`<${name}Function.Arn>`)).length;
    for (const name of ["submit", "resubmit", "query", "stream"]) {
      const id = name.charAt(0).toUpperCase() + name.slice(1);
      expect(behind(id), name).toBe(ROUTES.filter(([, , target]) => target === name).length);
    }
  });

  it.each(ROUTES)("%s %s reaches a function that knows it", async (method, path, target) => {
    const reached = new LongshoreError("QUOTA", "the handler of the route");
    const ctx = new Proxy({} as EngineContext, {
      get(_, name) {
        if (name === "logger") return silentLogger;
        throw reached;
      },
    });
    const handler = invocable<object, { statusCode: number }>(
      target === "submit" || target === "resubmit" ? submit(ctx) : query(ctx),
    );
    const pathParameters = { id: "job_01JDZZZZZZ0000000000000001", name: "stub" };
    if (path.startsWith("/v1/dead-letters")) pathParameters.id = "dl_01JDZZZZZZ0000000000000001";
    const concrete = path.replace("{id}", pathParameters.id).replace(/\{name\+?\}/, pathParameters.name);
    const spec = { runtime: "stub" };
    const body = method === "POST" ? JSON.stringify(path.endsWith("/batch") ? { jobs: [spec] } : spec) : null;
    const headers = { "content-type": "application/json" };
    const event = { httpMethod: method, path: concrete, pathParameters, headers, body, requestContext: {} };
    if (path.endsWith("{name+}")) {
      const none = { progressOf: () => null, onProgress: () => () => undefined };
      const changes = { subscribe: () => ({ next: async () => undefined, end: () => undefined }) };
      const files = streamed({ ctx, changes, ...none });
      const answer = await files(event as never, new AbortController().signal);
      return expect(answer).toMatchObject({ statusCode: ERRORS.QUOTA.http });
    }
    // The description is the only one that asks nothing of the home.
    const statusCode = path === "/v1/openapi.json" ? 200 : ERRORS.QUOTA.http;
    expect(await handler(event, {} as Context)).toMatchObject({ statusCode });
    // What API Gateway hands to another function is not there, and no failure.
    const elsewhere = { ...event, path: "/v1/elsewhere" };
    expect(await handler(elsewhere, {} as Context)).toMatchObject({ statusCode: ERRORS.NOT_FOUND.http });
  });

  it("answers by itself as the functions do", () => {
    for (const [type, status, code, title] of GATEWAY_PROBLEMS) {
      expect(ERRORS[code as ErrorCode], type.responseType).toMatchObject({ http: status, title });
    }
    for (const one of made.of("AWS::ApiGateway::GatewayResponse").values()) {
      const body = JSON.parse(one.ResponseTemplates["application/json"]);
      expect(Object.keys(body).sort()).toEqual(["code", "detail", "instance", "status", "title", "type"]);
      expect(one.ResponseParameters["gatewayresponse.header.Content-Type"]).toBe("'application/problem+json'");
      expect(one.StatusCode).toBe(String(body.status));
    }
  });

  it("is the stage api, limited, logged without bodies", () => {
    const [stage] = made.of("AWS::ApiGateway::Stage").values();
    expect(stage).toMatchObject({ StageName: "api", TracingEnabled: true });
    expect(stage?.MethodSettings).toEqual([
      expect.objectContaining({
        ThrottlingRateLimit: 200,
        ThrottlingBurstLimit: 400,
        LoggingLevel: "OFF",
        DataTraceEnabled: false,
      }),
    ]);
    expect(stage?.AccessLogSetting.Format).not.toMatch(/body|queryString|header/i);
  });
});

describe("the WebSockets of logs", () => {
  const routes = () => [...made.of("AWS::ApiGatewayV2::Route").values()];
  const integrationOf = (route: Properties | undefined) =>
    made.of("AWS::ApiGatewayV2::Integration").get(/<(\w+)>/.exec(flat(route?.Target))?.[1] ?? "");

  it("are opened by who has signed, by the one function, and heard by nobody", () => {
    expect(routes().map(({ RouteKey }) => RouteKey)).toEqual(["$connect", "$default"]);
    const [connect, others] = routes();
    expect(connect).toMatchObject({ AuthorizationType: "AWS_IAM" });
    expect(integrationOf(connect)).toMatchObject({ IntegrationType: "AWS_PROXY" });
    expect(flat(integrationOf(connect)?.IntegrationUri)).toContain("<LogSocketFunction.Arn>");
    expect(integrationOf(others)).toMatchObject({ IntegrationType: "MOCK" });
    const [api] = made.of("AWS::ApiGatewayV2::Api").values();
    expect(api).toMatchObject({ Name: "longshore-prod-log-streams", ProtocolType: "WEBSOCKET" });
    const permissions = [...made.of("AWS::Lambda::Permission").values()].filter(
      ({ FunctionName }) => flat(FunctionName) === "<LogSocketFunction.Arn>",
    );
    expect(permissions.map(({ SourceArn }) => flat(SourceArn))).toEqual([
      "arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:<LogStreams>/*$connect",
    ]);
  });

  it("are a stage that is limited and logged without queries, which hold signatures", () => {
    const [stage] = made.of("AWS::ApiGatewayV2::Stage").values();
    expect(stage).toMatchObject({
      StageName: "logs",
      AutoDeploy: true,
      DefaultRouteSettings: { ThrottlingRateLimit: 200, ThrottlingBurstLimit: 400 },
    });
    expect(stage?.AccessLogSettings.Format).toMatch(/connectionId/);
    expect(stage?.AccessLogSettings.Format).not.toMatch(/body|query|header/i);
  });

  it("are told by a function that knows where, and that no try is repeated of", () => {
    const host = "<LogStreams>.execute-api.<AWS::Region>.<AWS::URLSuffix>/logs";
    expect(made.environmentOf("LogSocket").LONGSHORE_LOG_STREAMS).toBe(`https://${host}`);
    const outputs = made.template.findOutputs("LogStreamUrl");
    expect(flat(outputs.LogStreamUrl?.Value)).toBe(`wss://${host}`);
    const config = made.of("AWS::Lambda::EventInvokeConfig");
    expect(config.get("LogSocketFunctionEventInvokeConfig")).toMatchObject({ MaximumRetryAttempts: 0 });
    expect(config.get("StreamFunctionEventInvokeConfig")).toMatchObject({ MaximumRetryAttempts: 2 });
  });
});

describe("the data", () => {
  it("is encrypted, recoverable, shaped as the driver wants it, and outlives the stack", () => {
    made.template.hasResource("AWS::DynamoDB::Table", {
      DeletionPolicy: "Retain",
      Properties: {
        KeySchema: [
          { AttributeName: "pk", KeyType: "HASH" },
          { AttributeName: "sk", KeyType: "RANGE" },
        ],
        SSESpecification: { SSEEnabled: true },
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        StreamSpecification: { StreamViewType: "NEW_IMAGE" },
        TimeToLiveSpecification: { AttributeName: "ttl", Enabled: true },
        BillingMode: "PAY_PER_REQUEST",
      },
    });
    const [table] = made.of("AWS::DynamoDB::Table").values();
    expect(table?.GlobalSecondaryIndexes).toEqual(
      ["index1", "index2"].map((IndexName) => ({
        IndexName,
        KeySchema: [
          { AttributeName: `${IndexName}pk`, KeyType: "HASH" },
          { AttributeName: `${IndexName}sk`, KeyType: "RANGE" },
        ],
        Projection: { ProjectionType: "KEYS_ONLY" },
      })),
    );
    made.template.hasResource("AWS::S3::Bucket", {
      DeletionPolicy: "Retain",
      Properties: {
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
        },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
      },
    });
    const [bucket] = made.of("AWS::S3::Bucket").values();
    // Longer than the sweep keeps a run, and than an attempt may take.
    expect(bucket?.LifecycleConfiguration.Rules).toEqual([
      { Id: "unfinished", Status: "Enabled", AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } },
      ...["runs", "logs", "artifacts"].map((Id) => ({
        ...{ Id, Prefix: `${Id}/`, Status: "Enabled", ExpirationInDays: 30 + 24 + 7 },
      })),
    ]);
    const [policy] = made.of("AWS::S3::BucketPolicy").values();
    expect(policy?.PolicyDocument.Statement[0]).toMatchObject({
      Effect: "Deny",
      Action: "s3:*",
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    });
    made.template.allResources("AWS::KMS::Key", { DeletionPolicy: "Retain" });
    expect(made.of("AWS::KMS::Key").get("SpecKey")).toMatchObject({ EnableKeyRotation: true });
    expect(made.of("AWS::KMS::Key").get("DigestKey")).toMatchObject({
      KeySpec: "HMAC_256",
      KeyUsage: "GENERATE_VERIFY_MAC",
    });
  });
});

describe("what drives a home", () => {
  it("wakes the lifecycle by what it acts on, and the bus by all events, part of a batch again", () => {
    const filtersOf = (name: string) => {
      const mapping = made.of("AWS::Lambda::EventSourceMapping").get(`${name}Source`);
      expect(mapping).toMatchObject({
        FunctionResponseTypes: ["ReportBatchItemFailures"],
        BisectBatchOnFunctionError: true,
      });
      expect(flat(mapping?.DestinationConfig.OnFailure.Destination)).toBe(`<${name}Dlq.Arn>`);
      return mapping?.FilterCriteria.Filters.map(({ Pattern }: Properties) => JSON.parse(Pattern));
    };
    const [driving, batch] = filtersOf("ChangeFeed");
    expect(new Set(driving.dynamodb.NewImage.type.S)).toEqual(DRIVING);
    expect(batch).toEqual({
      eventName: ["INSERT"],
      dynamodb: { NewImage: { sk: { S: [{ prefix: "EVENT#" }] }, pk: { S: [{ prefix: "BATCH#" }] } } },
    });
    expect(filtersOf("Publish")).toHaveLength(1);
  });

  it("sends the events of a job to the bus in order, and tries for hours before it passes one over", () => {
    const publish = made.of("AWS::Lambda::EventSourceMapping").get("PublishSource");
    // Lambda keeps the changes of one item in order when it has several batches of a shard at once, not those of a job.
    expect(publish).toMatchObject({ ParallelizationFactor: 1, MaximumRecordAgeInSeconds: 6 * 3600 });
    expect(publish?.MaximumRetryAttempts).toBeUndefined();
    // The sweep does what this one passes over.
    expect(made.of("AWS::Lambda::EventSourceMapping").get("ChangeFeedSource")).toMatchObject({
      MaximumRetryAttempts: 20,
    });
  });

  it("lets a sweep find another one at work instead of waiting for it", () => {
    const reserved = Object.fromEntries(
      FUNCTIONS.map((name) => {
        const one = made.of("AWS::Lambda::Function").get(`${name}Function`);
        return [name, one?.ReservedConcurrentExecutions];
      }).filter(([, limit]) => limit !== undefined),
    );
    expect(reserved).toEqual({ Stream: 200, LogSocket: 100, RuntimeEvents: 50, InboundEvents: 20, Reconcile: 2 });
  });

  it("runs the lifecycle of the local home, each task by its own function", () => {
    const [lifecycle] = made.of("AWS::StepFunctions::StateMachine").values();
    expect(lifecycle).toMatchObject({ StateMachineName: "longshore-prod-lifecycle", StateMachineType: "STANDARD" });
    expect(flat(lifecycle?.DefinitionSubstitutions.DispatchFunction)).toBe("<DispatchFunction.Arn>");
    expect(flat(lifecycle?.DefinitionSubstitutions.FinalizeFunction)).toBe("<FinalizeFunction.Arn>");
    const may = made.of("AWS::IAM::Policy").get("LifecycleRoleDefaultPolicy")?.PolicyDocument.Statement as Properties[];
    const invokes = may
      .filter(({ Action }) => Action === "lambda:InvokeFunction")
      .flatMap(({ Resource }) => [Resource].flat().map(flat));
    expect(invokes.sort()).toEqual(["<DispatchFunction.Arn>", "<FinalizeFunction.Arn>"]);
  });

  it("archives only what the home says itself", () => {
    const [archive] = made.of("AWS::Events::Archive").values();
    expect(archive?.EventPattern).toEqual({ source: ["longshore"] });
    expect(flat(archive?.SourceArn)).toBe("<Bus.Arn>");
  });

  it("hears the operator's sources on its own bus, its runtimes on the account's, and the clock every minute", () => {
    const rules = [...made.of("AWS::Events::Rule").values()];
    const inbound = rules.find(({ EventBusName }) => EventBusName !== undefined);
    expect(inbound?.EventPattern).toEqual({
      source: ["my.app", "other.app"],
      "detail-type": ["Job Submission Requested"],
    });
    // The event may hold a secret value: no queue keeps it.
    expect(inbound?.Targets[0].DeadLetterConfig).toBeUndefined();
    const sources = rules
      .map(({ EventPattern }) => EventPattern?.source?.[0])
      .filter((source) => source?.startsWith("aws."));
    expect(sources.sort()).toEqual(["aws.batch", "aws.ecs"]);
    expect(rules.find(({ ScheduleExpression }) => ScheduleExpression)).toMatchObject({
      ScheduleExpression: "rate(1 minute)",
    });
    const ends = rules.find(({ EventPattern }) => EventPattern?.source?.[0] === "aws.ecs")?.EventPattern;
    expect({ ...ends.detail, clusterArn: ends.detail.clusterArn.map(flat) }).toEqual({
      clusterArn: ["<JobsCluster.Arn>"],
      group: [{ prefix: "longshore:" }],
      lastStatus: ["STOPPED"],
    });
    expect(groupOf({ homeId: "home", jobId: "job", attempt: 1 })).toMatch(/^longshore:/);
    const others = [...withoutEcs.of("AWS::Events::Rule").values()].map(
      ({ EventPattern }) => EventPattern?.source?.[0],
    );
    expect(others).not.toContain("aws.ecs");
    const without = synthesize({}, { outdir: join(folder, "no-sources") });
    expect(
      [...without.of("AWS::Events::Rule").values()].filter(({ EventBusName }) => EventBusName !== undefined),
    ).toEqual([]);
  });

  it("takes no submission from what the home itself says", () => {
    expect(() => synthesize({ inboundSources: "my.app,longshore" }, { outdir: join(folder, "own-source") })).toThrow(
      /inboundSources/,
    );
  });

  it("raises an alarm for every queue, and for what waits, fails, is late or is throttled", () => {
    const alarms = made.of("AWS::CloudWatch::Alarm");
    const queues = FUNCTIONS.filter((name) => name !== "InboundEvents").map((name) => `${name}Dlq`);
    const others = [
      ...["ApiFailures", "ChangeFeedLate", "DispatchErrors", "FailedExecutions", "InboundEventsErrors"],
      ...["OldestWaiting", "PublishLate", "SweepFailures", "Throttles"],
    ];
    expect([...alarms.keys()].sort()).toEqual([...queues, ...others].sort());
    for (const name of ["ChangeFeed", "Publish"]) {
      const late = alarms.get(`${name}Late`);
      expect(late).toMatchObject({ MetricName: "IteratorAge", Statistic: "Maximum", Threshold: 300_000 });
      expect(flat(late?.Dimensions[0].Value)).toBe(`<${name}Function>`);
    }
    // A sweep may take nearly a quarter of an hour: in a shorter time there would be none to judge by.
    expect(alarms.get("SweepFailures")).toMatchObject({ Period: 900, EvaluationPeriods: 1, Statistic: "Minimum" });
  });

  it("shows all of it on one dashboard", () => {
    const [board, ...more] = made.of("AWS::CloudWatch::Dashboard").values();
    expect(more).toEqual([]);
    expect(board?.DashboardName).toBe("longshore-prod-home");
    for (const metric of ["5XXError", "ExecutionsFailed", "Throttles"]) {
      expect(JSON.stringify(board?.DashboardBody), metric).toContain(metric);
    }
  });

  it("shows and watches the metrics that the functions write, by the dimensions that they have", () => {
    const [board] = made.of("AWS::CloudWatch::Dashboard").values();
    const body = JSON.stringify(board?.DashboardBody).replaceAll("\\", "");
    const shown = [...body.matchAll(/\["Longshore","(\w+)",((?:"\w+","[\w-]+",?)*)/g)].map(
      ([, name = "", rest = ""]) => {
        const parts = rest.split(",").filter((part) => part !== "");
        return [name, parts.filter((_, at) => at % 2 === 0).map((part) => part.replaceAll('"', ""))] as const;
      },
    );
    const watched = [...made.of("AWS::CloudWatch::Alarm").values()]
      .filter(({ Namespace }) => Namespace === "Longshore")
      .map(({ MetricName, Dimensions }) => {
        return [MetricName as string, Dimensions.map(({ Name }: { Name: string }) => Name) as string[]] as const;
      });
    expect(watched.map(([name]) => name).sort()).toEqual([
      "longshore_queue_oldest_seconds",
      "longshore_sweep_failures_total",
    ]);
    for (const [name, dimensions] of [...shown, ...watched]) {
      const metric: Metric | undefined = (METRICS as Record<string, Metric>)[name];
      expect(metric, name).toHaveProperty("cloudwatch");
      expect(dimensions.toSorted(), name).toEqual(["service", ...(metric?.cloudwatch ?? [])].sort());
    }
    const told = Object.entries(METRICS).filter(([, metric]) => "cloudwatch" in metric);
    const missing = told.map(([name]) => name).filter((name) => ![...shown, ...watched].some(([one]) => one === name));
    expect(missing).toEqual(["longshore_cost_usd_total"]);
  });
});

describe("where ECS runs the jobs", () => {
  const types = (of: Synthesized, prefix: string) =>
    Object.values((of.template.toJSON() as { Resources: Record<string, { Type: string }> }).Resources)
      .map(({ Type }) => Type)
      .filter((type) => type.startsWith(prefix));

  it("is a cluster of the home's own with Fargate and Fargate Spot, and no cost while nothing runs", () => {
    expect([...made.of("AWS::ECS::Cluster").values()]).toEqual([
      expect.objectContaining({ ClusterName: "longshore-prod-jobs", CapacityProviders: ["FARGATE", "FARGATE_SPOT"] }),
    ]);
    expect(new Set(types(made, "AWS::EC2::"))).toEqual(
      new Set([
        "AWS::EC2::InternetGateway",
        "AWS::EC2::Route",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCGatewayAttachment",
      ]),
    );
    expect(made.of("AWS::Logs::LogGroup").get("JobsLogs")).toMatchObject({ RetentionInDays: 30 });
    expect(types(withoutEcs, "AWS::EC2::")).toEqual([]);
    expect(types(withoutEcs, "AWS::ECS::")).toEqual([]);
  });

  it("lets nobody in, not even from job to job", () => {
    const [group, ...others] = made.of("AWS::EC2::SecurityGroup").values();
    expect(others).toEqual([]);
    expect(group?.SecurityGroupIngress).toBeUndefined();
    expect(group?.SecurityGroupEgress).toEqual([expect.objectContaining({ IpProtocol: "-1", CidrIp: "0.0.0.0/0" })]);
    expect(types(made, "AWS::EC2::SecurityGroupIngress")).toEqual([]);
  });

  it("starts tasks by a role that reads what jobs may name and what attempts were given, and runs them by one that may do nothing", () => {
    expect(pairs(made.rightsOf("JobsExecutionRole"))).toEqual(
      pairs([
        right(["logs:CreateLogStream", "logs:PutLogEvents"], ["<JobsLogs.Arn>"]),
        right(["ssm:GetParameters"], [PARAMETERS, ...(SECRETS[0]?.resources ?? [])]),
        right(["secretsmanager:GetSecretValue"], SECRETS[1]?.resources ?? []),
        right(["kms:Decrypt"], ["<SpecKey.Arn>"], FOR_PARAMETERS),
      ]),
    );
    expect(made.rightsOf("JobsTaskRole")).toEqual([]);
    const role = made.of("AWS::IAM::Role").get("JobsTaskRole");
    expect([role?.ManagedPolicyArns, role?.Policies]).toEqual([undefined, undefined]);
    const [trust, ...others] = role?.AssumeRolePolicyDocument.Statement ?? [];
    expect(others).toEqual([]);
    expect(trust).toMatchObject({
      Principal: { Service: "ecs-tasks.amazonaws.com" },
      Condition: { StringEquals: { "aws:SourceAccount": { Ref: "AWS::AccountId" } } },
    });
    expect(flat(trust.Condition.ArnLike["aws:SourceArn"])).toBe(`${ECS}:*`);
  });

  it("may be the operator's network, role and repositories, of which nothing is looked up", () => {
    const named = { vpcId: "vpc-0123456789abcdef0", subnetIds: "subnet-1,subnet-2", ecsPublicIp: "false" };
    const own = synthesize(named, { outdir: join(folder, "own-network") });
    expect(types(own, "AWS::EC2::")).toEqual(["AWS::EC2::SecurityGroup"]);
    expect(own.of("AWS::EC2::SecurityGroup").get("JobsSecurityGroup")).toMatchObject({
      VpcId: "vpc-0123456789abcdef0",
    });
    const all = synthesize(
      {
        ...named,
        securityGroupIds: "sg-1",
        ecsTaskRoleArn: "arn:aws:iam::123456789012:role/jobs",
        ecrRepositories: "team/*,tools",
      },
      { outdir: join(folder, "own-everything") },
    );
    expect(types(all, "AWS::EC2::")).toEqual([]);
    const environment = all.environmentOf("Dispatch");
    expect(ecsOptions(readAwsSettings(environment), "home_1")).toMatchObject({
      launching: { type: "FARGATE", assignPublicIp: false },
      subnets: ["subnet-1", "subnet-2"],
      securityGroups: ["sg-1"],
      taskRoleArn: "arn:aws:iam::123456789012:role/jobs",
    });
    const passed = all.statementsOf("Dispatch").find(({ actions }) => actions.includes("iam:PassRole"));
    expect(passed?.resources).toEqual(["<JobsExecutionRole.Arn>", "arn:aws:iam::123456789012:role/jobs"]);
    const repository = "arn:<AWS::Partition>:ecr:<AWS::Region>:<AWS::AccountId>:repository";
    expect(pairs(all.rightsOf("JobsExecutionRole"))).toEqual(
      expect.arrayContaining(
        pairs([
          right(
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [`${repository}/team/*`, `${repository}/tools`],
          ),
          right(["ecr:GetAuthorizationToken"], ["*"]),
        ]),
      ),
    );
  });

  it("may be instances of the operator's, by their capacity providers", () => {
    const context = {
      ecsLaunchType: "EC2",
      vpcId: "vpc-0123456789abcdef0",
      subnetIds: "subnet-1",
      ecsCapacityProvider: "mine",
      ecsSpotCapacityProvider: "mine-spot",
      ecsGpu: "true",
      ecsArch: "arm64",
    };
    const own = synthesize(context, { outdir: join(folder, "instances") });
    expect(own.of("AWS::ECS::Cluster").get("JobsCluster")).toMatchObject({ CapacityProviders: ["mine", "mine-spot"] });
    expect(ecsOptions(readAwsSettings(own.environmentOf("Submit")), "home_1")).toMatchObject({
      launching: { type: "EC2", gpu: true, capacityProvider: "mine", spotCapacityProvider: "mine-spot" },
      arch: "arm64",
    });
  });

  it.each([
    [{ vpcId: "vpc-0123456789abcdef0" }, "subnetIds"],
    [{ subnetIds: "subnet-1" }, "subnetIds"],
    [{ securityGroupIds: "sg-1" }, "securityGroupIds"],
    [{ vpcId: "vpc-0123456789abcdef0", subnetIds: "vpc-1" }, "subnetIds"],
    [{ ecsLaunchType: "EC2" }, "vpcId"],
    [{ ecsLaunchType: "LAMBDA" }, "ecsLaunchType"],
    [{ ecsCapacityProvider: "mine" }, "ecsCapacityProvider"],
    [{ ecsSpotCapacityProvider: "mine" }, "ecsSpotCapacityProvider"],
    [{ ecsGpu: "true" }, "ecsGpu"],
    [{ ecsTaskRoleArn: "jobs" }, "ecsTaskRoleArn"],
    [{ ecrRepositories: "A B" }, "ecrRepositories"],
  ])("cannot be %j", (context, name) => {
    const given = context as Record<string, unknown>;
    expect(() => readSettings({ tryGetContext: (key) => given[key] })).toThrow(new RegExp(`\\b${name}\\b`));
  });
});

describe("a deployment", () => {
  it("passes the rules of cdk-nag, also with other choices of the operator", () => {
    expect(() => checked({ inboundSources: "my.app" }, join(folder, "nag")).synth()).not.toThrow();
    const choices = {
      tracing: "false",
      reserveConcurrency: "false",
      data: "destroy",
      alarmTopicArn: "arn:aws:sns:us-east-1:1:t",
    };
    expect(() => checked(choices, join(folder, "nag-other")).synth()).not.toThrow();
    const network = { vpcId: "vpc-0123456789abcdef0", subnetIds: "subnet-1" };
    const ofOperator = { ...network, ecrRepositories: "team/*", ecsTaskRoleArn: "arn:aws:iam::123456789012:role/jobs" };
    expect(() => checked(ofOperator, join(folder, "nag-network")).synth()).not.toThrow();
    const instances = { ...network, ecsLaunchType: "EC2", securityGroupIds: "sg-1" };
    expect(() => checked(instances, join(folder, "nag-instances")).synth()).not.toThrow();
    expect(() => checked({ runtimes: "stub" }, join(folder, "nag-without")).synth()).not.toThrow();
  });

  it("works on a table that was restored, and on no other", () => {
    const arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/restored";
    const tableStreamArn = `${arn}/stream/2026-11-22T03:04:05.678`;
    const taken = synthesize({ tableStreamArn }, { outdir: join(folder, "restored") });
    expect(taken.of("AWS::DynamoDB::Table").size).toBe(0);
    for (const name of FUNCTIONS) {
      expect(taken.environmentOf(name).LONGSHORE_TABLE).toBe("restored");
      const there = pairs(taken.statementsOf(name));
      const own = pairs(made.statementsOf(name)).map((pair) =>
        pair.replaceAll("<Table.StreamArn>", tableStreamArn).replaceAll("<Table.Arn>", arn),
      );
      expect(there).toEqual(own.sort());
    }
    for (const mapping of taken.of("AWS::Lambda::EventSourceMapping").values()) {
      expect(mapping.EventSourceArn).toBe(tableStreamArn);
    }
    expect(taken.template.findOutputs("TableName").TableName?.Value).toBe("restored");
    const other = { tableStreamArn: arn };
    expect(() => synthesize(other, { outdir: join(folder, "no-stream") })).toThrow(/tableStreamArn/);
  });

  it("can be made again beside what one before has left", () => {
    // A name of ours on what is retained would be taken.
    const retained = Object.values(made.template.toJSON().Resources as Record<string, Properties>).filter(
      ({ DeletionPolicy }) => DeletionPolicy === "Retain",
    );
    const types = retained.map(({ Type }) => Type);
    expect(types).toEqual(expect.arrayContaining(["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Events::Archive"]));
    for (const { Type, Properties } of retained) {
      for (const name of ["TableName", "BucketName", "ArchiveName", "RoleName"]) {
        expect(Properties?.[name], `${Type} ${name}`).toBeUndefined();
      }
    }
  });

  it("has its stage as a tag on whatever takes tags and costs money", () => {
    const types = [
      ...["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Lambda::Function", "AWS::SQS::Queue"],
      ...[
        "AWS::StepFunctions::StateMachine",
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGateway::Stage",
        "AWS::Events::EventBus",
      ],
      ...["AWS::Logs::LogGroup", "AWS::IAM::Role", "AWS::CloudWatch::Alarm"],
    ];
    for (const type of types) {
      const all = [...made.of(type).entries()];
      expect(all.length, type).toBeGreaterThan(0);
      for (const [id, { Tags }] of all) expect(Tags, id).toContainEqual({ Key: "longshore:stage", Value: "prod" });
    }
  });

  it("takes the data away only where it is told to", () => {
    const destroyed = synthesize({ data: "destroy" }, { outdir: join(folder, "destroy") });
    for (const type of ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Events::Archive"]) {
      destroyed.template.allResources(type, { DeletionPolicy: "Delete" });
      made.template.allResources(type, { DeletionPolicy: "Retain" });
    }
  });

  it("tells where it is", () => {
    expect(Object.keys(made.template.findOutputs("*")).sort()).toEqual(
      expect.arrayContaining(["ApiUrl", "BusName", "ClusterName", "TableName"]),
    );
  });
});

describe("the code of a function", () => {
  it.each(FUNCTIONS)("%s has its own handler in it", async (name) => {
    const handler = String(made.of("AWS::Lambda::Function").get(`${name}Function`)?.Handler);
    const files = await readdir(join(folder, "default", made.codeOf(name)));
    expect(files).toContain(`${handler.split(".")[0]}.mjs`);
    expect(files).toContain(`${handler.split(".")[0]}.mjs.map`);
  });

  const CLIENTS: Record<string, { first: string[]; later: string[] }> = {
    submit: { first: ["client-dynamodb", "client-kms"], later: ["client-s3"] },
    query: { first: ["client-dynamodb"], later: ["client-s3"] },
    stream: { first: ["client-dynamodb", "client-kms", "client-s3"], later: [] },
    "log-socket": {
      first: ["client-dynamodb", "client-kms", "client-s3"],
      later: ["client-apigatewaymanagementapi", "client-lambda"],
    },
    dispatch: {
      first: ["client-dynamodb", "client-kms", "client-sfn"],
      later: ["client-secrets-manager", "client-ssm"],
    },
    finalize: { first: ["client-dynamodb", "client-kms", "client-s3", "client-sfn"], later: [] },
    "change-feed": { first: ["client-dynamodb", "client-sfn"], later: [] },
    publish: { first: ["client-dynamodb", "client-eventbridge"], later: ["client-s3"] },
    "runtime-events": { first: ["client-dynamodb", "client-sfn"], later: [] },
    "inbound-events": { first: ["client-dynamodb", "client-eventbridge", "client-kms"], later: [] },
    reconcile: { first: ["client-dynamodb", "client-sfn"], later: ["client-s3"] },
  };

  const NONE = { first: [], later: [] };
  const ofEcs = (expected: { first: string[]; later: string[] }) => ({
    first: expected.first,
    later: [...new Set([...expected.later, "client-cloudwatch-logs", "client-ecs", "client-ssm"])].sort(),
  });
  it.each([
    ...Object.entries(CLIENTS).map(([name, expected]) => [name, [] as string[], expected] as const),
    // The others know it in the same way.
    ...["submit", "dispatch"].map((name) => [name, ["ecs"], ofEcs(CLIENTS[name] ?? NONE)] as const),
  ])(
    "%s for %j loads the clients that it uses, those of secrets and of runtimes when they are asked for",
    (name, runtimes, expected) => {
      // What is in a bundle does not depend on how small it is written.
      const quick = { minify: false, sourcemap: false, write: false, metafile: true } as const;
      const { metafile } = buildSync({ ...bundleOptions(name, runtimes), ...quick, outdir: folder });
      const chunks = new Map(Object.entries(metafile.outputs).filter(([path]) => path.endsWith(".mjs")));
      const first = new Set<string>();
      const load = (path: string): void => {
        if (first.has(path)) return;
        first.add(path);
        for (const one of chunks.get(path)?.imports ?? [])
          if (one.kind === "import-statement" && chunks.has(one.path)) load(one.path);
      };
      load([...chunks.keys()].find((path) => path.endsWith(`/${name}.mjs`)) ?? "");
      const clients = (paths: Iterable<string>) => {
        const inputs = [...paths].flatMap((path) => Object.entries(chunks.get(path)?.inputs ?? {}));
        const used = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0);
        return [...new Set(used.flatMap(([path]) => /@aws-sdk\/(client-[\w-]+)\//.exec(path)?.[1] ?? []))].sort();
      };
      expect(clients(first)).toEqual(expected.first);
      const later = [...chunks.keys()].filter((path) => !first.has(path));
      expect(clients(later).filter((client) => !expected.first.includes(client))).toEqual(expected.later);
      const heavy = [...first].flatMap((path) => Object.keys(chunks.get(path)?.inputs ?? {}));
      expect(heavy.filter((path) => /aws-xray-sdk-core|dockerode|node_modules\/pino\//.test(path))).toEqual([]);
    },
  );
});

/** The methods of the deployed API, each with its path. */
function deployedRoutes(): string[] {
  const resources = made.of("AWS::ApiGateway::Resource");
  const pathOf = (id: string): string => {
    const found = resources.get(id);
    if (found === undefined) return "";
    return `${pathOf(flat(found.ParentId).replace(/^<(\w+)>$/, "$1"))}/${found.PathPart}`;
  };
  return [...made.of("AWS::ApiGateway::Method").values()]
    .map(({ HttpMethod, ResourceId }) => `${HttpMethod} ${pathOf(flat(ResourceId).replace(/^<(\w+)>$/, "$1")) || "/"}`)
    .sort();
}

/** What takes the requests that no route takes: beside each route, and everywhere else. */
function catchAll(): string[] {
  return ["/", "/{proxy+}", ...new Set(ROUTES.map(([, path]) => path))].map((path) => `ANY ${path}`);
}

function runtimesOf(runtimes: string): string[] {
  return readSettings({ tryGetContext: (key) => (key === "runtimes" ? runtimes : undefined) }).runtimes;
}
