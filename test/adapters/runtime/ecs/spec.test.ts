import { describe, expect, it } from "vitest";
import { environmentOf, nativeReference, registrySecret } from "../../../../adapters/runtime/ecs/environment.ts";
import {
  capabilitiesOf,
  constraintsOf,
  exposedPaths,
  violationsOf,
} from "../../../../adapters/runtime/ecs/features.ts";
import {
  attemptOfFamily,
  clientToken,
  groupOf,
  identityOf,
  isTaskArn,
} from "../../../../adapters/runtime/ecs/names.ts";
import { checkOptions, type EcsRuntimeOptions, placeOf } from "../../../../adapters/runtime/ecs/options.ts";
import { fargateSize, ownSize } from "../../../../adapters/runtime/ecs/sizes.ts";
import { planOf } from "../../../../adapters/runtime/ecs/spec.ts";
import { mintJobId } from "../../../../engine/ids.ts";
import type { Launch } from "../../../../engine/ports/runtime.ts";
import { parseJobSpec } from "../../../../engine/spec/parse.ts";
import type { JobSpecInput } from "../../../../engine/spec/schema.ts";

const JOB = mintJobId(0);
const HOME = "home_01J0000000000000000000000A";
const FARGATE: EcsRuntimeOptions = {
  homeId: HOME,
  clusterArn: "arn:aws:ecs:eu-west-1:111122223333:cluster/jobs",
  launching: { type: "FARGATE" },
  subnets: ["subnet-a", "subnet-b"],
  securityGroups: ["sg-a"],
  executionRoleArn: "arn:aws:iam::111122223333:role/execution",
  logGroup: "/longshore/jobs",
  parameterPrefix: "/longshore/attempts/",
};
const EC2: EcsRuntimeOptions = { ...FARGATE, launching: { type: "EC2" } };

function launch(spec: Partial<JobSpecInput> = {}, more: Partial<Launch> = {}): Launch {
  const parsed = parseJobSpec({ name: "x", image: "box:1", ...spec });
  return {
    jobId: JOB,
    attempt: 2,
    externalName: "longshore-0000000000-x-a2",
    spec: parsed,
    env: parsed.env,
    dispatchedAt: "2026-01-01T00:00:00.000Z",
    secretValues: [],
    report: () => undefined,
    confirm: async () => undefined,
    ...more,
  };
}
const containerOf = (one: Launch, options = FARGATE) => planOf(one, options).definition.containerDefinitions?.[0];

describe("a plan", () => {
  it("is a shared definition, and overrides for what differs", () => {
    const one = launch({ command: ["sh", "-c"], args: ["echo hi"], env: { LOG: "debug" }, workdir: "/w", user: "1:2" });
    const { definition, own, parameters, run } = planOf(one, FARGATE);
    expect(own).toBe(false);
    expect(parameters).toEqual([]);
    expect(definition).toEqual({
      family: expect.stringMatching(/^longshore-[0-9a-f]{40}$/),
      tags: [{ key: "longshore.home", value: HOME }],
      requiresCompatibilities: ["FARGATE"],
      networkMode: "awsvpc",
      cpu: "256",
      memory: "512",
      executionRoleArn: FARGATE.executionRoleArn,
      runtimePlatform: { operatingSystemFamily: "LINUX", cpuArchitecture: "X86_64" },
      containerDefinitions: [
        {
          name: "job",
          image: "box:1",
          essential: true,
          entryPoint: ["sh", "-c"],
          workingDirectory: "/w",
          user: "1:2",
          stopTimeout: 10,
          readonlyRootFilesystem: false,
          secrets: [],
          linuxParameters: { initProcessEnabled: true, capabilities: { drop: ["ALL"], add: [] } },
          logConfiguration: {
            logDriver: "awslogs",
            options: {
              "awslogs-group": "/longshore/jobs",
              "awslogs-region": "eu-west-1",
              "awslogs-stream-prefix": `longshore/${HOME}`,
              mode: "blocking",
            },
          },
        },
      ],
    });
    expect(run).toEqual({
      cluster: FARGATE.clusterArn,
      count: 1,
      clientToken: clientToken({ homeId: HOME, jobId: JOB, attempt: 2 }),
      startedBy: one.externalName,
      group: `longshore:${HOME}:${JOB}:2`,
      tags: [
        { key: "longshore.home", value: HOME },
        { key: "longshore.job", value: JOB },
        { key: "longshore.attempt", value: "2" },
        { key: "longshore.cleanup", value: "always" },
      ],
      launchType: "FARGATE",
      platformVersion: "LATEST",
      networkConfiguration: {
        awsvpcConfiguration: {
          subnets: ["subnet-a", "subnet-b"],
          securityGroups: ["sg-a"],
          assignPublicIp: "ENABLED",
        },
      },
      overrides: {
        containerOverrides: [{ name: "job", command: ["echo hi"], environment: [{ name: "LOG", value: "debug" }] }],
      },
    });
  });

  it("is the same for everything that is the same, and another for every difference of the shape", () => {
    const familyOf = (spec: Partial<JobSpecInput>, options = FARGATE, more: Partial<Launch> = {}) =>
      planOf(launch(spec, more), options).definition.family;
    const base = familyOf({});
    expect(familyOf({ args: ["x"], env: { A: "1" }, name: "other", labels: { a: "b" } })).toBe(base);
    expect(familyOf({}, FARGATE, { jobId: mintJobId(5), attempt: 9, externalName: "longshore-1-x-a9" })).toBe(base);
    const others = [
      familyOf({ image: "box:2" }),
      familyOf({ command: ["sh"] }),
      familyOf({ workdir: "/w" }),
      familyOf({ user: "1" }),
      familyOf({ resources: { cpu: 1 } }),
      familyOf({ resources: { memoryMiB: 400 } }),
      familyOf({ resources: { diskMiB: 30 * 1024 } }),
      familyOf({ stopGraceSeconds: 20 }),
      familyOf({ security: { readOnlyRoot: true } }),
      familyOf({ placement: { arch: "arm64" } }),
      familyOf({ secrets: { A: { from: "ssm:/longshore/jobs/a" } } }, FARGATE, { env: { A: "value" } }),
      familyOf({}, { ...FARGATE, homeId: "home_2" }),
      familyOf({}, { ...FARGATE, taskRoleArn: "arn:aws:iam::111122223333:role/task" }),
      familyOf({}, EC2),
    ];
    expect(new Set([base, ...others]).size).toBe(others.length + 1);
  });

  it("has a definition and parameters of its own for sensitive values, and shows none", () => {
    const env = { DB_PASSWORD: "hunter2-hunter2", PLAIN: "x", EMPTY_TOKEN: "" };
    const plan = planOf(launch({ env }, { secretValues: ["hunter2-hunter2"] }), FARGATE);
    const parameter = `/longshore/attempts/${HOME}/longshore-0000000000-x-a2/0`;
    const valueFrom = `arn:aws:ssm:eu-west-1:111122223333:parameter${parameter}`;
    expect(plan.own).toBe(true);
    expect(plan.parameters).toEqual([{ name: "DB_PASSWORD", parameter, valueFrom, value: "hunter2-hunter2" }]);
    expect(plan.definition.family).toBe(`longshore_${HOME}_longshore-0000000000-x-a2_${JOB}`);
    expect(plan.definition.containerDefinitions?.[0]?.secrets).toEqual([{ name: "DB_PASSWORD", valueFrom }]);
    expect(plan.run.overrides?.containerOverrides?.[0]?.environment).toEqual([
      { name: "EMPTY_TOKEN", value: "" },
      { name: "PLAIN", value: "x" },
    ]);
    expect(JSON.stringify([plan.definition, plan.run])).not.toContain("hunter2");
  });

  it("takes what is too long for an override into a definition of its own", () => {
    const env = { LONG: "x".repeat(8192) };
    const plan = planOf(launch({ args: ["a"], env }), FARGATE);
    expect(plan.own).toBe(true);
    expect(plan.run.overrides).toBeUndefined();
    expect(plan.definition.containerDefinitions?.[0]).toMatchObject({
      command: ["a"],
      environment: [{ name: "LONG", value: env.LONG }],
    });
    expect(planOf(launch({ env: { LONG: "x".repeat(8000) } }), FARGATE).own).toBe(false);
  });

  it("asks for spot by the capacity provider", () => {
    const spot = launch({ placement: { spot: true } });
    const fargate = planOf(spot, { ...FARGATE, launching: { type: "FARGATE", spot: true } }).run;
    expect(fargate.capacityProviderStrategy).toEqual([{ capacityProvider: "FARGATE_SPOT", weight: 1, base: 0 }]);
    expect(fargate.launchType).toBeUndefined();
    const launching = { type: "EC2", capacityProvider: "od", spotCapacityProvider: "spot" } as const;
    const own = (one: Launch) => planOf(one, { ...EC2, launching }).run.capacityProviderStrategy?.[0]?.capacityProvider;
    expect([own(spot), own(launch())]).toEqual(["spot", "od"]);
  });

  it("is for instances of one's own without what they do not take", () => {
    const { definition, run } = planOf(launch({ resources: { cpu: 0.5, memoryMiB: 100, gpu: { count: 2 } } }), EC2);
    expect(definition).toMatchObject({ requiresCompatibilities: ["EC2"], cpu: "512", memory: "100" });
    expect(definition.containerDefinitions?.[0]).toMatchObject({
      privileged: false,
      dockerSecurityOptions: ["no-new-privileges"],
      resourceRequirements: [{ type: "GPU", value: "2" }],
    });
    expect(run).toMatchObject({ launchType: "EC2" });
    expect(run.platformVersion).toBeUndefined();
    expect(run.networkConfiguration?.awsvpcConfiguration?.assignPublicIp).toBeUndefined();
    const lonely = planOf(launch({ network: { mode: "none" } }), EC2);
    expect(lonely.definition.networkMode).toBe("none");
    expect(lonely.run.networkConfiguration).toBeUndefined();
  });

  it("keeps to limits, disk, read-only root, credentials and capabilities", () => {
    expect(containerOf(launch({ resources: { memoryMiB: 300 } }))?.memory).toBe(300);
    expect(planOf(launch({ resources: { diskMiB: 30 * 1024 + 1 } }), FARGATE).definition.ephemeralStorage).toEqual({
      sizeInGiB: 31,
    });
    expect(planOf(launch({ resources: { diskMiB: 20 * 1024 } }), FARGATE).definition.ephemeralStorage).toBeUndefined();
    expect(containerOf(launch({ stopGraceSeconds: 0 }))?.stopTimeout).toBe(1);
    expect(containerOf(launch({ security: { readOnlyRoot: true } }))).toMatchObject({
      readonlyRootFilesystem: true,
      mountPoints: [{ sourceVolume: "tmp", containerPath: "/tmp" }],
    });
    const credentials = containerOf(launch({ registryAuth: { from: "secretsmanager:longshore/jobs/registry" } }));
    expect(credentials?.repositoryCredentials).toEqual({
      credentialsParameter: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:longshore/jobs/registry",
    });
    const added = containerOf(launch({ security: { addCapabilities: ["CAP_SYS_PTRACE"] } }));
    expect(added?.linuxParameters?.capabilities).toEqual({ drop: ["ALL"], add: ["SYS_PTRACE"] });
  });
});

describe("the environment", () => {
  const of = (spec: Partial<JobSpecInput>, env: Record<string, string>, secretValues: string[] = []) =>
    environmentOf(launch(spec, { env, secretValues }), FARGATE);

  it("takes references to Systems Manager and Secrets Manager as ECS's own secrets", () => {
    const secrets = {
      A: { from: "ssm:/longshore/jobs/a" },
      B: { from: "secretsmanager:longshore/jobs/b:key" },
      C: { from: "secretsmanager:longshore/jobs/c" },
    };
    const found = of({ secrets }, { A: "value-a", B: "value-b", C: "value-c" }, ["value-a", "value-b", "value-c"]);
    expect(found.secrets.map(({ valueFrom }) => valueFrom)).toEqual([
      "arn:aws:ssm:eu-west-1:111122223333:parameter/longshore/jobs/a",
      "arn:aws:secretsmanager:eu-west-1:111122223333:secret:longshore/jobs/b:key::",
      "arn:aws:secretsmanager:eu-west-1:111122223333:secret:longshore/jobs/c",
    ]);
    expect([found.plain, found.parameters]).toEqual([[], []]);
  });

  it.each([
    ["a value from another source", { secrets: { HARMLESS: { from: "env:X" } } }, "HARMLESS", "value", []],
    ["a version of a parameter", { secrets: { HARMLESS: { from: "ssm:/a/b:3" } } }, "HARMLESS", "value", []],
    ["a name that may be half of another", { secrets: { A: { from: "secretsmanager:db-abcdef" } } }, "A", "value", []],
    ["a sensitive name", {}, "API_KEY", "x", []],
    ["the spec's own word", { sensitive: ["ODD"] }, "ODD", "x", []],
    ["a value that looks like a secret", {}, "URL", "https://u:pass-word-1@host/", []],
    ["a value with a secret in it", {}, "GREETING", "hello canary-1234", ["canary-1234"]],
  ] as const)("hands over %s in a parameter", (...[, spec, name, value, secretValues]) => {
    const found = of(spec as Partial<JobSpecInput>, { [name]: value }, [...secretValues]);
    expect(found.parameters).toMatchObject([{ name, value }]);
    expect([found.plain, found.secrets]).toEqual([[], []]);
  });

  it.each(["env:A", "file:/a", "ssm:/a:1", "secretsmanager:db-abcdef", "secretsmanager:a b", "vault:x"])(
    "leaves %s to Longshore",
    (from) => expect(nativeReference(from, FARGATE.clusterArn)).toBeNull(),
  );

  it.each(["env:A", "secretsmanager:a:key", "ssm:/a", "secretsmanager:"])("has no registry credentials in %s", (from) =>
    expect(registrySecret(from, FARGATE.clusterArn)).toBeNull(),
  );
});

describe("sizes of Fargate", () => {
  it.each([
    [{}, 256, 512],
    [{ cpu: 0.01 }, 256, 512],
    [{ memoryMiB: 513 }, 256, 1024],
    [{ memoryMiB: 2049 }, 512, 3072],
    [{ cpu: 0.26 }, 512, 1024],
    [{ cpu: 1, memoryMiB: 100 }, 1024, 2048],
    [{ cpu: 4, memoryMiB: 8193 }, 4096, 9216],
    [{ cpu: 0.25, memoryMiB: 30 * 1024 + 1 }, 8192, 32 * 1024],
    [{ cpu: 8, memoryMiB: 17 * 1024 }, 8192, 20 * 1024],
    [{ cpu: 16, memoryMiB: 120 * 1024 }, 16384, 120 * 1024],
  ])("%o is %i units and %i MiB", (asked, cpu, memoryMiB) => expect(fargateSize(asked)).toEqual({ cpu, memoryMiB }));

  it.each([{ cpu: 16.1 }, { memoryMiB: 120 * 1024 + 1 }])("there is none for %o", (asked) =>
    expect(fargateSize(asked)).toBeUndefined(),
  );

  it("are not those of instances of one's own", () => {
    expect(ownSize({ cpu: 0.01, memoryMiB: 6 })).toEqual({ cpu: 128, memoryMiB: 6 });
    expect(ownSize({})).toEqual({ cpu: 256, memoryMiB: 512 });
  });
});

describe("what ECS does not take", () => {
  const refused = (spec: Partial<JobSpecInput>, options = FARGATE) =>
    violationsOf(launch(spec).spec, options).map(({ path, code }) => `${path} ${code}`);

  it.each<[string, Partial<JobSpecInput>, EcsRuntimeOptions]>([
    ["stopGraceSeconds limit_exceeded", { stopGraceSeconds: 121 }, FARGATE],
    ["resources.diskMiB limit_exceeded", { resources: { diskMiB: 200 * 1024 + 1 } }, FARGATE],
    ["placement.arch unsupported", { placement: { arch: "riscv64" } }, FARGATE],
    ["placement.region unsupported", { placement: { region: "us-east-1" } }, FARGATE],
    ["placement.zone unsupported", { placement: { zone: "eu-west-1a" } }, FARGATE],
    ["security.addCapabilities.0 not_allowed", { security: { addCapabilities: ["NET_ADMIN"] } }, EC2],
    [
      "security.addCapabilities.0 unsupported",
      { security: { addCapabilities: ["NET_ADMIN"] } },
      { ...FARGATE, allowedCapabilities: ["NET_ADMIN"] },
    ],
    ["registryAuth.from unsupported", { registryAuth: { from: "env:AUTH" } }, FARGATE],
    ["args limit_exceeded", { args: ["x".repeat(17 * 1024)] }, FARGATE],
    ["args.1 contains_secret", { args: ["--password", "hunter2-hunter2"] }, FARGATE],
    ["command.1 contains_secret", { command: ["x", "--token=ghp_0123456789abcdefghijABCDEFGHIJ012345"] }, FARGATE],
    ["env.MY_TOKEN limit_exceeded", { env: { MY_TOKEN: "x".repeat(8193) } }, FARGATE],
    ["resources.gpu.type unsupported", { resources: { gpu: { count: 1, type: "a100" } } }, EC2],
  ])("%s", (expected, spec, options) => expect(refused(spec, options)).toEqual([expected]));

  it("is nothing of an ordinary spec", () => {
    expect(refused({ env: { MY_TOKEN: "hunter2-hunter2" }, stopGraceSeconds: 120 })).toEqual([]);
    expect(refused({ stopGraceSeconds: 3600, placement: { region: "eu-west-1", arch: "arm64" } }, EC2)).toEqual([]);
    const ptrace = { security: { addCapabilities: ["SYS_PTRACE"] } };
    expect(refused(ptrace, { ...FARGATE, allowedCapabilities: ["cap_sys_ptrace"] })).toEqual([]);
  });

  it("never tells the value", () => {
    const found = violationsOf(launch({ args: ["--password", "hunter2-hunter2"] }).spec, FARGATE);
    expect(JSON.stringify(found)).not.toContain("hunter2");
    expect(exposedPaths(launch({ image: "reg/canary-1234:1" }).spec, ["canary-1234"])).toEqual(["image"]);
  });

  it("is told by capabilities and constraints", () => {
    expect(capabilitiesOf(FARGATE)).toMatchObject({
      gpu: false,
      spot: false,
      diskLimit: true,
      networkModes: ["isolated"],
    });
    const own = { ...EC2, launching: { type: "EC2", gpu: true, spotCapacityProvider: "s" } } as const;
    expect(capabilitiesOf(own)).toMatchObject({
      gpu: true,
      spot: true,
      diskLimit: false,
      networkModes: ["none", "isolated"],
    });
    expect(constraintsOf(FARGATE)).toMatchObject({ maxCpu: 16, maxMemoryMiB: 122_880, maxConcurrent: 100 });
    expect(constraintsOf({ ...EC2, maxConcurrent: 7 })).toMatchObject({ maxCpu: null, maxConcurrent: 7 });
  });
});

describe("names", () => {
  it("make a token of 64 characters that differs for every attempt", () => {
    const of = (jobId: string, attempt: number, homeId = HOME) => clientToken({ homeId, jobId, attempt });
    expect(of(JOB, 1)).toMatch(/^[!-~]{64}$/);
    expect(of(JOB, 1)).toBe(of(JOB, 1));
    expect(new Set([of(JOB, 1), of(JOB, 2), of(mintJobId(1), 1), of(JOB, 1, "home_2")]).size).toBe(4);
  });

  it("come back from a group and a family", () => {
    const identity = { homeId: HOME, jobId: JOB, attempt: 12 };
    expect(identityOf(groupOf(identity))).toEqual(identity);
    for (const group of [undefined, "family:x", "service:x", "longshore:a:b", "longshore:a:b:c", "x:a:b:1"]) {
      expect(identityOf(group)).toBeNull();
    }
    const { family } = planOf(launch({ env: { MY_TOKEN: "12345678" } }), FARGATE).definition;
    expect(attemptOfFamily(family, HOME)).toEqual({
      externalName: "longshore-0000000000-x-a2",
      jobId: JOB,
      attempt: 2,
    });
    expect(attemptOfFamily(family, "home_2")).toBeNull();
    expect(attemptOfFamily(`longshore_${HOME}_x`, HOME)).toBeNull();
  });

  it("of tasks are those of the own cluster", () => {
    const place = placeOf(FARGATE.clusterArn);
    const arn = "arn:aws:ecs:eu-west-1:111122223333:task/jobs/0123456789abcdef0123456789abcdef";
    expect(isTaskArn(arn, place)).toBe(true);
    for (const other of [arn.replace("jobs", "other"), arn.replace("eu-west-1", "eu-west-2"), `${arn}/x`, "", "jobs"]) {
      expect(isTaskArn(other, place)).toBe(false);
    }
  });

  it.each<Partial<EcsRuntimeOptions>>([
    { clusterArn: "jobs" },
    { homeId: "a/b" },
    { parameterPrefix: "longshore/" },
    { parameterPrefix: "/" },
    { subnets: [] },
    { securityGroups: [] },
    { logGroup: "" },
    { pollMs: 0 },
    { maxConcurrent: 1.5 },
  ])("are refused in the options: %o", (wrong) =>
    expect(() => checkOptions({ ...FARGATE, ...wrong })).toThrow("ecs: "),
  );
});
