import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode } from "../../engine/errors.ts";
import { DRIVING } from "../../engine/states.ts";
import { AWS_RUNTIMES, readAwsSettings } from "../../functions/aws/settings.ts";
import { matchPath } from "../../functions/routes.ts";
import { bundleOptions } from "../../infra/bundle.ts";
import { GATEWAY_PROBLEMS, ROUTES } from "../../infra/constructs/api.ts";
import { readSettings } from "../../infra/settings.ts";
import { checked, flat, type Properties, type Statement, type Synthesized, synthesize } from "./template.ts";

let folder: string;
let made: Synthesized;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "longshore-template-"));
  made = synthesize(
    { runtimes: "stub", inboundSources: "my.app,other.app" },
    { outdir: join(folder, "default"), code: true },
  );
}, 120_000);
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const FUNCTIONS = [
  ...["ChangeFeed", "Dispatch", "Finalize", "InboundEvents", "Publish", "Query", "Reconcile", "Resubmit"],
  ...["RuntimeEvents", "Stream", "Submit"],
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
  { actions, resources: ["<Bucket.Arn>/logs/*"], conditions: undefined },
];
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
  Submit: [TABLE_READ, TABLE_WRITE, SEAL, DIGEST],
  Resubmit: [TABLE_READ, TABLE_WRITE, SEAL, OPEN, DIGEST],
  InboundEvents: [TABLE_READ, TABLE_WRITE, SEAL, DIGEST, BUS],
  Query: [TABLE_READ, HOME_WRITE],
  Stream: [TABLE_READ, HOME_WRITE, ...objects("s3:GetObject"), OPEN_MASKS],
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
  Publish: [TABLE_READ, HOME_WRITE, ...STREAM, BUS],
  RuntimeEvents: [TABLE_READ, TABLE_WRITE, ...machine("states:SendTaskSuccess")],
  Reconcile: [
    TABLE_READ,
    TABLE_WRITE,
    ...machine("states:StartExecution", "states:SendTaskSuccess"),
    {
      actions: ["states:DescribeExecution"],
      resources: [`${STATES}:execution:longshore-prod-lifecycle:*`],
      conditions: undefined,
    },
  ],
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
  it.each(["Query", "Submit"])("%s holds of its libraries what it uses", async (name) => {
    const folderOf = join(folder, "default", made.codeOf(name));
    const modules = (await readdir(folderOf)).filter((file) => file.endsWith(".mjs"));
    const sizes = await Promise.all(modules.map(async (file) => (await stat(join(folderOf, file))).size));
    // zod alone has 300 KiB of translations: they are there as soon as one source imports its `z` instead of its names.
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(950 * 1024);
  });
});

describe("the rights of a function", () => {
  it.each(FUNCTIONS)("%s has what its work needs and nothing else", (name) => {
    const queue = name === "InboundEvents" ? [] : [DLQ(name)];
    const expected = [...(RIGHTS[name] ?? []), logs(name), TRACE, ...queue];
    expect(pairs(made.statementsOf(name))).toEqual(pairs(expected));
  });

  it("opens sealed specs in dispatch and in resubmit only, and the values to mask where logs are read", () => {
    const who = (statement: Statement) =>
      FUNCTIONS.filter((name) => pairs(made.statementsOf(name)).includes(pairs([statement])[0] ?? ""));
    expect(who(OPEN)).toEqual(["Dispatch", "Resubmit"]);
    expect(who(OPEN_MASKS)).toEqual(["Finalize", "Stream"]);
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
      LONGSHORE_RUNTIMES: ["stub"],
      LONGSHORE_SHARDS: 4,
    });
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
    for (const [method, path] of ROUTES) {
      const concrete = path.replace(/\{\w+\}/g, "x");
      expect(matchPath(concrete).methods, path).toContain(method);
    }
    const uris = [...made.of("AWS::ApiGateway::Method").values()].map(({ HttpMethod, Integration }) => ({
      method: HttpMethod,
      mode: Integration.ResponseTransferMode,
      uri: flat(Integration.Uri),
    }));
    const streamed = uris.filter(({ mode }) => mode === "STREAM");
    expect(streamed.map(({ method }) => method)).toEqual(["GET", "GET"]);
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
    const without = synthesize({}, { outdir: join(folder, "no-sources") });
    expect(
      [...without.of("AWS::Events::Rule").values()].filter(({ EventBusName }) => EventBusName !== undefined),
    ).toEqual([]);
  });

  it("raises an alarm for every queue, and for what waits, fails or is throttled", () => {
    const names = [...made.of("AWS::CloudWatch::Alarm").keys()].sort();
    const queues = FUNCTIONS.filter((name) => name !== "InboundEvents").map((name) => `${name}Dlq`);
    const others = ["FailedExecutions", "InboundEventsErrors", "OldestWaiting", "SweepFailures", "Throttles"];
    expect(names).toEqual([...queues, ...others].sort());
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
      expect.arrayContaining(["ApiUrl", "BusName", "TableName"]),
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
    submit: { first: ["client-dynamodb", "client-kms"], later: [] },
    query: { first: ["client-dynamodb"], later: [] },
    stream: { first: ["client-dynamodb", "client-kms", "client-s3"], later: [] },
    dispatch: {
      first: ["client-dynamodb", "client-kms", "client-sfn"],
      later: ["client-secrets-manager", "client-ssm"],
    },
    finalize: { first: ["client-dynamodb", "client-kms", "client-s3", "client-sfn"], later: [] },
    "change-feed": { first: ["client-dynamodb", "client-sfn"], later: [] },
    publish: { first: ["client-dynamodb", "client-eventbridge"], later: [] },
    "runtime-events": { first: ["client-dynamodb", "client-sfn"], later: [] },
    "inbound-events": { first: ["client-dynamodb", "client-eventbridge", "client-kms"], later: [] },
    reconcile: { first: ["client-dynamodb", "client-sfn"], later: [] },
  };

  it.each(Object.entries(CLIENTS))(
    "%s loads the clients that it uses, those of secrets when they are asked for",
    (name, expected) => {
      // What is in a bundle does not depend on how small it is written.
      const quick = { minify: false, sourcemap: false, write: false, metafile: true } as const;
      const { metafile } = buildSync({ ...bundleOptions(name, []), ...quick, outdir: folder });
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

function runtimesOf(runtimes: string): string[] {
  return readSettings({ tryGetContext: (key) => (key === "runtimes" ? runtimes : undefined) }).runtimes;
}
