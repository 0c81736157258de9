import { describe, expect, it } from "vitest";
import {
  capabilityName,
  createOptions,
  imageReference,
  isKept,
  isSameAttempt,
  labelsOf,
  type Placing,
  registryOf,
  statusOf,
  timeOf,
  UNKNOWN_STATUS,
  type Witness,
} from "../../../../adapters/runtime/docker/spec.ts";
import { mintJobId } from "../../../../engine/ids.ts";
import type { Launch, RuntimeStatus } from "../../../../engine/ports/runtime.ts";
import { parseJobSpec } from "../../../../engine/spec/parse.ts";
import type { JobSpecInput } from "../../../../engine/spec/schema.ts";

const HOME = "home_01JZZZZZZZZZZZZZZZZZZZZZZZ";
const JOB = mintJobId(0);

function launch(spec: Partial<JobSpecInput> = {}, env: Record<string, string> = {}): Launch {
  return {
    jobId: JOB,
    attempt: 2,
    externalName: "longshore-0000000000-x-a2",
    spec: parseJobSpec({ name: "x", image: "box", ...spec }),
    env,
    dispatchedAt: "2026-01-01T00:00:00.000Z",
    secretValues: [],
    report: () => undefined,
    confirm: async () => undefined,
  };
}

const placing: Placing = { homeId: HOME, pidsLimit: 512, networkMode: "none", mounts: [] };
const host = (spec: Partial<JobSpecInput>, more: Partial<Placing> = {}) =>
  createOptions(launch(spec), { ...placing, ...more }).HostConfig ?? {};

describe("createOptions", () => {
  it("is hardened without being asked", () => {
    expect(createOptions(launch(), placing)).toEqual({
      name: "longshore-0000000000-x-a2",
      Image: "box:latest",
      Env: [],
      Labels: {
        "longshore.home": HOME,
        "longshore.job": JOB,
        "longshore.attempt": "2",
        "longshore.cleanup": "always",
      },
      StopTimeout: 10,
      Tty: false,
      OpenStdin: false,
      HostConfig: {
        PidsLimit: 512,
        NetworkMode: "none",
        CapDrop: ["ALL"],
        CapAdd: [],
        SecurityOpt: ["no-new-privileges"],
        Privileged: false,
        ReadonlyRootfs: false,
        Mounts: [],
        Init: true,
        AutoRemove: false,
        RestartPolicy: { Name: "no" },
        LogConfig: {
          Type: "json-file",
          Config: { "max-size": "1p", "max-file": "1", mode: "blocking", compress: "false" },
        },
      },
    });
  });

  it("replaces the entrypoint by the command and the image's command by the args", () => {
    const both = createOptions(launch({ command: ["sh", "-c"], args: ["echo hi"] }), placing);
    expect([both.Entrypoint, both.Cmd]).toEqual([["sh", "-c"], ["echo hi"]]);
    const args = createOptions(launch({ args: ["a"] }), placing);
    expect(args).not.toHaveProperty("Entrypoint");
    expect(args.Cmd).toEqual(["a"]);
    expect(createOptions(launch({ command: ["a"] }), placing)).not.toHaveProperty("Cmd");
  });

  it("takes the environment from the launch only", () => {
    const options = createOptions(
      launch({ env: { FROM_SPEC: "no" } }, { A: "b=c", EMPTY: "", LINES: "1\n2" }),
      placing,
    );
    expect(options.Env).toEqual(["A=b=c", "EMPTY=", "LINES=1\n2"]);
  });

  it("limits CPU, memory without swap, and processes", () => {
    expect(host({ resources: { cpu: 0.1, memoryMiB: 16 } }, { pidsLimit: 9 })).toMatchObject({
      NanoCpus: 100_000_000,
      Memory: 16_777_216,
      MemorySwap: 16_777_216,
      PidsLimit: 9,
    });
    const free = host({});
    for (const key of ["NanoCpus", "Memory", "MemorySwap"]) expect(free).not.toHaveProperty(key);
  });

  it("hands over user, directory, network, grace and cleanup policy", () => {
    const spec = { user: "1:2", workdir: "/w", stopGraceSeconds: 3, cleanup: "never" } as const;
    const options = createOptions(launch(spec), { ...placing, networkMode: "abc" });
    expect(options).toMatchObject({ User: "1:2", WorkingDir: "/w", StopTimeout: 3 });
    expect(options.HostConfig?.NetworkMode).toBe("abc");
    expect(options.Labels?.["longshore.cleanup"]).toBe("never");
  });

  it("adds the capabilities of the spec to none", () => {
    expect(host({ security: { addCapabilities: ["NET_ADMIN"] } })).toMatchObject({
      CapDrop: ["ALL"],
      CapAdd: ["NET_ADMIN"],
    });
  });

  it("gives a read-only root a /tmp, unless a volume is there", () => {
    const security = { readOnlyRoot: true };
    expect(host({ security })).toMatchObject({
      ReadonlyRootfs: true,
      Tmpfs: { "/tmp": "rw,nosuid,nodev,mode=1777,size=67108864" },
    });
    const mounts = [{ source: "/data", target: "/tmp", readOnly: false }];
    expect(host({ security }, { mounts })).not.toHaveProperty("Tmpfs");
  });

  it("binds the resolved sources, never the spec's own", () => {
    const volumes = [{ source: "/allowed/link", target: "/v", readOnly: true }];
    const mounts = [{ source: "/real", target: "/v", readOnly: true }];
    expect(host({ volumes }, { mounts }).Mounts).toEqual([
      { Type: "bind", Source: "/real", Target: "/v", ReadOnly: true, BindOptions: { Propagation: "rprivate" } },
    ]);
  });
});

describe("names", () => {
  it.each([
    ["box", "box:latest"],
    ["team/box", "team/box:latest"],
    ["box:1", "box:1"],
    ["host:5000/box", "host:5000/box:latest"],
    ["host:5000/team/box:1", "host:5000/team/box:1"],
    ["box@sha256:ab", "box@sha256:ab"],
    ["host:5000/box:1@sha256:ab", "host:5000/box@sha256:ab"],
  ])("asks for %s as %s", (image, expected) => expect(imageReference(image)).toBe(expected));

  it.each([
    ["box", "docker.io"],
    ["team/box:1", "docker.io"],
    ["host:5000/box", "host:5000"],
    ["ghcr.io/team/box", "ghcr.io"],
    ["localhost/box", "localhost"],
  ])("finds the registry of %s: %s", (image, expected) => expect(registryOf(image)).toBe(expected));

  it.each([
    ["NET_ADMIN", "NET_ADMIN"],
    ["cap_net_admin", "NET_ADMIN"],
    ["CAP_CHOWN", "CHOWN"],
  ])("calls the capability %s %s", (text, expected) => expect(capabilityName(text)).toBe(expected));

  it.each(["longshore.home", "longshore.job", "longshore.attempt"])("knows another by its label %s", (label) => {
    const labels = labelsOf(launch(), HOME);
    expect(isSameAttempt({ ...labels, "longshore.cleanup": "never" }, launch(), HOME)).toBe(true);
    expect(isSameAttempt({ ...labels, [label]: "other" }, launch(), HOME)).toBe(false);
    const { [label]: _, ...rest } = labels;
    expect(isSameAttempt(rest, launch(), HOME)).toBe(false);
    expect(isSameAttempt({}, launch(), HOME)).toBe(false);
  });
});

const ZERO = "0001-01-01T00:00:00Z";
const STARTED = "2026-01-02T03:04:05.678901234Z";
const FINISHED = "2026-01-02T03:04:06Z";
const innocent: Witness = { lost: false, cancelled: false, oomSeen: false };
interface EngineState {
  Status: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  Running: boolean;
  ExitCode: number;
  OOMKilled: boolean;
  StartedAt: string;
  FinishedAt: string;
}
const status = (state: Partial<EngineState>, witness: Partial<Witness> = {}): RuntimeStatus => {
  const base = { Status: "exited", Running: false, Paused: false, Restarting: false, OOMKilled: false, Dead: false };
  const rest = { Pid: 0, ExitCode: 0, Error: "", StartedAt: STARTED, FinishedAt: FINISHED };
  return statusOf({ State: { ...base, ...rest, ...state } } as never, { ...innocent, ...witness });
};
const exited = (exitCode: number): RuntimeStatus => ({
  phase: "exited",
  exitCode,
  oom: false,
  failure: null,
  startedAt: "2026-01-02T03:04:05.678Z",
  finishedAt: "2026-01-02T03:04:06.000Z",
});

describe("statusOf", () => {
  it.each([0, 1, 3, 125, 126, 127, 128, 130, 137, 139, 143, 255])("keeps the exit code %i", (exitCode) => {
    expect(status({ ExitCode: exitCode })).toEqual(exited(exitCode));
  });

  it("has no end while it runs or is paused", () => {
    const running = { ...UNKNOWN_STATUS, phase: "running", startedAt: "2026-01-02T03:04:05.678Z" };
    expect(status({ Status: "running", Running: true, FinishedAt: ZERO })).toEqual(running);
    expect(status({ Status: "paused", Running: true, FinishedAt: ZERO })).toEqual(running);
  });

  it("is created before its start, and after a start that failed", () => {
    const never = { Status: "created" as const, StartedAt: ZERO, FinishedAt: ZERO };
    expect(status(never)).toEqual({ ...UNKNOWN_STATUS, phase: "created" });
    expect(status({ ...never, ExitCode: 127 })).toEqual({ ...UNKNOWN_STATUS, phase: "created" });
  });

  it("has ended while it is being removed and when its removal failed", () => {
    expect(status({ Status: "removing", ExitCode: 3 })).toEqual(exited(3));
    expect(status({ Status: "dead", ExitCode: 3 })).toEqual(exited(3));
  });

  it("never ends before it started", () => {
    const early = "2026-01-02T03:04:05.600Z";
    expect(status({ FinishedAt: early }).finishedAt).toBe("2026-01-02T03:04:05.678Z");
  });

  it("is out of memory when the engine says so, in its state or in an event, and it was not coped with", () => {
    expect(status({ ExitCode: 137, OOMKilled: true })).toMatchObject({ oom: true, failure: null });
    expect(status({ ExitCode: 1, OOMKilled: true })).toMatchObject({ oom: true });
    expect(status({ ExitCode: 0, OOMKilled: true })).toMatchObject({ oom: false });
    expect(status({ ExitCode: 137 }, { oomSeen: true })).toMatchObject({ oom: true });
    expect(status({ ExitCode: 1 }, { oomSeen: true })).toMatchObject({ oom: false });
  });

  it.each([137, 143, 255])("blames an engine that went away for the exit code %i", (exitCode) => {
    expect(status({ ExitCode: exitCode }, { lost: true }).failure).toEqual({
      category: "RUNTIME_UNAVAILABLE",
      message: "Docker went away while the container was running and ended it",
      providerCode: String(exitCode),
    });
  });

  it("does not blame it for what it did not do", () => {
    expect(status({ ExitCode: 143 }).failure).toBeNull();
    expect(status({ ExitCode: 0 }, { lost: true }).failure).toBeNull();
    expect(status({ ExitCode: 3 }, { lost: true }).failure).toBeNull();
    expect(status({ ExitCode: 137 }, { lost: true, cancelled: true }).failure).toBeNull();
    expect(status({ ExitCode: 137, OOMKilled: true }, { lost: true })).toMatchObject({ oom: true, failure: null });
  });
});

describe("timeOf", () => {
  it.each([
    [STARTED, "2026-01-02T03:04:05.678Z"],
    [FINISHED, "2026-01-02T03:04:06.000Z"],
    ["2026-01-02T05:04:06.5+02:00", "2026-01-02T03:04:06.500Z"],
    [ZERO, null],
    ["", null],
    ["soon", null],
    [undefined, null],
  ])("reads %s as %s", (text, expected) => expect(timeOf(text)).toBe(expected));
});

describe("isKept", () => {
  const failure = { category: "RUNTIME_UNAVAILABLE", message: "", providerCode: null } as const;
  it.each<[string | undefined, RuntimeStatus, boolean]>([
    ["never", exited(0), true],
    ["never", exited(1), true],
    ["never", { ...UNKNOWN_STATUS, phase: "running" }, false],
    ["never", { ...UNKNOWN_STATUS, phase: "created" }, false],
    ["onSuccess", exited(1), true],
    ["onSuccess", exited(0), false],
    ["onSuccess", { ...exited(0), failure }, true],
    ["always", exited(1), false],
    [undefined, exited(1), false],
  ])("%s, %o: %s", (policy, current, kept) => expect(isKept(policy, current)).toBe(kept));
});
