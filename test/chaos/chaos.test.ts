import { describe, expect, it } from "vitest";
import { runChaos } from "./chaos.ts";

const SEED = 20_260_101;
/** A handful of starts of the home, and once the half minute that a sweep leaves a job to whoever is at it. */
const LIMIT_MS = 150_000;

describe("a home that is killed over and over", () => {
  it("keeps every promise as seen from outside", { timeout: LIMIT_MS }, async () => {
    const options = { jobs: 40, kills: 4, runtime: "process", seed: SEED } as const;
    const { checks, kills } = await runChaos(options, () => undefined);
    expect(checks.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`))).toEqual([]);
    expect(kills).toBe(4);
    const looked = Object.fromEntries(checks.map((check) => [check.name, check.looked]));
    expect(looked).toMatchObject({ "accepted jobs lost": 40, "jobs that nobody submitted": 40 });
    expect(looked["recorded starts that nobody saw"]).toBeGreaterThan(20);
  });
});
