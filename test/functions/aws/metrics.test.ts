import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ReconcileReport } from "../../../engine/operations/reconcile.ts";
import { createMetrics } from "../../../functions/aws/metrics.ts";

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
      { service: "lab", ActiveJobs: 7, Repairs: 2, Orphans: 1, SweepFailures: 3, OldestWaitingSeconds: 12 },
    ]);
  });

  it("do not count the jobs where its time was over", () => {
    createMetrics("lab").swept({ ...REPORT, active: null, stopped: "time" }, 12);
    expect(lines[0]).not.toHaveProperty("ActiveJobs");
    expect(lines[0]).toMatchObject({ SweepFailures: 3 });
  });

  it("do not say that nothing failed where another one was at work: that would hide what fails there", () => {
    createMetrics("lab").swept(
      { ...REPORT, looked: 0, active: null, repaired: 0, orphans: 0, erased: 0, failed: 0, stopped: "lease" },
      12,
    );
    expect(lines).toMatchObject([{ OldestWaitingSeconds: 12 }]);
    for (const name of ["ActiveJobs", "Repairs", "Orphans", "SweepFailures"]) expect(lines[0]).not.toHaveProperty(name);
  });
});

describe("what leaves by the bus", () => {
  it("is counted by its type, unless it was not taken", async () => {
    const types = ["SUCCEEDED", "SUCCEEDED", "FAILED", "VALIDATED"];
    const entries = types.map((type, at) => ({ id: `e${at}`, source: "longshore", detailType: "", detail: { type } }));
    const bus = createMetrics("lab").counting({ publish: async () => ({ failed: ["e2"] }) });
    expect(await bus.publish(entries)).toEqual({ failed: ["e2"] });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ JobsSucceeded: [1, 1] });
    expect(lines[0]).not.toHaveProperty("JobsFailed");
  });
});
