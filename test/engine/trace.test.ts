import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type JobId, mintJobId } from "../../engine/ids.ts";
import { traceIdIn, traceOf, traceOfAttempt, traceOfJob, withTrace } from "../../engine/trace.ts";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const PARENT = `00-${ID}-${SPAN}-01`;
/** As the recommendation has it, for the version that it describes. */
const VALID = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]$/;

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });

describe("a traceparent", () => {
  it.each([
    [PARENT, PARENT],
    [`00-${ID}-${SPAN}-00`, `00-${ID}-${SPAN}-00`],
    // Flags of which nothing is known are not handed on.
    [`00-${ID}-${SPAN}-ff`, PARENT],
    [`00-${ID}-${SPAN}-02`, `00-${ID}-${SPAN}-00`],
    // Of a later version what this one knows.
    [`cc-${ID}-${SPAN}-01`, PARENT],
    [`cc-${ID}-${SPAN}-01-what-the-future-brings`, PARENT],
  ])("%s is taken as %s", (given, taken) => {
    expect(traceOf({ traceparent: given })).toEqual({ traceparent: taken });
  });

  it.each([
    undefined,
    null,
    7,
    ["a", "b"],
    "",
    "00",
    ID,
    `ff-${ID}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${ID}-${"0".repeat(16)}-01`,
    `00-${ID.toUpperCase()}-${SPAN}-01`,
    `0x-${ID}-${SPAN}-01`,
    `00-${ID}-${SPAN}`,
    `00-${ID}-${SPAN}-1`,
    `00-${ID}-${SPAN}-001`,
    `00-${ID}-${SPAN}-01-`,
    `00-${ID}-${SPAN}-01-more`,
    `00-${ID}-${SPAN}-01.`,
    `cc-${ID}-${SPAN}-01.more`,
    `00-${ID.slice(1)}-${SPAN}-01`,
    `00-${ID}a-${SPAN}-01`,
    ` ${PARENT}`,
    `${PARENT}\n`,
    `${PARENT}, ${PARENT}`,
  ])("%j is none", (given) => {
    expect(traceOf({ traceparent: given, tracestate: "a=b" })).toBeUndefined();
  });

  it("is taken or not, whatever is given, and what is taken is valid", () => {
    const near = fc
      .tuple(hex(2), hex(32), hex(16), hex(2), fc.constantFrom("", "-", "-x", " ", ","))
      .map(([version, id, span, flags, rest]) => `${version}-${id}-${span}-${flags}${rest}`);
    const given = fc.oneof(near, fc.string(), fc.anything());
    fc.assert(
      fc.property(given, fc.oneof(fc.string(), fc.anything()), (traceparent, tracestate) => {
        const found = traceOf({ traceparent, tracestate });
        if (found === undefined) return;
        expect(found.traceparent).toMatch(VALID);
        expect((found.tracestate ?? "").length).toBeLessThanOrEqual(512);
        expect(found.tracestate ?? "").toMatch(/^[\x20-\x7e]*$/);
        // What was taken once is taken as it is.
        expect(traceOf(found)).toEqual(found);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a tracestate", () => {
  const stateOf = (tracestate: unknown) => traceOf({ traceparent: PARENT, tracestate })?.tracestate;

  it.each([
    ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"],
    [" a=1 ,\tb=2 ,, ", "a=1,b=2"],
    ["tenant@vendor=x y!", "tenant@vendor=x y!"],
    ["0tenant@vendor=x", "0tenant@vendor=x"],
    ["a_-*/9=<:>", "a_-*/9=<:>"],
  ])("%j is handed on as %j", (given, taken) => {
    expect(stateOf(given)).toBe(taken);
  });

  it.each([
    "",
    ",",
    "a",
    "a=",
    "=b",
    "A=b",
    "0a=b",
    "a=b,a=c",
    "a=b=c",
    "a@b@c=d",
    "a@0b=c",
    "a=\u00e9",
    "a=b\u0000",
    "a=b\nx=y",
    `a=${"x".repeat(257)}`,
    `${"a".repeat(257)}=x`,
    Array.from({ length: 33 }, (_, n) => `k${n}=v`).join(","),
    7,
  ])("%j is left out, and the traceparent counts all the same", (given) => {
    expect(traceOf({ traceparent: PARENT, tracestate: given })).toEqual({ traceparent: PARENT });
  });

  it("that is too long loses whole members: the long ones first, then those at its end", () => {
    const long = `long=${"x".repeat(200)}`;
    const short = Array.from({ length: 30 }, (_, n) => `k${n}=${"v".repeat(10)}`);
    expect(stateOf([long, ...short].join(","))).toBe(short.join(","));
    const many = Array.from({ length: 32 }, (_, n) => `k${n}=${"v".repeat(20)}`);
    const kept = (stateOf(many.join(",")) ?? "").split(",");
    expect(kept).toEqual(many.slice(0, kept.length));
    expect(kept.join(",").length).toBeLessThanOrEqual(512);
    expect(many.slice(0, kept.length + 1).join(",").length).toBeGreaterThan(512);
  });
});

describe("a job without a trace", () => {
  it("begins one that has its id, the same whenever it is asked for, and unlike any other job's", () => {
    const ids = Array.from({ length: 500 }, (_, n) => mintJobId(n * 7919));
    const traces = ids.map((jobId) => traceOfJob({ jobId }).traceparent);
    for (const [at, jobId] of ids.entries()) {
      expect(traces[at]).toMatch(VALID);
      expect(traceOfJob({ jobId }).traceparent).toBe(traces[at]);
    }
    expect(new Set(traces.map(traceIdIn)).size).toBe(ids.length);
  });

  it("has all bits of its id in it", () => {
    const most = "job_7ZZZZZZZZZZZZZZZZZZZZZZZZZ" as JobId;
    expect(traceIdIn(traceOfJob({ jobId: most }).traceparent)).toBe("f".repeat(32));
    const one = "job_00000000000000000000000001" as JobId;
    expect(traceIdIn(traceOfJob({ jobId: one }).traceparent)).toBe(`${"0".repeat(31)}1`);
  });
});

describe("an attempt", () => {
  const jobId = mintJobId(0);
  const trace = { traceparent: `00-${ID}-${SPAN}-00`, tracestate: "a=b" };

  it("has a place of its own below its job's, in the same trace with the same flag, however often it is launched", () => {
    const [first, again, second] = [1, 1, 2].map((attempt) => traceOfAttempt({ jobId, trace }, attempt));
    expect(again).toEqual(first);
    expect(second?.traceparent).not.toBe(first?.traceparent);
    for (const one of [first, second]) {
      expect(one?.traceparent).toMatch(VALID);
      expect(one?.traceparent).toMatch(new RegExp(`^00-${ID}-.*-00$`));
      expect(one?.traceparent).not.toContain(SPAN);
      expect(one?.tracestate).toBe("a=b");
    }
    const own = traceOfAttempt({ jobId }, 1).traceparent;
    expect(traceIdIn(own)).toBe(traceIdIn(traceOfJob({ jobId }).traceparent));
    expect(own).not.toBe(traceOfJob({ jobId }).traceparent);
  });

  it("gets it by its environment, unless the job brings its own", () => {
    expect(withTrace({ A: "1" }, trace)).toEqual({
      A: "1",
      TRACEPARENT: trace.traceparent,
      TRACESTATE: "a=b",
    });
    expect(withTrace({ TRACEPARENT: "mine" }, trace)).toEqual({ TRACEPARENT: "mine" });
    expect(withTrace({ TRACESTATE: "mine" }, trace)).toEqual({ TRACEPARENT: trace.traceparent, TRACESTATE: "mine" });
    expect(withTrace({}, { traceparent: PARENT })).toEqual({ TRACEPARENT: PARENT });
  });
});
