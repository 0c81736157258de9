import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseJobSpec } from "../../../engine/spec/parse.ts";
import { createJudge } from "../../lab/openapi.ts";
import { hostileBody } from "../../scenarios/hostile-specs.ts";

const allowed = createJudge().at("components", "schemas", "JobSpec");

function accepted(spec: unknown): boolean {
  try {
    parseJobSpec(spec);
    return true;
  } catch {
    return false;
  }
}

const text = (...parts: string[]) =>
  fc
    .array(fc.constantFrom(...parts, "a", "B", "1", "-", ".", "_", "/", ":", " "), { maxLength: 8 })
    .map((all) => all.join(""));
const base = { image: "a" };

/** Doubles are mostly tiny or huge: hundredths come near the bounds. */
const cpu = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer({ min: -1000, max: 110_000 }).map((n) => n / 100),
);

/** Fields whose rule the schema says in full: what it allows is accepted, and nothing else. */
const EXACT: Record<string, fc.Arbitrary<object>> = {
  "a DNS label": text("é").map((name) => ({ ...base, name })),
  "a label's key": text("x".repeat(60), "é", "\n").map((key) => ({ ...base, labels: { [key]: "v" } })),
  "a label's value": text("x".repeat(60), "\n").map((value) => ({ ...base, labels: { k: value } })),
  "a directory": text("..", "\\", "\n", "/../").map((workdir) => ({ ...base, workdir })),
  "a volume's source": text("..", "/", "\\..").map((source) => ({ ...base, volumes: [{ source, target: "/t" }] })),
  "a volume's target": text("/.", "/", "..").map((target) => ({ ...base, volumes: [{ source: "/s", target }] })),
  "a variable's name": text("=", "\n", "é").map((name) => ({ ...base, env: { [name]: "v" } })),
  "a user": text(":", "x".repeat(30)).map((user) => ({ ...base, user })),
  "a key of concurrency": text("\u0007", "é").map((concurrencyKey) => ({ ...base, concurrencyKey })),
  "a capability": text("NET_ADMIN", "_").map((one) => ({ ...base, security: { addCapabilities: [one] } })),
  "categories to retry": fc
    .array(fc.constantFrom("AUTH", "OOM", "UNKNOWN", "NEVER"), { maxLength: 4 })
    .map((on) => ({ ...base, retry: { on } })),
  numbers: fc
    .tuple(cpu, fc.integer({ min: -200, max: 200 }))
    .map(([cpu, priority]) => ({ ...base, priority, resources: { cpu } })),
  "whether an image is needed": fc
    .record(
      { image: fc.constant("a"), runtime: fc.constantFrom("process", "stub", "docker"), args: fc.constant(["a"]) },
      { requiredKeys: ["args"] },
    )
    .map((spec) => spec),
};

describe("the schema of a job spec", () => {
  it.each(Object.entries(EXACT))("says exactly what is taken for %s", (_, specs) => {
    let taken = 0;
    fc.assert(
      fc.property(specs, (spec) => {
        const isAccepted = accepted(spec);
        if (isAccepted) taken += 1;
        expect([allowed(spec), JSON.stringify(spec)]).toEqual([isAccepted, JSON.stringify(spec)]);
      }),
      { numRuns: 1000 },
    );
    // Both ways happen: a rule that nothing or everything keeps would say nothing.
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(1000);
  });

  it("forbids nothing that is accepted", () => {
    const counts = { accepted: 0, forbidden: 0 };
    fc.assert(
      fc.property(hostileBody, (body) => {
        let spec: unknown;
        try {
          spec = JSON.parse(body);
        } catch {
          return;
        }
        const isAllowed = allowed(spec);
        if (!isAllowed) counts.forbidden += 1;
        if (!accepted(spec)) return;
        counts.accepted += 1;
        expect([isAllowed, allowed.errors, body]).toEqual([true, null, body]);
      }),
      { numRuns: 3000 },
    );
    expect(counts.accepted).toBeGreaterThan(100);
    expect(counts.forbidden).toBeGreaterThan(100);
  });
});
