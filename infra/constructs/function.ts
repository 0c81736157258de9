import { ArnFormat, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import type { ITable } from "aws-cdk-lib/aws-dynamodb";
import type { EventBus } from "aws-cdk-lib/aws-events";
import { Policy, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { Architecture, Function as LambdaFunction, Runtime, Tracing } from "aws-cdk-lib/aws-lambda";
import { SqsDestination } from "aws-cdk-lib/aws-lambda-destinations";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import type { Bucket } from "aws-cdk-lib/aws-s3";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type { Bundler } from "../bundle.ts";
import type { InfraSettings } from "../settings.ts";
import { acknowledge, acknowledgeWildcard } from "./nag.ts";

export interface LongshoreFunctionProps {
  settings: InfraSettings;
  /** Makes the code of an entry. */
  bundle: Bundler;
  /** The file in `functions/aws/entries`; default: the construct's id in lower case with dashes. */
  entry?: string;
  description: string;
  timeout: Duration;
  /** MiB; default 512: with it comes a third of a processor. */
  memoryMiB?: number;
  /** Invocations at once, where a stampede would hurt; default: no limit of its own. */
  reserved?: number;
  /** The function loads the tracing library; default: only Lambda's own part of the trace, which costs no start. */
  traced?: boolean;
  /**
   * Keep no failed event: one that has not been looked at yet may hold a secret value. Default: what fails for good is
   * kept in a queue of the function's own.
   */
  keepsNoEvents?: boolean;
  /** How often Lambda repeats an invocation that nobody waits for and that failed; default 2. */
  retries?: number;
}

/** What a function may do with the sealed specs and the values to mask, which are sealed alike. */
export type SealerUse = "seal" | "open" | "open-masks" | "digest";

/** What a function may ask of the lifecycle. */
export type LifecycleUse = "start" | "complete" | "look";

const DLQ_DAYS = 14;

/**
 * A Lambda function with Longshore's defaults: Node 24 on arm64, its own role, log group and dead-letter queue. Each
 * `bind…` gives it a resource: the variable that names it and the least right to it, together.
 */
export class LongshoreFunction extends Construct {
  readonly lambda: LambdaFunction;
  readonly role: Role;
  /** What failed for good; undefined for a function that keeps no events. */
  readonly dlq: Queue | undefined;
  /** It has a limit of its own: that it is throttled there is what the limit is for. */
  readonly reserved: boolean;

  constructor(scope: Construct, id: string, props: LongshoreFunctionProps) {
    super(scope, id);
    const { settings, timeout } = props;
    this.reserved = props.reserved !== undefined && settings.reserveConcurrency;
    this.role = new Role(this, "Role", { assumedBy: new ServicePrincipal("lambda.amazonaws.com") });
    const logGroup = new LogGroup(this, "Logs", {
      retention: settings.logRetentionDays as RetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.allow(["logs:CreateLogStream", "logs:PutLogEvents"], [logGroup.logGroupArn]);
    this.dlq = props.keepsNoEvents === true ? undefined : this.makeQueue();
    const { code, handler } = props.bundle(props.entry ?? entryOf(id), settings.runtimes);
    this.lambda = new LambdaFunction(this, "Function", {
      description: `Longshore ${settings.stage}: ${props.description}`,
      code,
      handler,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: props.memoryMiB ?? 512,
      timeout,
      role: this.role,
      logGroup,
      tracing: settings.tracing ? Tracing.ACTIVE : Tracing.DISABLED,
      ...(this.reserved ? { reservedConcurrentExecutions: props.reserved } : {}),
      ...(this.dlq === undefined ? {} : { onFailure: new SqsDestination(this.dlq) }),
      retryAttempts: props.retries ?? 2,
      environment: environmentOf(props),
    });
    if (settings.tracing) {
      acknowledge(this, "IAM5[Resource::*]", "the actions of X-Ray know no resources");
    }
  }

  /** Reads, or reads and writes the table. Whoever reads may also mint the home's record, and no other item. */
  bindTable(table: ITable, use: "read" | "write"): this {
    this.set("LONGSHORE_TABLE", table.tableName);
    const { tableArn } = table;
    this.allow(["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"], [tableArn, ...indexesOf(table)]);
    const writes = ["dynamodb:PutItem", "dynamodb:UpdateItem"];
    if (use === "write") {
      // A transaction needs the rights of its parts.
      this.allow([...writes, "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"], [tableArn]);
    } else {
      this.allow(writes, [tableArn], { "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": ["HOME"] } });
    }
    return this;
  }

  /** Reads, or reads and writes the logs and the artifacts of jobs; `read-logs`: those only. */
  bindObjects(bucket: Bucket, use: "read-logs" | "read" | "write"): this {
    this.set("LONGSHORE_BUCKET", bucket.bucketName);
    const objects = ["logs/*", ...(use === "read-logs" ? [] : ["artifacts/*"])].map((keys) =>
      bucket.arnForObjects(keys),
    );
    // Without the right to list, S3 answers 403 where it should say that there is no such object.
    this.allow(["s3:ListBucket"], [bucket.bucketArn]);
    this.allow(
      use === "write" ? ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"] : ["s3:GetObject"],
      objects,
    );
    for (const keys of objects) acknowledgeWildcard(this, keys, "objects have the ids of jobs in their names");
    return this;
  }

  /**
   * `record`: stores the records of runs; `show`: shows them, with the end of a log; `erase`: removes all that is stored of a
   * run.
   */
  bindRuns(bucket: Bucket, use: "record" | "show" | "erase"): this {
    this.set("LONGSHORE_BUCKET", bucket.bucketName);
    // Without the right to list, S3 answers 403 where it should say that there is no such object.
    this.allow(["s3:ListBucket"], [bucket.bucketArn]);
    const [runs, logs, artifacts] = ["runs/*", "logs/*", "artifacts/*"].map((all) => bucket.arnForObjects(all)) as [
      string,
      string,
      string,
    ];
    const rights: Record<typeof use, [actions: string[], objects: string[]][]> = {
      show: [[["s3:GetObject"], [logs]]],
      // Who records a run that is erased meanwhile removes what it has stored.
      record: [
        [["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], [runs]],
        [["s3:GetObject"], [logs]],
      ],
      erase: [[["s3:DeleteObject"], [runs, logs, artifacts]]],
    };
    for (const [actions, objects] of rights[use]) {
      this.allow(actions, objects);
      for (const all of objects) acknowledgeWildcard(this, all, "objects have the ids of jobs in their names");
    }
    return this;
  }

  /** Seals, opens or digests; the values to mask are sealed under another context than the specs. */
  bindSealer(keys: { specKey: IKey; digestKey: IKey }, uses: readonly SealerUse[]): this {
    this.set("LONGSHORE_SPEC_KEY", keys.specKey.keyArn);
    const spec = [keys.specKey.keyArn];
    const opens = ["kms:Decrypt"];
    // Always under a job's id: a data key of another kind is none of ours.
    const bound = { Null: { "kms:EncryptionContext:jobId": "false" } };
    if (uses.includes("seal")) this.allow(["kms:GenerateDataKey"], spec, bound);
    if (uses.includes("open")) this.allow(opens, spec, bound);
    if (uses.includes("open-masks")) {
      this.allow(opens, spec, { StringLike: { "kms:EncryptionContext:jobId": "job_*#masks" } });
    }
    if (uses.includes("digest")) {
      this.set("LONGSHORE_DIGEST_KEY", keys.digestKey.keyArn);
      this.allow(["kms:GenerateMac"], [keys.digestKey.keyArn]);
    }
    return this;
  }

  /** Puts events on the bus. */
  bindBus(bus: EventBus): this {
    this.set("LONGSHORE_BUS", bus.eventBusName);
    return this.allow(["events:PutEvents"], [bus.eventBusArn]);
  }

  /**
   * Starts executions, completes their tasks, looks at them. By the machine's name: the machine itself knows some of these
   * functions.
   */
  bindLifecycle(machineName: string, uses: readonly LifecycleUse[]): this {
    const stack = Stack.of(this);
    const arn = (resource: string, resourceName: string) =>
      stack.formatArn({ service: "states", resource, resourceName, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
    const machine = arn("stateMachine", machineName);
    this.set("LONGSHORE_STATE_MACHINE", machine);
    if (uses.includes("start")) this.allow(["states:StartExecution"], [machine]);
    if (uses.includes("complete")) this.allow(["states:SendTaskSuccess"], [machine]);
    if (uses.includes("look")) {
      const executions = arn("execution", `${machineName}:*`);
      this.allow(["states:DescribeExecution"], [executions]);
      acknowledgeWildcard(this, executions, "an execution has the id of its job in its name");
    }
    return this;
  }

  /** Invokes itself, to go on with what does not fit into one invocation. */
  bindItself(): this {
    // Not among the rights that have to be there before the function: these name it.
    new Policy(this, "Itself", {
      roles: [this.role],
      statements: [new PolicyStatement({ actions: ["lambda:InvokeFunction"], resources: [this.lambda.functionArn] })],
    });
    return this;
  }

  /** Reads the secrets that jobs may name: those below the operator's prefixes. */
  bindSecrets({ ssmPrefix, secretsPrefix }: InfraSettings): this {
    const stack = Stack.of(this);
    this.set("LONGSHORE_SSM_PREFIX", ssmPrefix).set("LONGSHORE_SECRETS_PREFIX", secretsPrefix);
    const parameters = stack.formatArn({ service: "ssm", resource: `parameter${ssmPrefix}*` });
    const secrets = stack.formatArn({
      service: "secretsmanager",
      resource: "secret",
      resourceName: `${secretsPrefix}*`,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    this.allow(["ssm:GetParameter"], [parameters]);
    this.allow(["secretsmanager:GetSecretValue"], [secrets]);
    for (const all of [parameters, secrets]) acknowledgeWildcard(this, all, "jobs may name what is below the prefix");
    return this;
  }

  set(variable: string, value: string): this {
    this.lambda.addEnvironment(variable, value);
    return this;
  }

  allow(actions: string[], resources: string[], conditions?: Record<string, unknown>): this {
    const statement = { actions, resources };
    this.role.addToPrincipalPolicy(new PolicyStatement({ ...statement, ...(conditions && { conditions }) }));
    return this;
  }

  private makeQueue(): Queue {
    const queue = new Queue(this, "Dlq", {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(DLQ_DAYS),
      removalPolicy: RemovalPolicy.DESTROY,
    });
    acknowledge(queue, "SQS3", "it is a dead-letter queue itself");
    return queue;
  }
}

function indexesOf({ tableArn }: ITable): string[] {
  return ["index1", "index2"].map((index) => `${tableArn}/index/${index}`);
}

/** `ChangeFeed` → `change-feed`. */
function entryOf(id: string): string {
  return id.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase();
}

/** What the sources read of it is in `functions/aws/settings.ts`. */
function environmentOf({ settings, traced = false }: LongshoreFunctionProps): Record<string, string> {
  const { stage, runtimes, maxConcurrent, dockerHost } = settings;
  return {
    NODE_OPTIONS: "--enable-source-maps",
    LONGSHORE_STAGE: stage,
    LONGSHORE_RUNTIMES: runtimes.join(","),
    LONGSHORE_MAX_QUEUED: String(settings.maxQueued),
    LONGSHORE_SHARDS: String(settings.shards),
    LONGSHORE_RETENTION_DAYS: settings.retentionDays,
    LONGSHORE_LOG_LEVEL: settings.logLevel,
    LONGSHORE_TRACING: settings.tracing && traced ? "on" : "off",
    ...(settings.retentionRuns === undefined ? {} : { LONGSHORE_RETENTION_RUNS: settings.retentionRuns }),
    ...(maxConcurrent === undefined ? {} : { LONGSHORE_MAX_CONCURRENT: maxConcurrent }),
    ...(dockerHost === undefined ? {} : { DOCKER_HOST: dockerHost }),
  };
}
