import { describe, expect, it } from "vitest";
import { readAwsSettings, required } from "../../../functions/aws/settings.ts";

const TABLE = { LONGSHORE_TABLE: "ledger" };

describe("the settings of a function", () => {
  it("have defaults for all but the table", () => {
    expect(readAwsSettings({ ...TABLE, LONGSHORE_BUCKET: "" })).toEqual({
      LONGSHORE_STAGE: "prod",
      LONGSHORE_TABLE: "ledger",
      LONGSHORE_RUNTIMES: [],
      LONGSHORE_MAX_CONCURRENT: {},
      LONGSHORE_MAX_QUEUED: 10_000,
      LONGSHORE_SHARDS: 4,
      LONGSHORE_RETENTION_DAYS: { all: 30, byStatus: {} },
      LONGSHORE_RETENTION_RUNS: { all: null, byStatus: {} },
      LONGSHORE_LOG_LEVEL: "info",
      LONGSHORE_TRACING: "off",
      LONGSHORE_ECS_LAUNCH_TYPE: "FARGATE",
      LONGSHORE_ECS_GPU: "off",
      LONGSHORE_ECS_ARCH: "amd64",
      LONGSHORE_ECS_PUBLIC_IP: "on",
    });
    expect(() => readAwsSettings({})).toThrow(/LONGSHORE_TABLE/);
  });

  it("are refused by name where they cannot be understood, and never repeat what was said", () => {
    const env = {
      ...TABLE,
      LONGSHORE_RUNTIMES: "stub,hunter2",
      LONGSHORE_MAX_QUEUED: "hunter2",
      LONGSHORE_MAX_CONCURRENT: "stub:hunter2",
      DOCKER_HOST: "hunter2",
    };
    const refused = expect.objectContaining({ code: "VALIDATION", message: expect.not.stringContaining("hunter2") });
    expect(() => readAwsSettings(env)).toThrow(refused);
    const names = ["LONGSHORE_RUNTIMES", "LONGSHORE_MAX_QUEUED", "LONGSHORE_MAX_CONCURRENT", "DOCKER_HOST"];
    for (const name of names) expect(() => readAwsSettings(env)).toThrow(name);
  });

  it("say what a function was deployed without", () => {
    const settings = readAwsSettings({ ...TABLE, LONGSHORE_BUCKET: "logs" });
    expect(required(settings, "LONGSHORE_BUCKET")).toBe("logs");
    expect(() => required(settings, "LONGSHORE_BUS")).toThrow(/LONGSHORE_BUS/);
  });
});
