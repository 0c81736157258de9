import { describe, expect, it } from "vitest";
import { createBlows } from "./blows.ts";
import { createNeedles, createPlans, type Ground } from "./jobs.ts";
import { chaosOptions, RUNTIMES, soakOptions } from "./options.ts";
import { createRandom } from "./random.ts";

const SEED = 20_260_101;
const ground = (runtime: Ground["runtime"]): Ground => ({ runtime, shared: "/srv/shared", needles: createNeedles() });

describe("the arguments of chaos and soak", () => {
  it("are what they say, and have defaults", () => {
    const args = ["--jobs", "5", "--kills", "0", "--runtime", "stub", "--seed", "7"];
    expect(chaosOptions(args)).toEqual({ jobs: 5, kills: 0, runtime: "stub", seed: 7 });
    expect(chaosOptions([])).toMatchObject({ jobs: 60, kills: 30, runtime: "docker" });
    expect(soakOptions(["--jobs=9", "--concurrent=3"])).toMatchObject({ jobs: 9, concurrent: 3, runtime: "stub" });
  });

  it.each([
    ["--jobs", "0"],
    ["--jobs", "many"],
    ["--kills", "-1"],
    ["--kills", "1.5"],
    ["--seed", "x"],
    ["--runtime", "podman"],
    ["--job", "5"],
  ])("are refused with their name: %s %s", (name, value) => {
    expect(() => chaosOptions([`${name}=${value}`])).toThrow(name);
  });
});

describe("a seed", () => {
  it("gives the same jobs and the same blows again, and another one others", () => {
    const make = (seed: number) => {
      const random = createRandom(seed);
      const fixed = { ...ground("process"), needles: { inSpec: "a", inEnvironment: "b" } };
      return { plans: createPlans(50, random, fixed), blows: createBlows(50, random) };
    };
    expect(make(SEED)).toEqual(make(SEED));
    expect(make(SEED).blows).not.toEqual(make(SEED + 1).blows);
    expect(make(SEED).plans).not.toEqual(make(SEED + 1).plans);
  });
});

describe("the blows", () => {
  it("meet the start, every phase and chance, mostly as SIGKILL", () => {
    const blows = createBlows(200, createRandom(SEED));
    const kinds = new Set(blows.map(({ at }) => at.kind));
    const aims = new Set(blows.flatMap(({ at }) => (at.kind === "event" ? [at.type] : [])));
    expect([...kinds].sort()).toEqual(["event", "start", "up"]);
    expect([...aims]).toEqual(expect.arrayContaining(["VALIDATED", "CONTAINER_CREATING", "EXITED", "RETRY_SCHEDULED"]));
    const asked = blows.filter(({ signal }) => signal === "SIGTERM");
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.length).toBeLessThan(blows.length / 4);
    expect(asked.every(({ at }) => at.kind !== "start")).toBe(true);
  });
});

describe("the jobs", () => {
  it.each(RUNTIMES)("are of every kind on %s, with a place in the specs where their secret stands", (runtime) => {
    const there = ground(runtime);
    const plans = createPlans(11, createRandom(SEED), there);
    expect(new Set(plans.map(({ kind }) => kind)).size).toBe(11);
    expect(plans.every(({ spec }) => spec.runtime === runtime)).toBe(true);
    const text = JSON.stringify(plans);
    expect(text).toContain(there.needles.inSpec);
    // That one only the home knows.
    expect(text).not.toContain(there.needles.inEnvironment);
  });
});
