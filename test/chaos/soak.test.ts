import { describe, expect, it } from "vitest";
import { runSoak } from "./soak-run.ts";

const LIMIT_MS = 120_000;

describe("a soak", () => {
  it("sees every job to its end and tells what the home took", { timeout: LIMIT_MS }, async () => {
    const options = { jobs: 60, concurrent: 8, runtime: "stub", seed: 20_260_101 } as const;
    const { checks, usage, home, idle } = await runSoak(options, () => undefined);
    expect(checks.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`))).toEqual([]);
    expect(checks.find(({ name }) => name === "all jobs: without exactly one end")?.looked).toBe(60);
    expect(usage.tenths).toHaveLength(10);
    expect(usage.end.mostMiB).toBeGreaterThanOrEqual(usage.end.nowMiB);
    expect(usage.start.nowMiB).toBeGreaterThan(1);
    expect(usage.end.cpuSeconds).toBeGreaterThan(usage.start.cpuSeconds);
    for (const delay of [home, idle]) expect(delay.count).toBeGreaterThan(0);
  });
});
