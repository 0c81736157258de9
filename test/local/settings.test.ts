import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { LongshoreError } from "../../engine/errors.ts";
import { readSettings } from "../../local/settings.ts";

function violationsOf(env: Record<string, string>): Record<string, string> {
  try {
    readSettings(env);
  } catch (thrown) {
    if (!(thrown instanceof LongshoreError)) throw thrown;
    expect(thrown.code).toBe("VALIDATION");
    for (const violation of thrown.violations ?? []) expect(thrown.message).toContain(violation.path);
    return Object.fromEntries((thrown.violations ?? []).map((one) => [one.path, one.message]));
  }
  return {};
}

describe("settings that cannot be understood", () => {
  it.each([
    ["LONGSHORE_PORT", "http", "whole number from 0 to 65535"],
    ["LONGSHORE_PORT", "-1", "whole number"],
    ["LONGSHORE_PORT", "65536", "whole number from 0 to 65535"],
    ["LONGSHORE_PORT", "7070.5", "whole number"],
    ["LONGSHORE_PORT", "0x10", "whole number"],
    ["LONGSHORE_PORT", " 7070", "whole number"],
    ["LONGSHORE_RUNTIMES", "docker,dokcer", "docker, process, stub"],
    ["LONGSHORE_RUNTIMES", "docker,", "docker, process, stub"],
    ["LONGSHORE_RUNTIMES", "docker,docker", "twice"],
    ["LONGSHORE_SECRET_ROOTS", "secrets", "absolute"],
    ["LONGSHORE_ALLOWED_MOUNTS", "/data:../etc", "absolute"],
    ["LONGSHORE_MAX_QUEUED", "0", "whole number from 1"],
    ["LONGSHORE_MAX_QUEUED", "many", "whole number"],
    ["LONGSHORE_MAX_CONCURRENT", "docker", "docker=8,process=4"],
    ["LONGSHORE_MAX_CONCURRENT", "docker=8=9", "docker=8,process=4"],
    ["LONGSHORE_MAX_CONCURRENT", "docker=-1", "whole number from 1"],
    ["LONGSHORE_MAX_CONCURRENT", "dokcer=1", "docker, process, stub"],
    ["LONGSHORE_RECONCILE_SECONDS", "0", "whole number from 1"],
    ["LONGSHORE_RECONCILE_SECONDS", "2000001", "2000000"],
    ["LONGSHORE_RETENTION_DAYS", "1w", "whole number"],
    ["LONGSHORE_RETENTION_DAYS", "0", "whole number from 1 to 36500"],
    ["LONGSHORE_RETENTION_DAYS", "30,40", "30,FAILED=90"],
    ["LONGSHORE_RETENTION_DAYS", "30,RUNNING=1", "30,FAILED=90"],
    ["LONGSHORE_RETENTION_DAYS", "30,FAILED=1,FAILED=2", "30,FAILED=90"],
    ["LONGSHORE_RETENTION_DAYS", "30,", "30,FAILED=90"],
    ["LONGSHORE_RETENTION_RUNS", "1e9", "10000,FAILED=1000"],
    ["LONGSHORE_RETENTION_RUNS", "FAILED=1000001", "from 1 to 1000000"],
    ["LONGSHORE_LOG_LEVEL", "INFO", "debug, info, warn, error"],
    ["DOCKER_HOST", "/var/run/docker.sock", "unix:///"],
  ])("%s=%s is refused by name", (name, value, expected) => {
    const violations = violationsOf({ [name]: value });
    expect(Object.keys(violations)).toEqual([name]);
    expect(violations[name]).toContain(expected);
  });

  it("names all of them at once", () => {
    const violations = violationsOf({ LONGSHORE_PORT: "x", LONGSHORE_LOG_LEVEL: "y", LONGSHORE_RUNTIMES: "z" });
    expect(Object.keys(violations).sort()).toEqual(["LONGSHORE_LOG_LEVEL", "LONGSHORE_PORT", "LONGSHORE_RUNTIMES"]);
  });
});

describe("settings", () => {
  it("have the documented defaults", () => {
    const env = { HOME: "/home/someone" };
    expect(readSettings(env)).toEqual({
      home: "/home/someone/.longshore",
      port: 7070,
      runtimes: null,
      secretRoots: [],
      maxQueued: 10_000,
      maxConcurrent: { docker: 64, process: availableParallelism() * 4, stub: 256 },
      allowedMounts: [],
      reconcileSeconds: 15,
      retention: { days: { all: 30, byStatus: {} }, runs: { all: null, byStatus: {} } },
      logLevel: "info",
      dockerHost: null,
      environment: env,
    });
  });

  it("come from the environment", () => {
    const env = {
      LONGSHORE_HOME: "/srv/longshore/",
      LONGSHORE_PORT: "0",
      LONGSHORE_RUNTIMES: "process, docker",
      LONGSHORE_SECRET_ROOTS: "/run/secrets::/etc/keys/",
      LONGSHORE_MAX_QUEUED: "5",
      LONGSHORE_MAX_CONCURRENT: "docker=8,stub=1",
      LONGSHORE_ALLOWED_MOUNTS: "/data",
      LONGSHORE_RECONCILE_SECONDS: "1",
      LONGSHORE_RETENTION_DAYS: "7, FAILED=90",
      LONGSHORE_RETENTION_RUNS: "SUCCEEDED=1000",
      LONGSHORE_LOG_LEVEL: "debug",
      DOCKER_HOST: "tcp://127.0.0.1:2375",
    };
    expect(readSettings(env)).toMatchObject({
      home: "/srv/longshore",
      port: 0,
      runtimes: ["process", "docker"],
      secretRoots: ["/run/secrets", "/etc/keys/"],
      maxQueued: 5,
      maxConcurrent: { docker: 8, process: availableParallelism() * 4, stub: 1 },
      allowedMounts: ["/data"],
      reconcileSeconds: 1,
      retention: { days: { all: 7, byStatus: { FAILED: 90 } }, runs: { all: null, byStatus: { SUCCEEDED: 1000 } } },
      logLevel: "debug",
      dockerHost: "tcp://127.0.0.1:2375",
    });
  });

  it("count as unset when they are empty, and give way to the command line", () => {
    const settings = readSettings({ HOME: "/h", LONGSHORE_PORT: "", LONGSHORE_HOME: "" }, { port: 0, home: "/other" });
    expect(settings).toMatchObject({ port: 0, home: "/other" });
    expect(readSettings({ HOME: "/h", LONGSHORE_PORT: "" }).port).toBe(7070);
  });
});
