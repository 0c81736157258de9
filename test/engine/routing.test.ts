import { describe, expect, test } from "vitest";
import type { RuntimeCapabilities, RuntimeConstraints } from "../../engine/ports/runtime.ts";
import { judgeRuntime, noFit, type RoutableRuntime, route } from "../../engine/routing.ts";
import { parseJobSpec } from "../../engine/spec/parse.ts";
import type { JobSpecInput } from "../../engine/spec/schema.ts";

const EVERYTHING: RuntimeCapabilities = {
  image: true,
  gpu: true,
  volumes: true,
  sidecars: true,
  initContainers: true,
  healthCheck: true,
  streamingLogs: true,
  artifacts: true,
  spot: true,
  placement: true,
  exec: true,
  cpuLimit: true,
  memoryLimit: true,
  diskLimit: true,
  user: true,
  workdir: true,
  readOnlyRoot: true,
  networkModes: ["none", "isolated", "workflow"],
  addCapabilities: true,
  registryAuth: true,
};
const UNLIMITED: RuntimeConstraints = {
  maxTimeoutSeconds: null,
  maxMemoryMiB: null,
  maxCpu: null,
  maxEnvBytes: null,
  maxArtifactBytes: null,
  maxConcurrent: 1,
};
const NOTHING: RuntimeCapabilities = {
  ...(Object.fromEntries(Object.keys(EVERYTHING).map((key) => [key, false])) as unknown as RuntimeCapabilities),
  networkModes: ["isolated"],
};

const runtime = (name: string, rest: Partial<RoutableRuntime> = {}): RoutableRuntime => ({
  name,
  kind: name,
  explicitOnly: false,
  capabilities: EVERYTHING,
  constraints: UNLIMITED,
  ...rest,
});
const limited = (name: string, constraints: Partial<RuntimeConstraints>) =>
  runtime(name, { constraints: { ...UNLIMITED, ...constraints } });
const without = (name: string, capabilities: Partial<RuntimeCapabilities>) =>
  runtime(name, { capabilities: { ...EVERYTHING, ...capabilities } });
const spec = (rest: JobSpecInput = {}) => parseJobSpec({ image: "alpine:3.20", ...rest });

const container = { name: "a", image: "alpine" };

describe("a runtime's verdict", () => {
  test.each<[string, JobSpecInput, Partial<RuntimeCapabilities>, string, string]>([
    ["image", {}, { image: false }, "image", "docker: container images are not supported (the spec has one)"],
    [
      "cpu",
      { resources: { cpu: 0.5 } },
      { cpuLimit: false },
      "resources.cpu",
      "docker: CPU limits are not supported (the spec asks for 0.5)",
    ],
    [
      "memory",
      { resources: { memoryMiB: 64 } },
      { memoryLimit: false },
      "resources.memoryMiB",
      "docker: memory limits are not supported (the spec asks for 64 MiB)",
    ],
    [
      "disk",
      { resources: { diskMiB: 64 } },
      { diskLimit: false },
      "resources.diskMiB",
      "docker: disk limits are not supported (the spec asks for 64 MiB)",
    ],
    [
      "gpu",
      { resources: { gpu: { count: 2 } } },
      { gpu: false },
      "resources.gpu",
      "docker: GPUs are not supported (the spec asks for 2)",
    ],
    [
      "artifacts",
      { artifacts: { paths: ["/a"] } },
      { artifacts: false },
      "artifacts",
      "docker: artifacts are not supported (the spec has 1 of their paths)",
    ],
    [
      "volumes",
      { volumes: [{ source: "/a", target: "/b" }] },
      { volumes: false },
      "volumes",
      "docker: volumes are not supported (the spec has 1)",
    ],
    [
      "workdir",
      { workdir: "/w" },
      { workdir: false },
      "workdir",
      "docker: working directories are not supported (the spec has one)",
    ],
    ["user", { user: "1" }, { user: false }, "user", "docker: users are not supported (the spec has one)"],
    [
      "network none",
      { network: { mode: "none" } },
      { networkModes: ["isolated"] },
      "network.mode",
      "docker: network mode none is not supported (there is isolated)",
    ],
    [
      "network workflow",
      { network: { mode: "workflow" } },
      { networkModes: ["none", "isolated"] },
      "network.mode",
      "docker: network mode workflow is not supported (there is none, isolated)",
    ],
    [
      "no network at all",
      {},
      { networkModes: [] },
      "network.mode",
      "docker: network mode isolated is not supported (there is none)",
    ],
    [
      "read-only root",
      { security: { readOnlyRoot: true } },
      { readOnlyRoot: false },
      "security.readOnlyRoot",
      "docker: read-only roots are not supported (the spec asks for one)",
    ],
    [
      "capabilities",
      { security: { addCapabilities: ["NET_ADMIN"] } },
      { addCapabilities: false },
      "security.addCapabilities",
      "docker: added capabilities are not supported (the spec has 1)",
    ],
    [
      "registry",
      { registryAuth: { from: "env:A" } },
      { registryAuth: false },
      "registryAuth",
      "docker: registry credentials are not supported (the spec has some)",
    ],
    [
      "sidecars",
      { sidecars: [container] },
      { sidecars: false },
      "sidecars",
      "docker: sidecars are not supported (the spec has 1)",
    ],
    [
      "init containers",
      { initContainers: [container] },
      { initContainers: false },
      "initContainers",
      "docker: init containers are not supported (the spec has 1)",
    ],
    [
      "health check",
      { healthCheck: { command: ["a"] } },
      { healthCheck: false },
      "healthCheck",
      "docker: health checks are not supported (the spec has one)",
    ],
    [
      "spot",
      { placement: { spot: true } },
      { spot: false },
      "placement.spot",
      "docker: spot capacity is not supported (the spec asks for it)",
    ],
    [
      "placement",
      { placement: { arch: "arm64", zone: "a" } },
      { placement: false },
      "placement",
      "docker: placement hints are not supported (the spec has arch, zone)",
    ],
  ])("names what it lacks: %s", (...[, asked, capabilities, path, message]) => {
    const verdict = judgeRuntime(spec(asked), without("docker", capabilities));
    expect(verdict).toEqual({ runtime: "docker", fits: false, reasons: [{ code: "unsupported", message, path }] });
    expect(judgeRuntime(spec(asked), runtime("docker")).fits).toBe(true);
  });

  test.each<[string, JobSpecInput, Partial<RuntimeConstraints>, string, string]>([
    [
      "timeout",
      {},
      { maxTimeoutSeconds: 900 },
      "timeoutSeconds",
      "lambda: maximum timeout is 900 s but the spec asks for 3600 s",
    ],
    [
      "memory",
      { resources: { memoryMiB: 513 } },
      { maxMemoryMiB: 512 },
      "resources.memoryMiB",
      "lambda: maximum memory is 512 MiB but the spec asks for 513 MiB",
    ],
    [
      "cpu",
      { resources: { cpu: 2.5 } },
      { maxCpu: 2 },
      "resources.cpu",
      "lambda: maximum CPU is 2 but the spec asks for 2.5",
    ],
    [
      "env",
      { env: { A: "12345678" } },
      { maxEnvBytes: 10 },
      "env",
      "lambda: maximum environment is 10 bytes but the spec asks for 11 bytes",
    ],
    [
      "artifacts",
      { artifacts: { paths: ["/a"], maxBytes: 11 } },
      { maxArtifactBytes: 10 },
      "artifacts.maxBytes",
      "lambda: maximum size of artifacts is 10 bytes but the spec asks for 11 bytes",
    ],
  ])("names the limit and the request: %s", (...[, asked, constraints, path, message]) => {
    const verdict = judgeRuntime(spec(asked), limited("lambda", constraints));
    expect(verdict.reasons).toEqual([{ code: "limit_exceeded", message, path }]);
    const enough = Object.fromEntries(Object.entries(constraints).map(([key, limit]) => [key, (limit ?? 0) + 2700]));
    expect(judgeRuntime(spec(asked), limited("lambda", enough)).fits).toBe(true);
  });

  test("takes what the spec does not ask for as no need, whatever the limits", () => {
    const none = { ...UNLIMITED, maxMemoryMiB: 1, maxCpu: 0.01, maxEnvBytes: 0, maxArtifactBytes: 0 };
    const poor = runtime("process", { capabilities: NOTHING, constraints: none, explicitOnly: true });
    expect(judgeRuntime(parseJobSpec({ runtime: "process", command: ["true"] }), poor)).toEqual({
      runtime: "process",
      fits: true,
      reasons: [],
    });
  });

  test("refuses a budget everywhere: nothing enforces one yet", () => {
    expect(judgeRuntime(spec({ budget: { maxCostUsd: 5 } }), runtime("docker")).reasons).toEqual([
      {
        code: "unsupported",
        message: "docker: a budget is not enforced yet (the spec has 5 US dollars)",
        path: "budget",
      },
    ]);
  });

  test("has every reason at once, and the operator's own", () => {
    const check = () => [
      { path: "volumes.0.source", code: "mount_not_allowed", message: "this mount is not allowed" },
      { path: "user", code: "x", message: "docker: said already" },
    ];
    const docker = runtime("docker", { check, capabilities: { ...EVERYTHING, gpu: false, sidecars: false } });
    const verdict = judgeRuntime(spec({ resources: { gpu: { count: 1 } }, sidecars: [container] }), docker);
    expect(verdict.fits).toBe(false);
    expect(verdict.reasons.map(({ path, message }) => `${path}: ${message}`)).toEqual([
      "resources.gpu: docker: GPUs are not supported (the spec asks for 1)",
      "sidecars: docker: sidecars are not supported (the spec has 1)",
      "volumes.0.source: docker: this mount is not allowed",
      "user: docker: said already",
    ]);
  });

  test("says when an image is what is missing", () => {
    const bare = { ...spec(), runtime: undefined, image: undefined };
    expect(judgeRuntime(bare, runtime("docker")).reasons).toEqual([
      { code: "required", message: "docker: needs an image and the spec has none", path: "image" },
    ]);
    const stub = runtime("stub", { explicitOnly: true });
    expect(judgeRuntime(parseJobSpec({ runtime: "stub" }), stub).fits).toBe(true);
  });
});

describe("routing", () => {
  const lambda = limited("lambda", { maxTimeoutSeconds: 900 });
  const docker = runtime("docker");
  const podman = runtime("podman");
  const process = runtime("process", { explicitOnly: true, capabilities: { ...EVERYTHING, image: false } });

  test("takes the first that fits, in the order given", () => {
    expect(route(spec(), [lambda, podman, docker]).runtime).toBe("podman");
    expect(route(spec(), [lambda, docker, podman]).runtime).toBe("docker");
    expect(route(spec({ timeoutSeconds: 900 }), [lambda, docker]).runtime).toBe("lambda");
    expect(route(spec(), [lambda, docker]).verdicts.map(({ runtime, fits }) => [runtime, fits])).toEqual([
      ["lambda", false],
      ["docker", true],
    ]);
  });

  test("never falls back to the host's own processes", () => {
    const stub = runtime("stub", { explicitOnly: true });
    const { runtime: chosen, verdicts } = route(spec(), [stub, lambda]);
    expect(chosen).toBeNull();
    expect(verdicts[0]?.reasons).toEqual([
      { code: "explicit_only", message: "stub: runs a job only when its spec names it", path: "runtime" },
    ]);
    expect(route(spec({ runtime: "stub" }), [docker, stub]).runtime).toBe("stub");
  });

  test("takes the one that is named or none", () => {
    expect(route(spec({ runtime: "podman" }), [docker, podman]).runtime).toBe("podman");
    const { runtime: chosen, verdicts } = route(spec({ runtime: "lambda" }), [lambda, docker]);
    expect(chosen).toBeNull();
    expect(verdicts[1]?.reasons).toEqual([
      { code: "not_chosen", message: "docker: the spec names another runtime", path: "runtime" },
    ]);
  });

  test("says which there are when the name is unknown", () => {
    const asked = spec({ runtime: "nomad" });
    const { runtime: chosen, verdicts } = route(asked, [docker, process]);
    expect(chosen).toBeNull();
    expect(verdicts.at(-1)).toEqual({
      runtime: "nomad",
      fits: false,
      reasons: [
        {
          code: "unknown_runtime",
          message: "nomad: no such runtime here; there are: docker, process",
          path: "runtime",
        },
      ],
    });
    expect(noFit(asked, verdicts).violations).toEqual([
      { code: "unknown_runtime", message: "nomad: no such runtime here; there are: docker, process", path: "runtime" },
    ]);
    expect(noFit(asked, route(asked, []).verdicts).message).toBe(
      "the runtime cannot run this job: nomad: no such runtime here; none is offered",
    );
  });

  test("that found none becomes a VALIDATION error with the spec's fields", () => {
    const asked = spec({ sidecars: [container] });
    const poor = without("docker", { sidecars: false });
    const error = noFit(asked, route(asked, [lambda, poor, process]).verdicts);
    expect(error.code).toBe("VALIDATION");
    expect(error.violations).toEqual([
      {
        path: "timeoutSeconds",
        code: "limit_exceeded",
        message: "lambda: maximum timeout is 900 s but the spec asks for 3600 s",
      },
      { path: "sidecars", code: "unsupported", message: "docker: sidecars are not supported (the spec has 1)" },
    ]);
    expect(error.message).toBe(
      "no runtime can run this job: lambda: maximum timeout is 900 s but the spec asks for 3600 s; docker: sidecars are not supported (the spec has 1)",
    );
  });

  test("of a named runtime speaks of that one only", () => {
    const asked = spec({ runtime: "lambda" });
    expect(noFit(asked, route(asked, [docker, lambda]).verdicts).violations?.map(({ path }) => path)).toEqual([
      "timeoutSeconds",
    ]);
  });

  test("has something to say when nothing or only the host is offered", () => {
    expect(noFit(spec(), []).violations).toEqual([
      { path: "runtime", code: "no_runtime", message: "no runtime is offered here" },
    ]);
    expect(noFit(spec(), route(spec(), [process]).verdicts).violations).toEqual([
      { path: "runtime", code: "explicit_only", message: "process: runs a job only when its spec names it" },
    ]);
  });
});
