import { CloudWatchLogsClient, DescribeLogStreamsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  DescribeTasksCommand,
  ECSClient,
  ListTaskDefinitionFamiliesCommand,
  ListTasksCommand,
  type Task,
} from "@aws-sdk/client-ecs";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { GetParametersByPathCommand, SSMClient } from "@aws-sdk/client-ssm";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { DeployedHome } from "../lab/deployed-home.ts";
import { createEcsAgent, type EcsAgent, type Fate } from "../lab/ecs-agent.ts";
import { putTaskEvent, taskStateChange } from "../lab/ecs-events.ts";
import { call, cleanedUp, eventsOf, logsOf, show, submit, type Target } from "../scenarios/client.ts";
import type { Job, JobEvent, Spec } from "../scenarios/contract.ts";

const CANARY = "canary-of-ecs-77d1";
const PATIENCE = { timeout: 60_000, interval: 100 };
const SWEEPS = { timeout: 60_000, interval: 2_000 };
/** moto is one process on a busy machine. */
const PATIENT = { connectionTimeout: 10_000, requestTimeout: 60_000, throwOnRequestTimeout: true } as const;
/** A life has a poll of the start, and a pause for what is still on its way to the log. */
const LIFE_MS = 180_000;

const BEGIN = ["SUBMITTED", "ADMITTED", "VALIDATED", "IMAGE_PULLING", "CONTAINER_CREATING"];
const PROGRESS = new Set(["IMAGE_PULLING", "CONTAINER_CREATING"]);
const COLLECTED = ["LOGS_COLLECTED", "COST_RECORDED"];

interface Deployed {
  home(): DeployedHome;
  aws: Target;
  invoke(logicalId: string, event: unknown): Promise<unknown>;
}

/**
 * The life of jobs on the cluster of a deployed home: moto keeps the tasks, an agent of the test's runs them or says what
 * became of them, and every change is told on the account's bus as ECS would.
 */
export function ecsLives({ home, aws, invoke }: Deployed): void {
  let ecs: ECSClient;
  let logs: CloudWatchLogsClient;
  let ssm: SSMClient;
  let bus: EventBridgeClient;
  let agent: EcsAgent;
  let cluster: string;
  let logGroupName: string;
  /** Names of tasks of which nothing is told on the bus. */
  const unheard = /-unheard-a1$/;

  beforeAll(async () => {
    const settings = { ...home().client, requestHandler: PATIENT };
    ecs = new ECSClient(settings);
    logs = new CloudWatchLogsClient(settings);
    ssm = new SSMClient(settings);
    bus = new EventBridgeClient(settings);
    const idOf = (type: string, logicalId: string) =>
      home().resources.find((one) => one.type === type && one.logicalId === logicalId)?.physicalId ?? "";
    cluster = `arn:aws:ecs:us-east-1:123456789012:cluster/${idOf("AWS::ECS::Cluster", "JobsCluster")}`;
    logGroupName = idOf("AWS::Logs::LogGroup", "JobsLogs");
    const changed = async (task: Task) => {
      if (!unheard.test(task.startedBy ?? "")) await putTaskEvent(bus, taskStateChange(task));
    };
    agent = createEcsAgent(settings, { secondMs: 200, changed });
    agent.attend(cluster);
  });
  afterAll(async () => {
    try {
      await agent?.dispose();
    } finally {
      for (const client of [ecs, logs, ssm, bus]) client?.destroy();
    }
  });

  const shell = (name: string, script: string, more: Spec = {}): Spec => ({
    runtime: "ecs",
    name,
    image: "busybox:1",
    command: ["sh", "-c", script],
    ...more,
  });
  /** Submits a job whose next task, or so many, the agent does not run. */
  const fated = async (fate: Fate, spec: Spec, times?: number): Promise<Job> => {
    agent.decide(new RegExp(`-${spec.name}-a1$`), fate, times);
    return await submit(aws, spec);
  };
  const typesOf = (events: readonly JobEvent[]) => events.map(({ type }) => type);
  const running = async (jobId: string): Promise<string> => {
    const isStarted = async () => {
      const { externalRef } = await show(aws, jobId);
      expect(externalRef ?? "none").toMatch(/^arn:/);
      return externalRef ?? "";
    };
    return await vi.waitFor(isStarted, PATIENCE);
  };

  /** All tasks that were ever made for a job. */
  async function tasksOf(jobId: string): Promise<Task[]> {
    const lists = (["RUNNING", "STOPPED"] as const).map((desiredStatus) =>
      ecs.send(new ListTasksCommand({ cluster, desiredStatus })),
    );
    const tasks = (await Promise.all(lists)).flatMap(({ taskArns = [] }) => taskArns);
    const found: Task[] = [];
    for (let at = 0; at < tasks.length; at += 100) {
      const answer = await ecs.send(new DescribeTasksCommand({ cluster, tasks: tasks.slice(at, at + 100) }));
      found.push(...(answer.tasks ?? []));
    }
    return found.filter(({ group }) => group?.includes(jobId));
  }

  /** What is left of a job in the account, past all adapters. */
  async function leftOf(job: Job): Promise<string[]> {
    const { families = [] } = await ecs.send(
      new ListTaskDefinitionFamiliesCommand({ familyPrefix: "longshore_", status: "ACTIVE" }),
    );
    const path = { Path: "/longshore/lab/attempts", Recursive: true };
    const { Parameters = [] } = await ssm.send(new GetParametersByPathCommand(path));
    const names = [...families, ...Parameters.map(({ Name = "" }) => Name)].filter((name) =>
      name.includes(job.jobId.slice(-10).toLowerCase()),
    );
    const tasks = await tasksOf(job.jobId);
    const { logStreams = [] } = await logs.send(new DescribeLogStreamsCommand({ logGroupName }));
    const ids = tasks.map(({ taskArn = "" }) => taskArn.slice(taskArn.lastIndexOf("/") + 1));
    const streams = logStreams.map(({ logStreamName = "" }) => logStreamName);
    return [
      ...names,
      ...streams.filter((name) => ids.some((id) => name.endsWith(id))),
      ...tasks.filter(({ lastStatus }) => lastStatus !== "STOPPED").map(({ taskArn = "" }) => taskArn),
    ];
  }

  /** The events of a job that has ended and of which nothing is left; so many of its tasks were started, of so many made. */
  async function over(job: Job, { started, made = started }: { started: number; made?: number }): Promise<JobEvent[]> {
    const events = await cleanedUp(aws, job.jobId);
    const tasks = await tasksOf(job.jobId);
    expect([tasks.filter(({ startedAt }) => startedAt !== undefined).length, tasks.length]).toEqual([started, made]);
    expect(await leftOf(await show(aws, job.jobId))).toEqual([]);
    return events;
  }

  // A few at once: each is watched by functions of its own, and a life is mostly waiting.
  describe("runs a job on its cluster:", () => {
    it.concurrent(
      "one that succeeds, with its lines and the events of any other runtime",
      async () => {
        const job = await submit(aws, shell("works", "echo one; echo two"));
        const events = await over(job, { started: 1 });
        expect(typesOf(events)).toEqual([...BEGIN, "STARTED", "EXITED", ...COLLECTED, "SUCCEEDED", "CLEANED_UP"]);
        expect(await show(aws, job.jobId)).toMatchObject({
          status: "SUCCEEDED",
          exitCode: 0,
          attempt: 1,
          runtime: "ecs",
          externalRef: expect.stringMatching(/^arn:aws:ecs:us-east-1:123456789012:task\/longshore-lab-jobs\/[\w-]+$/),
        });
        expect((await logsOf(aws, job.jobId)).map(({ text }) => text)).toEqual(["one", "two"]);
      },
      LIFE_MS,
    );

    it.concurrent(
      "one that fails by its own exit code",
      async () => {
        const job = await submit(aws, shell("fails", "exit 3"));
        const events = await over(job, { started: 1 });
        expect(typesOf(events).slice(-3)).toEqual(["DEAD_LETTERED", "FAILED", "CLEANED_UP"]);
        expect(await show(aws, job.jobId)).toMatchObject({
          status: "FAILED",
          exitCode: 3,
          error: { category: "USER_CODE", exitCode: 3 },
        });
      },
      LIFE_MS,
    );

    it.concurrent(
      "one with a secret, which only its command gets to see",
      async () => {
        const script = 'printf %s "$DB_PASSWORD" | wc -c; echo "it is $DB_PASSWORD"; exec sleep 1000';
        const job = await submit(aws, shell("secret", script, { env: { DB_PASSWORD: CANARY } }));
        await running(job.jobId);
        const left = await leftOf(job);
        expect(left.filter((name) => name.startsWith("longshore_"))).toHaveLength(1);
        expect(left.filter((name) => name.startsWith("/longshore/lab/attempts/"))).toHaveLength(1);
        const [task] = await tasksOf(job.jobId);
        expect(JSON.stringify(task)).not.toContain(CANARY);
        expect((await call(aws, `/jobs/${job.jobId}/cancel`, { method: "POST" })).status).toBe(202);
        await over(job, { started: 1 });
        const texts = (await logsOf(aws, job.jobId)).map(({ text }) => text);
        expect(texts).toEqual([String(CANARY.length), expect.stringMatching(/^it is \S+$/)]);
        expect(texts.join() + home().runner.output()).not.toContain(CANARY);
      },
      LIFE_MS,
    );

    it.concurrent(
      "one that is cancelled: its task is stopped, and only then it says so",
      async () => {
        const job = await submit(aws, shell("cancelled", "exec sleep 1000"));
        await running(job.jobId);
        expect((await call(aws, `/jobs/${job.jobId}/cancel`, { method: "POST" })).status).toBe(202);
        const events = await over(job, { started: 1 });
        expect(typesOf(events).filter((type) => /CANCEL|EXITED/.test(type))).toEqual([
          "CANCEL_REQUESTED",
          "EXITED",
          "CANCELLED",
        ]);
        const [task] = await tasksOf(job.jobId);
        expect(task).toMatchObject({ stopCode: "UserInitiated", stoppedReason: "stopped by Longshore" });
      },
      LIFE_MS,
    );
  });

  describe("runs a job on its cluster, and what goes wrong there is told:", () => {
    it.concurrent(
      "one whose spot capacity is taken away: the attempt has failed, and the next one succeeds",
      async () => {
        const retry = { maxAttempts: 2, delaySeconds: 0 };
        const spec = shell("spot", "echo again", { placement: { spot: true }, retry });
        const job = await fated({ fate: "run" }, spec);
        await agent.tell(await running(job.jobId), "RUNNING", { reason: "Your Spot Task was interrupted." });
        const events = await over(job, { started: 2 });
        expect(typesOf(events).filter((type) => /STARTED|EXITED|RETRY/.test(type))).toEqual([
          ...["STARTED", "EXITED", "RETRY_SCHEDULED"],
          ...["STARTED", "EXITED"],
        ]);
        const ended = await show(aws, job.jobId);
        expect(ended).toMatchObject({ status: "SUCCEEDED", attempt: 2, exitCode: 0, error: null });
        expect(ended.attempts[0]).toMatchObject({
          exitCode: 143,
          error: { category: "RUNTIME_UNAVAILABLE", providerCode: "SpotInterruption" },
        });
        const providers = (await tasksOf(job.jobId)).map(({ capacityProviderName }) => capacityProviderName);
        expect(providers).toEqual(["FARGATE_SPOT", "FARGATE_SPOT"]);
      },
      LIFE_MS,
    );

    it.concurrent(
      "one whose image cannot be pulled",
      async () => {
        const reason =
          "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to do request: dial tcp 10.0.0.1:443: i/o timeout";
        const job = await fated({ fate: "refuse", reason }, shell("pull", "echo never", { env: { MY_TOKEN: CANARY } }));
        const events = await over(job, { started: 0, made: 1 });
        expect(typesOf(events)).toEqual([
          ...[...BEGIN, "EXITED", ...COLLECTED],
          ...["DEAD_LETTERED", "FAILED", "CLEANED_UP"],
        ]);
        expect(await show(aws, job.jobId)).toMatchObject({
          status: "FAILED",
          exitCode: null,
          startedAt: null,
          error: { category: "IMAGE_PULL", providerCode: "CannotPullContainerError", retryable: true },
        });
      },
      LIFE_MS,
    );

    it.concurrent(
      "one for which there is no capacity: it waits, and the same attempt is started by another task",
      async () => {
        const reason =
          "Capacity is unavailable at this time. Please try again later or in a different availability zone";
        const spec = shell("capacity", "echo at last", { env: { MY_TOKEN: CANARY } });
        const job = await fated({ fate: "refuse", reason }, spec, 2);
        const events = await over(job, { started: 1, made: 3 });
        // A launch may have told nothing of its progress yet when the event tells of the command's end.
        const withoutProgress = typesOf(events).filter((type) => !PROGRESS.has(type));
        const deferred = ["ADMITTED", "VALIDATED", "RECONCILED"];
        expect(withoutProgress).toEqual([
          ...["SUBMITTED", ...deferred, ...deferred, "ADMITTED", "VALIDATED"],
          ...["STARTED", "EXITED", ...COLLECTED, "SUCCEEDED", "CLEANED_UP"],
        ]);
        const deferrals = events.filter(({ type }) => type === "RECONCILED");
        for (const { data, status } of deferrals) {
          expect(status).toBe("PENDING");
          expect(data).toMatchObject({ deferred: true, reason: expect.stringContaining("Capacity is unavailable") });
        }
        expect(await show(aws, job.jobId)).toMatchObject({ status: "SUCCEEDED", attempt: 1, maxAttempts: 1 });
      },
      LIFE_MS,
    );
  });

  describe("runs a job on its cluster, and its end is seen:", () => {
    it.concurrent(
      "one that runs out of memory",
      async () => {
        const job = await fated({ fate: "run" }, shell("oom", ""));
        const containerReason = "OutOfMemoryError: Container killed due to memory usage";
        await agent.tell(await running(job.jobId), "STOPPED", { exitCode: 137, containerReason });
        await over(job, { started: 1 });
        expect(await show(aws, job.jobId)).toMatchObject({
          status: "FAILED",
          exitCode: 137,
          error: { category: "OOM", providerCode: "OutOfMemoryError", retryable: false },
        });
      },
      LIFE_MS,
    );

    it.concurrent(
      "one of whose end no event tells: the sweep finds it",
      async () => {
        const job = await submit(aws, shell("unheard", "exit 4"));
        await vi.waitFor(async () => {
          const [task] = await tasksOf(job.jobId);
          expect(task?.lastStatus).toBe("STOPPED");
        }, PATIENCE);
        await running(job.jobId);
        await vi.waitFor(async () => {
          await invoke("Reconcile", {});
          expect((await show(aws, job.jobId)).status).toBe("FAILED");
        }, SWEEPS);
        await over(job, { started: 1 });
        expect(await show(aws, job.jobId)).toMatchObject({ exitCode: 4, error: { category: "USER_CODE" } });
      },
      LIFE_MS,
    );
  });

  it(
    "makes nothing of events that are late, doubled, another's or garbage",
    async () => {
      const job = await fated({ fate: "run" }, shell("events", ""));
      const ref = await running(job.jobId);
      const [task] = await tasksOf(job.jobId);
      const early = taskStateChange(task ?? {});
      const told = () => home().runner.invocations.filter(({ name }) => name.includes("RuntimeEvents"));
      const before = told().length;
      const tell = (detail: Record<string, unknown>) => putTaskEvent(bus, { ...early, ...detail });
      const stopped = { lastStatus: "STOPPED", desiredStatus: "STOPPED", stoppedAt: new Date() };
      const end = (exitCode: number) => ({ ...stopped, containers: [{ name: "job", exitCode }] });
      // The deployed rule lets these through, and they say nothing of this job's attempt.
      const heard = [
        { ...end(91), group: `longshore:home_other:${job.jobId}:1` },
        { ...end(92), group: `longshore:${job.jobId}` },
        { ...end(93), taskArn: `${ref.slice(0, -4)}0000` },
        { ...end(94), taskArn: `${ref.slice(0, -4)}1111`, startedAt: undefined },
        { ...stopped, containers: "none" },
      ];
      for (const one of heard) await tell(one);
      // These it does not: nobody is woken by them.
      const others = [
        { ...end(95), clusterArn: `${cluster}-other` },
        { ...end(96), group: "service:web" },
        { lastStatus: "RUNNING", version: 1 },
      ];
      for (const one of others) await tell(one);
      await vi.waitFor(() => expect(told().length - before).toBe(heard.length), PATIENCE);
      expect(await show(aws, job.jobId)).toMatchObject({ status: "RUNNING", phase: "running", exitCode: null });
      await agent.tell(ref, "STOPPED", { exitCode: 5 });
      const events = await over(job, { started: 1 });
      expect(typesOf(events).filter((type) => type === "EXITED")).toHaveLength(1);
      const ended = await show(aws, job.jobId);
      expect(ended).toMatchObject({ status: "FAILED", exitCode: 5 });
      const late = told().length;
      const [last] = await tasksOf(job.jobId);
      for (let n = 0; n < 3; n++) await putTaskEvent(bus, taskStateChange(last ?? {}));
      await tell({ ...end(0), version: 1 });
      await vi.waitFor(() => expect(told().length - late).toBe(4), PATIENCE);
      expect(await show(aws, job.jobId)).toEqual(ended);
      expect(await eventsOf(aws, job.jobId)).toEqual(events);
      expect(told().filter(({ failed }) => failed)).toEqual([]);
    },
    LIFE_MS,
  );
}
