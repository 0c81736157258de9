import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CloudFormationClient, paginateListStackResources } from "@aws-sdk/client-cloudformation";
import {
  GetFunctionConfigurationCommand,
  InvokeCommand,
  LambdaClient,
  UpdateFunctionConfigurationCommand,
} from "@aws-sdk/client-lambda";
import { execa } from "execa";
import { DESCRIBE, type DeployedFunction, type LambdaRunner, startLambdaRunner } from "./lambda-runner.ts";
import { freePort } from "./registry.ts";

const ROOT = join(import.meta.dirname, "../..");
const START_LIMIT_MS = 60_000;
const ACCOUNT = "123456789012";
/** By the access key of a deployed function, which has the function's name in it. */
const CALL = /^CALL lab\.\S+-home-(\w+?)Function[0-9A-F]{8}-\S+ (\S+) (\S+)$/gm;

interface ClientSettings {
  endpoint: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
}

export interface Resource {
  /** As the CDK named it, without the digits behind it. */
  logicalId: string;
  type: string;
  physicalId: string;
}

/** A home that the CDK has deployed into an AWS of the test's own. */
export interface DeployedHome {
  endpoint: string;
  /** What the stack is made of. */
  resources: Resource[];
  /** What stands in the stack for a resource that moto cannot create: `type logicalId`, sorted. */
  placeholders: string[];
  runner: LambdaRunner;
  /** Settings for a client of this AWS. */
  client: ClientSettings;
  /** What each function has called of the services that speak JSON, such as `ecs:RunTask`, by its logical id. */
  calls(): Map<string, Set<string>>;
  /** What was deployed of a type, by the beginning of its logical id. @throws Error when there is none. */
  physicalId(type: string, logicalId?: string): string;
  /** A function as it stands, by its physical id. */
  describe(name: string): Promise<DeployedFunction>;
  /** Gives functions these variables, as a deployment with other settings would; default: every one. */
  configure(variables: Record<string, string>, only?: string): Promise<void>;
  /** What this AWS itself wrote to standard error. */
  complaints(): string;
  stop(): Promise<void>;
}

/** Bootstraps and deploys; `context` is what the operator would say by `-c`. The caller must call `stop`. */
export async function deployHome(context: Record<string, string>): Promise<DeployedHome> {
  await using opened = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "longshore-deploy-"));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  const port = await freePort();
  const endpoint = `http://localhost:${port}`;
  const runner = await startLambdaRunner({ endpoint: () => endpoint });
  opened.defer(() => runner.stop());
  const account = await startAccount({ port, runner: runner.url, folder });
  opened.defer(() => account.stop());

  const env = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    TMPDIR: folder,
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: "lab",
    AWS_SECRET_ACCESS_KEY: "lab",
    AWS_REGION: "us-east-1",
    CDK_DEFAULT_ACCOUNT: ACCOUNT,
    CDK_DEFAULT_REGION: "us-east-1",
    CDK_DISABLE_CLI_TELEMETRY: "true",
  };
  const cdk = (args: string[]) =>
    execa("cdk", ["--no-notices", "--no-version-reporting", ...args], {
      cwd: ROOT,
      preferLocal: true,
      env,
      extendEnv: false,
    });
  await cdk(["bootstrap", `aws://${ACCOUNT}/us-east-1`, "--app", ""]);
  const told = account.placeholders().length;
  const said = Object.entries(context).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  await cdk(["deploy", "--require-approval", "never", "--output", join(folder, "cdk.out"), ...said]);
  const client = { endpoint, region: "us-east-1", credentials: { accessKeyId: "lab", secretAccessKey: "lab" } };
  const resources = await resourcesOf(client, `longshore-${context.stage ?? "prod"}-home`);
  const lambda = new LambdaClient(client);
  opened.defer(() => lambda.destroy());
  const functions = resources.filter(({ type }) => type === "AWS::Lambda::Function");
  const owned = opened.move();
  return {
    physicalId(type, logicalId = "") {
      const found = resources.find((one) => one.type === type && one.logicalId.startsWith(logicalId));
      if (found === undefined) throw new Error(`nothing of type ${type} was deployed as ${logicalId}`);
      return found.physicalId;
    },
    async describe(FunctionName) {
      const { Payload } = await lambda.send(new InvokeCommand({ FunctionName, Payload: JSON.stringify(DESCRIBE) }));
      return JSON.parse(Buffer.from(Payload ?? []).toString("utf8")) as DeployedFunction;
    },
    async configure(variables, only) {
      for (const { logicalId, physicalId: FunctionName } of functions) {
        if (only !== undefined && logicalId !== `${only}Function`) continue;
        const { Environment } = await lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));
        const Variables = { ...Environment?.Variables, ...variables };
        await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName, Environment: { Variables } }));
      }
    },
    endpoint,
    resources,
    placeholders: account.placeholders().slice(told).sort(),
    runner,
    client,
    calls: account.calls,
    complaints: account.complaints,
    stop: () => owned.disposeAsync(),
  };
}

async function resourcesOf(settings: ClientSettings, StackName: string): Promise<Resource[]> {
  const client = new CloudFormationClient(settings);
  const found: Resource[] = [];
  for await (const page of paginateListStackResources({ client }, { StackName })) {
    for (const { LogicalResourceId = "", ResourceType = "", PhysicalResourceId = "" } of page.StackResourceSummaries ??
      []) {
      found.push({ logicalId: plain(LogicalResourceId), type: ResourceType, physicalId: PhysicalResourceId });
    }
  }
  client.destroy();
  return found;
}

/** A logical id without the hash that the CDK puts behind it. */
function plain(logicalId: string): string {
  return logicalId.replace(/[0-9A-F]{8}$/, "");
}

interface Account {
  calls(): Map<string, Set<string>>;
  placeholders(): string[];
  complaints(): string;
  stop(): Promise<void>;
}

async function startAccount(options: { port: number; runner: string; folder: string }): Promise<Account> {
  const { port, runner, folder } = options;
  const child = spawn("python3", [join(import.meta.dirname, "awsd.py"), String(port), runner], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, TMPDIR: folder },
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  await answering(child, `http://localhost:${port}`, () => said).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    placeholders: () =>
      [...said.matchAll(/^PLACEHOLDER (\S+) (\S+)/gm)].map(([, type, name = ""]) => `${type} ${logicalIdIn(name)}`),
    calls() {
      const found = new Map<string, Set<string>>();
      for (const [, name = "", service, action] of said.matchAll(CALL)) {
        found.set(name, (found.get(name) ?? new Set()).add(`${service}:${action}`));
      }
      return found;
    },
    complaints: () =>
      said
        .split("\n")
        .filter((line) => !/" \d{3} -$|^PLACEHOLDER |^CALL /.test(line))
        .join("\n"),
    stop,
  };
}

async function answering(child: ChildProcess, endpoint: string, said: () => string): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (child.exitCode === null && Date.now() < deadline) {
    const answer = await fetch(endpoint).catch(() => undefined);
    if (answer !== undefined) return void (await answer.body?.cancel());
    await delay(50);
  }
  throw new Error(`the AWS of the test does not answer: ${said().slice(-2000)}`);
}

/** moto tells a physical name (`STACK-LOGICALID-RANDOM`), or the logical one where the creation failed (`LOGICALID:`). */
function logicalIdIn(name: string): string {
  return plain(/-home-(\w+)-[0-9A-Z]{12,13}$/.exec(name)?.[1] ?? name.replace(/:$/, " failed"));
}
