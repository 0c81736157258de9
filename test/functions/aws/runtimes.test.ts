import { describe, expect, it } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import type { RuntimeAdapter } from "../../../engine/ports/runtime.ts";
import { lazyRuntime } from "../../../functions/aws/lazy-runtime.ts";
import { createRuntimes, eventReaders, maxConcurrent, pushesEnds } from "../../../functions/aws/runtimes.ts";
import { readAwsSettings } from "../../../functions/aws/settings.ts";

const HOME = "home_01J0000000000000000000000A";
const JOB = "job_01J0000000000000000000000B";
const CLUSTER = "arn:aws:ecs:eu-west-1:123456789012:cluster/longshore-prod-jobs";
const TASK = "arn:aws:ecs:eu-west-1:123456789012:task/longshore-prod-jobs/c13b4cb40f1f4fe4a2971f76ae5a47ad";
const ECS = {
  LONGSHORE_TABLE: "ledger",
  LONGSHORE_RUNTIMES: "ecs",
  LONGSHORE_ECS_CLUSTER: CLUSTER,
  LONGSHORE_ECS_SUBNETS: "subnet-1,subnet-2",
  LONGSHORE_ECS_SECURITY_GROUPS: "sg-1",
  LONGSHORE_ECS_EXECUTION_ROLE: "arn:aws:iam::123456789012:role/execution",
  LONGSHORE_ECS_LOG_GROUP: "jobs",
  LONGSHORE_ECS_PARAMETER_PREFIX: "/longshore/prod/attempts/",
};
const runtimesOf = async (more: Record<string, string> = {}) =>
  (await createRuntimes(readAwsSettings({ ...ECS, ...more }), { homeId: HOME, awaitsStops: false })).all();

describe("the runtime ecs of a deployed home", () => {
  it("is known without asking anybody: on Fargate by default, on the operator's instances where they are named", async () => {
    const [fargate] = await runtimesOf();
    expect(fargate).toMatchObject({
      name: "ecs",
      kind: "ecs",
      explicitOnly: false,
      capabilities: { spot: true, gpu: false, diskLimit: true },
      constraints: { maxCpu: 16, maxConcurrent: 100 },
    });
    const [instances] = await runtimesOf({
      LONGSHORE_ECS_LAUNCH_TYPE: "EC2",
      LONGSHORE_ECS_GPU: "on",
      LONGSHORE_ECS_SPOT_CAPACITY_PROVIDER: "cheap",
      LONGSHORE_MAX_CONCURRENT: "ecs=7",
    });
    expect(instances).toMatchObject({
      capabilities: { spot: true, gpu: true, diskLimit: false },
      constraints: { maxCpu: null, maxConcurrent: 7 },
    });
    expect((await runtimesOf({ LONGSHORE_ECS_LAUNCH_TYPE: "EC2" }))[0]?.capabilities.spot).toBe(false);
    expect(pushesEnds("ecs")).toBe(true);
    expect(maxConcurrent(readAwsSettings(ECS), "ecs")).toBe(100);
  });

  it.each(Object.keys(ECS).filter((name) => name.startsWith("LONGSHORE_ECS")))(
    "cannot be offered without %s",
    async (name) => {
      await expect(runtimesOf({ [name]: "" })).rejects.toThrow(name);
    },
  );

  it("reads events of its cluster and its home, and no others", async () => {
    const read = eventReaders(readAwsSettings(ECS), HOME).get("aws.ecs");
    const event = (detail: object = {}) => ({
      id: "e1",
      source: "aws.ecs",
      "detail-type": "ECS Task State Change",
      detail: {
        clusterArn: CLUSTER,
        taskArn: TASK,
        group: `longshore:${HOME}:${JOB}:2`,
        lastStatus: "STOPPED",
        startedAt: "2026-01-01T00:00:00Z",
        stoppedAt: "2026-01-01T00:01:00Z",
        containers: [{ name: "job", exitCode: 3 }],
        ...detail,
      },
    });
    expect(await read?.(event())).toMatchObject({
      jobId: JOB,
      attempt: 2,
      externalRef: TASK,
      status: { phase: "exited", exitCode: 3 },
    });
    for (const other of [{ clusterArn: `${CLUSTER}2` }, { group: `longshore:home_2:${JOB}:2` }, { taskArn: 1 }]) {
      expect(await read?.(event(other))).toBeNull();
    }
    expect(eventReaders(readAwsSettings({ ...ECS, LONGSHORE_RUNTIMES: "stub" }), HOME).size).toBe(0);
  });
});

describe("a runtime that is loaded late", () => {
  const capabilities = { artifacts: true };
  const about = { name: "late", kind: "late", explicitOnly: true, capabilities } as RuntimeAdapter;

  it("is loaded by the first call, once, and again after a load that failed", async () => {
    let loads = 0;
    const calls: unknown[][] = [];
    const loaded = new Proxy({} as RuntimeAdapter, {
      get: (_, name) =>
        name === "then"
          ? undefined
          : (...args: unknown[]) => {
              calls.push([name, ...args]);
              return ["logs", "list", "artifacts"].includes(String(name))
                ? [1, 2]
                : Promise.resolve(`${String(name)} done`);
            },
    });
    const runtime = lazyRuntime(about, async () => {
      loads += 1;
      if (loads === 1) throw new LongshoreError("UNAVAILABLE", "no chunk");
      return loaded;
    });
    const { signal } = new AbortController();
    await runtime.dispose();
    expect([runtime.name, runtime.explicitOnly, loads]).toEqual(["late", true, 0]);
    await expect(runtime.health()).rejects.toThrow("no chunk");
    const launch = { attempt: 1 } as never;
    const request = { paths: ["/out/*"], workdir: null, limits: { entries: 1, bytes: 1 } };
    expect(
      await Promise.all([
        runtime.health(),
        runtime.submit(launch, signal),
        runtime.status("a"),
        runtime.cancel("b", 3),
        runtime.cleanup("c"),
        runtime.find("d"),
        runtime.wait("e", signal),
        Array.fromAsync(runtime.logs("f", { after: 1 })),
        Array.fromAsync(runtime.list()),
        Array.fromAsync(runtime.artifacts?.("g", request) ?? []),
      ]),
    ).toEqual([
      ...["health done", "submit done", "status done", "cancel done", "cleanup done", "find done", "wait done"],
      ...[
        [1, 2],
        [1, 2],
        [1, 2],
      ],
    ]);
    await runtime.dispose();
    expect(loads).toBe(2);
    expect(calls.toSorted(([a], [b]) => String(a).localeCompare(String(b)))).toEqual([
      ["artifacts", "g", request],
      ["cancel", "b", 3],
      ["cleanup", "c"],
      ["dispose"],
      ["find", "d"],
      ["health"],
      ["list"],
      ["logs", "f", { after: 1 }],
      ["status", "a"],
      ["submit", launch, signal],
      ["wait", "e", signal],
    ]);
    // One that cannot does not look as if it could.
    const unable = { ...about, capabilities: { artifacts: false } } as RuntimeAdapter;
    expect("artifacts" in lazyRuntime(unable, async () => loaded)).toBe(false);
  });
});
