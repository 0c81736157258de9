import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EventRecord } from "../../../engine/ledger/records.ts";
import type { ReconcileReport } from "../../../engine/operations/reconcile.ts";
import { createMetrics } from "../../../functions/aws/metrics.ts";
import { newJob } from "../../engine/lives.ts";

let lines: Record<string, unknown>[];

beforeEach(() => {
  lines = [];
  // In its development mode Powertools writes to the global console, metrics only when it is told to.
  vi.stubEnv("POWERTOOLS_DEV", "true");
  vi.stubEnv("POWERTOOLS_METRICS_DISABLED", "false");
  vi.spyOn(console, "log").mockImplementation((text: string) => void lines.push(JSON.parse(text)));
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const REPORT: ReconcileReport = {
  looked: 3,
  active: 7,
  repaired: 2,
  lost: 0,
  orphans: 1,
  erased: 0,
  failed: 3,
  corrected: [],
  failures: [],
  stopped: null,
};

describe("the numbers of a sweep", () => {
  it("are those of its report, by stage", () => {
    createMetrics("lab").swept(REPORT, 12);
    expect(lines).toMatchObject([
      {
        service: "lab",
        longshore_active_jobs: 7,
        longshore_sweep_repairs_total: 2,
        longshore_sweep_orphans_total: 1,
        longshore_sweep_failures_total: 3,
        longshore_queue_oldest_seconds: 12,
      },
    ]);
    expect(lines).toHaveLength(1);
    expect(declared(lines[0])).toMatchObject({
      longshore_queue_oldest_seconds: { unit: "Seconds", dimensions: ["service"] },
      longshore_active_jobs: { unit: "Count", dimensions: ["service"] },
    });
  });

  it("do not count the jobs where its time was over", () => {
    createMetrics("lab").swept({ ...REPORT, active: null, stopped: "time" }, 12);
    expect(lines[0]).not.toHaveProperty("longshore_active_jobs");
    expect(lines[0]).toMatchObject({ longshore_sweep_failures_total: 3 });
  });

  it("do not say that nothing failed where another one was at work: that would hide what fails there", () => {
    createMetrics("lab").swept(
      { ...REPORT, looked: 0, active: null, repaired: 0, orphans: 0, erased: 0, failed: 0, stopped: "lease" },
      12,
    );
    expect(lines).toMatchObject([{ longshore_queue_oldest_seconds: 12 }]);
    expect(Object.keys(declared(lines[0]))).toEqual(["longshore_queue_oldest_seconds"]);
  });
});

describe("what leaves by the bus", () => {
  const job = {
    ...newJob({ lane: "blue" }),
    startedAt: "2026-01-01T00:00:05.000Z",
    finishedAt: "2026-01-01T00:00:09.000Z",
  };
  const event = (seq: number, type: EventRecord["type"], data = {}): EventRecord => {
    const { jobId, runtime } = job;
    return { jobId, seq, type, at: job.createdAt, attempt: 1, status: "RUNNING", phase: null, runtime, data };
  };

  it("is written when all of it has left, a line for each set of dimensions; a lane is none", () => {
    const metrics = createMetrics("lab");
    metrics.taken(event(1, "SUBMITTED"), job);
    metrics.taken(event(5, "LOGS_COLLECTED", { bytes: 7 }), job);
    metrics.taken(event(6, "COST_RECORDED", { amountUsd: 0.5 }), job);
    metrics.taken(event(7, "SUCCEEDED"), job);
    metrics.taken(event(7, "FAILED"), { ...job, startedAt: null });
    expect(lines).toEqual([]);
    metrics.flush();
    expect(lines).toMatchObject([
      {
        service: "lab",
        runtime: "stub",
        longshore_jobs_submitted_total: 1,
        longshore_cost_usd_total: 0.5,
        longshore_job_duration_seconds: 4,
      },
      { service: "lab", runtime: "stub", status: "SUCCEEDED", longshore_jobs_finished_total: 1 },
      { service: "lab", runtime: "stub", status: "FAILED", longshore_jobs_finished_total: 1 },
    ]);
    expect(lines).toHaveLength(3);
    expect(declared(lines[0])).toEqual({
      longshore_jobs_submitted_total: { unit: "Count", dimensions: ["runtime", "service"] },
      longshore_cost_usd_total: { unit: "None", dimensions: ["runtime", "service"] },
      longshore_job_duration_seconds: { unit: "Seconds", dimensions: ["runtime", "service"] },
    });
    expect(declared(lines[1])).toEqual({
      longshore_jobs_finished_total: { unit: "Count", dimensions: ["runtime", "service", "status"] },
    });
    expect(JSON.stringify(lines)).not.toContain("blue");
    expect(JSON.stringify(lines)).not.toContain(job.jobId);
  });

  it("writes nothing where nothing was counted, and what was counted once", () => {
    const metrics = createMetrics("lab");
    metrics.taken(event(2, "VALIDATED"), job);
    metrics.flush();
    expect(lines).toEqual([]);
    metrics.taken(event(1, "SUBMITTED"), job);
    metrics.flush();
    metrics.flush();
    expect(lines).toHaveLength(1);
  });
});

/** What a line says of its metrics, as CloudWatch reads it. */
function declared(line: Record<string, unknown> | undefined): Record<string, { unit: string; dimensions: string[] }> {
  if (line === undefined) throw new Error("there is no such line");
  const { CloudWatchMetrics } = line._aws as {
    CloudWatchMetrics: { Dimensions: string[][]; Metrics: { Name: string; Unit: string }[] }[];
  };
  return Object.fromEntries(
    CloudWatchMetrics.flatMap(({ Dimensions, Metrics }) =>
      Metrics.map(({ Name, Unit }) => [Name, { unit: Unit, dimensions: Dimensions.flat().sort() }]),
    ),
  );
}
