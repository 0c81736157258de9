import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CloudWatchLogsClient, CreateLogStreamCommand, PutLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  SubmitTaskStateChangeCommand,
  type Task,
} from "@aws-sdk/client-ecs";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import type { LabSettings } from "./aws.ts";

/** What the agent does with a task instead of running its command. */
export type Fate =
  /** It never gets further. */
  | { fate: "hang" }
  /** It is stopped before its container was started. */
  | { fate: "refuse"; reason: string }
  /** It runs until `tell` says how it ends; one that is deaf also when it was asked to. */
  | { fate: "run"; deaf?: true };

export interface EcsAgent {
  /** Lets the agent see what the client asks for: what it starts is run, what it stops is ended. */
  serve(client: ECSClient): void;
  /** As `serve`, for all that anybody starts and stops in the cluster, until the agent is disposed of. */
  attend(cluster: string): void;
  /** What becomes of the next tasks that are started under the name, or a name that matches. Default: of all of them. */
  decide(startedBy: string | RegExp, fate: Fate, times?: number): void;
  /** Tells how a task stands, as the agents of ECS do. */
  tell(
    task: string,
    status: string,
    told?: { reason?: string; exitCode?: number; containerReason?: string },
  ): Promise<void>;
  /** Puts lines into the log of a task, as its awslogs driver would. */
  write(task: string, texts: readonly string[]): Promise<void>;
  /** Ends all that it runs. */
  dispose(): Promise<void>;
}

/** What the awslogs driver cuts lines at: https://docs.docker.com/engine/logging/drivers/awslogs/ */
const MAX_EVENT_BYTES = 262_118;
const CONTAINER = "job";
/** Between two looks at a cluster. */
const LOOK_MS = 100;

interface Running {
  child: ChildProcess;
  graceMs: number;
}

/**
 * The agent of a cluster of moto's: runs the command of a task as a process of this machine, with the environment that
 * its definition, its overrides and its secrets give it, writes its lines to CloudWatch Logs and reports its states, all
 * by the services' own calls. A second of a stop's grace lasts `secondMs`. `changed` gets a task as ECS describes it
 * after each report of its state.
 */
export function createEcsAgent(
  settings: LabSettings,
  options: { secondMs: number; changed?(task: Task): Promise<void> },
): EcsAgent {
  const ecs = new ECSClient(settings);
  const logs = new CloudWatchLogsClient(settings);
  const ssm = new SSMClient(settings);
  const directory = mkdtempSync(join(tmpdir(), "ecs-agent-"));
  const lives = new Map<string, Promise<void>>();
  const running = new Map<string, Running>();
  const fates: { of: string | RegExp; fate: Fate; times: number }[] = [];
  const stopping = new Set<string>();
  const ended = new Set<string>();
  const deaf = new Set<string>();
  const closing = new AbortController();
  const attending: Promise<void>[] = [];
  let failure: unknown;

  const clusterOf = (task: string) => task.replace(":task/", ":cluster/").replace(/\/[^/]+$/, "");

  async function tell(
    task: string,
    status: string,
    { reason, exitCode, containerReason }: { reason?: string; exitCode?: number; containerReason?: string } = {},
  ): Promise<void> {
    const container = { containerName: CONTAINER, status, exitCode, reason: containerReason };
    const input = { cluster: clusterOf(task), task, status, reason, containers: [container] };
    await ecs.send(new SubmitTaskStateChangeCommand(input));
    if (status === "STOPPED") ended.add(task);
    if (options.changed !== undefined) await options.changed(await taskOf(task));
  }

  /** What was decided last, and not for others only. */
  function fateOf(startedBy: string): Fate | undefined {
    const found = fates.findLast(
      ({ of, times }) => times > 0 && (typeof of === "string" ? of === startedBy : of.test(startedBy)),
    );
    if (found !== undefined) found.times -= 1;
    return found?.fate;
  }

  async function taskOf(arn: string): Promise<Task> {
    const { tasks } = await ecs.send(new DescribeTasksCommand({ cluster: clusterOf(arn), tasks: [arn] }));
    const [task] = tasks ?? [];
    if (task === undefined) throw new Error(`no task ${arn}`);
    return task;
  }

  async function describe(arn: string): Promise<{ task: Task; container: Container; overrides: Overrides }> {
    const task = await taskOf(arn);
    const { taskDefinition } = await ecs.send(
      new DescribeTaskDefinitionCommand({ taskDefinition: task.taskDefinitionArn }),
    );
    const [container] = taskDefinition?.containerDefinitions ?? [];
    if (container === undefined) throw new Error("a task definition without a container");
    return { task, container, overrides: task.overrides?.containerOverrides?.[0] ?? {} };
  }

  async function environmentOf(container: Container, overrides: Overrides): Promise<Record<string, string>> {
    const env: Record<string, string> = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
    for (const { name = "", value = "" } of [...(container.environment ?? []), ...(overrides.environment ?? [])]) {
      env[name] = value;
    }
    for (const { name = "", valueFrom = "" } of container.secrets ?? []) {
      const parameter = valueFrom.slice(valueFrom.indexOf(":parameter") + ":parameter".length);
      const { Parameter } = await ssm.send(new GetParameterCommand({ Name: parameter, WithDecryption: true }));
      env[name] = Parameter?.Value ?? "";
    }
    return env;
  }

  async function live(arn: string): Promise<void> {
    const { task, container, overrides } = await describe(arn);
    const fate = fateOf(task.startedBy ?? "");
    if (fate?.fate === "hang") return;
    await tell(arn, "PENDING");
    if (stopping.has(arn)) return await tell(arn, "STOPPED");
    if (fate?.fate === "refuse") return await tell(arn, "STOPPED", { reason: fate.reason });
    const log = await openLog(container, arn);
    if (fate?.fate === "run") {
      if (fate.deaf) deaf.add(arn);
      return await tell(arn, "RUNNING");
    }
    const [file = "", ...words] = [...(container.entryPoint ?? []), ...(overrides.command ?? container.command ?? [])];
    const env = await environmentOf(container, overrides);
    const child = spawn(file, words, { cwd: directory, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const graceMs = (container.stopTimeout ?? 30) * options.secondMs;
    const exited = new Promise<number>((resolve) => {
      // As an init does for a command that is not there.
      child.once("error", () => resolve(127));
      child.once("exit", (code, signal) => resolve(code ?? 128 + (SIGNALS[signal ?? ""] ?? 0)));
    });
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
    running.set(arn, { child, graceMs });
    const output = [child.stdout, child.stderr].map((stream) => collect(stream, log));
    await tell(arn, "RUNNING");
    if (stopping.has(arn)) end(arn);
    const exitCode = await exited;
    kill(child, "SIGKILL");
    if (child.pid !== undefined) await closed;
    await Promise.all(output);
    await log.flush();
    running.delete(arn);
    await tell(arn, "STOPPED", { exitCode });
  }

  async function openLog(container: Container, arn: string): Promise<Log> {
    const of = container.logConfiguration?.options ?? {};
    const name = `${of["awslogs-stream-prefix"]}/${container.name}/${arn.slice(arn.lastIndexOf("/") + 1)}`;
    const at = { logGroupName: of["awslogs-group"], logStreamName: name };
    await logs.send(new CreateLogStreamCommand(at));
    return createLog(async (logEvents) => void (await logs.send(new PutLogEventsCommand({ ...at, logEvents }))));
  }

  function end(arn: string): void {
    stopping.add(arn);
    const one = running.get(arn);
    if (one === undefined) return;
    one.child.kill("SIGTERM");
    const timer = setTimeout(() => kill(one.child, "SIGKILL"), one.graceMs);
    one.child.once("exit", () => clearTimeout(timer));
  }

  async function stop(arn: string): Promise<void> {
    if (stopping.has(arn) || deaf.has(arn)) return;
    end(arn);
    if (running.has(arn)) return;
    await lives.get(arn);
    // What was decided for it to hang, or to run, has no process of its own.
    const { task } = await describe(arn);
    if (!running.has(arn) && task.lastStatus !== "STOPPED") {
      await tell(arn, "STOPPED", task.startedAt === undefined ? {} : { exitCode: 143 });
    }
  }

  /** What goes on beside the calls of a test; what it fails by, the end of the agent tells. */
  function note(work: Promise<void>): void {
    work.catch((error: unknown) => {
      failure ??= error;
    });
  }

  async function discover(cluster: string, startedBy: string): Promise<void> {
    const { taskArns = [] } = await ecs.send(new ListTasksCommand({ cluster, startedBy }));
    for (const arn of taskArns) if (!lives.has(arn)) begin(arn, () => live(arn));
  }

  /** Looks again and again, since it shares no process with whoever asks. */
  async function attend(cluster: string): Promise<void> {
    while (!closing.signal.aborted) {
      const { taskArns: started = [] } = await ecs.send(new ListTasksCommand({ cluster }));
      for (const arn of started) if (!lives.has(arn)) begin(arn, () => live(arn));
      const { taskArns: toEnd = [] } = await ecs.send(new ListTasksCommand({ cluster, desiredStatus: "STOPPED" }));
      for (const arn of toEnd) if (lives.has(arn) && !ended.has(arn)) note(stop(arn));
      await delay(LOOK_MS, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  function begin(arn: string, work: () => Promise<void>): void {
    const done = work().catch((error: unknown) => {
      failure ??= error;
    });
    lives.set(
      arn,
      Promise.all([lives.get(arn), done]).then(() => undefined),
    );
  }

  return {
    tell,
    decide: (of, fate, times = Number.POSITIVE_INFINITY) => void fates.push({ of, fate, times }),
    attend(cluster) {
      const done = attend(cluster);
      note(done);
      attending.push(done.catch(() => undefined));
    },
    async write(arn, texts) {
      const { container } = await describe(arn);
      const of = container.logConfiguration?.options ?? {};
      const logStreamName = `${of["awslogs-stream-prefix"]}/${container.name}/${arn.slice(arn.lastIndexOf("/") + 1)}`;
      const logEvents = texts.map((message) => ({ timestamp: Date.now(), message }));
      await logs.send(new PutLogEventsCommand({ logGroupName: of["awslogs-group"], logStreamName, logEvents }));
    },
    serve(client) {
      client.middlewareStack.add(
        (next, context) => async (args) => {
          const answer = await next(args);
          const { commandName } = context as { commandName?: string };
          const { cluster = "", startedBy = "", task = "" } = args.input as Asked;
          if (commandName === "RunTaskCommand") note(discover(cluster, startedBy));
          if (commandName === "StopTaskCommand") note(stop(task));
          return answer;
        },
        // Below the injected faults: an answer that is lost on the way was given all the same. Nobody has read it here.
        { step: "deserialize", name: "longshoreTestAgent", priority: "normal" },
      );
    },
    async dispose() {
      closing.abort();
      await Promise.all(attending);
      for (const { child } of running.values()) kill(child, "SIGKILL");
      await Promise.all(lives.values());
      for (const client of [ecs, logs, ssm]) client.destroy();
      await rm(directory, { recursive: true, force: true });
      if (failure !== undefined) throw failure;
    },
  };
}

/** Of RunTask and StopTask. */
interface Asked {
  cluster?: string;
  startedBy?: string;
  task?: string;
}

interface Overrides {
  command?: string[] | undefined;
  environment?: { name?: string | undefined; value?: string | undefined }[] | undefined;
}

interface Container extends Overrides {
  name?: string | undefined;
  entryPoint?: string[] | undefined;
  secrets?: { name?: string | undefined; valueFrom?: string | undefined }[] | undefined;
  stopTimeout?: number | undefined;
  logConfiguration?: { options?: Record<string, string> | undefined } | undefined;
}

const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** The whole group, for nothing outlives the first process of a container. */
function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

interface Log {
  line(bytes: Buffer): void;
  flush(): Promise<void>;
}

interface LogEvent {
  timestamp: number;
  message: string;
}

const MAX_BATCH_BYTES = 1_000_000;
const MAX_BATCH = 5_000;

/** Sends lines in the order in which they came, one batch after the other. */
function createLog(put: (events: LogEvent[]) => Promise<void>): Log {
  let waiting: LogEvent[] = [];
  let sending = Promise.resolve();
  const send = async (): Promise<void> => {
    while (waiting.length > 0) {
      let bytes = 0;
      const count = waiting.findIndex((event, index) => {
        bytes += Buffer.byteLength(event.message) + 26;
        return index === MAX_BATCH || (index > 0 && bytes > MAX_BATCH_BYTES);
      });
      const batch = count < 0 ? waiting : waiting.slice(0, count);
      waiting = waiting.slice(batch.length);
      await put(batch);
    }
  };
  return {
    line(bytes) {
      // An event must not be empty: the driver leaves such lines out.
      for (let at = 0; at < bytes.length; at += MAX_EVENT_BYTES) {
        const message = bytes.subarray(at, at + MAX_EVENT_BYTES).toString("utf8");
        waiting.push({ timestamp: Date.now(), message });
      }
      sending = sending.then(send);
      sending.catch(() => undefined);
    },
    flush: async () => await sending,
  };
}

async function collect(stream: AsyncIterable<Buffer> | null, log: Log): Promise<void> {
  let rest = Buffer.alloc(0);
  for await (const chunk of stream ?? []) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      log.line(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
    }
  }
  if (rest.length > 0) log.line(rest);
}
