import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type CircuitNews,
  type CircuitRecord,
  type CircuitState,
  COOL_DOWN_MS,
  circuitState,
  MAX_COOL_DOWN_MS,
  nextCircuit,
  SILENT_CALLS,
  UNTRIED,
  WINDOW_MS,
} from "../../engine/circuit.ts";
import { deepFreeze, NOW } from "./lives.ts";

const silent = (call: string, beganMs: number, message = "away"): CircuitNews => ({
  type: "SILENT",
  call,
  beganMs,
  message,
});
const answered = (beganMs: number, to: "launch" | "probe" = "launch"): CircuitNews => ({
  type: "ANSWERED",
  to,
  beganMs,
});

/** Tells one thing after the other, each at the time at which its call began. */
function told(news: CircuitNews[], from: CircuitRecord = UNTRIED): CircuitRecord {
  return news.reduce<CircuitRecord>((record, one) => nextCircuit(deepFreeze(record), one, one.beganMs), from);
}
const opened = (at = NOW) => told([silent("a", at), silent("b", at), silent("c", at)]);
const DUE = NOW + COOL_DOWN_MS;

describe("a closed circuit", () => {
  test("opens at the third launch in a row without an answer, and keeps what was said", () => {
    const two = told([silent("a", NOW), silent("b", NOW + 1)]);
    expect(circuitState(two, NOW + 1)).toBe("closed");
    const open = nextCircuit(two, silent("c", NOW + 2, "no socket"), NOW + 2);
    expect(open).toEqual({
      state: "open",
      silent: [],
      changedMs: NOW + 2,
      openedMs: NOW + 2,
      untilMs: NOW + 2 + COOL_DOWN_MS,
      coolDownMs: COOL_DOWN_MS,
      message: "no socket",
    });
  });

  test("counts a call once, however often it is told of", () => {
    const news = [silent("a", NOW), silent("b", NOW), silent("a", NOW), silent("b", NOW)];
    expect(told(news).state).toBe("closed");
  });

  test("begins to count anew after a launch that was answered", () => {
    const news = [silent("a", NOW), silent("b", NOW), answered(NOW), silent("c", NOW), silent("d", NOW)];
    expect(told(news).silent.map(({ call }) => call)).toEqual(["c", "d"]);
  });

  test("forgets what is longer ago than the window", () => {
    const late = NOW + WINDOW_MS;
    const news = [silent("a", NOW), silent("b", NOW + 1), silent("c", late)];
    expect(told(news)).toMatchObject({ state: "closed", silent: [{ call: "b" }, { call: "c" }] });
    expect(told([silent("d", late)], told(news)).state).toBe("open");
  });

  test("is the same object, which nobody writes, when a launch is answered", () => {
    expect(nextCircuit(UNTRIED, answered(NOW), NOW)).toBe(UNTRIED);
    const closed = told([answered(DUE)], opened());
    expect(nextCircuit(closed, answered(DUE + 1), DUE + 1)).toBe(closed);
  });

  test("keeps little of a long message", () => {
    const long = told(["a", "b", "c"].map((call) => silent(call, NOW, "x".repeat(10_000))));
    expect(long.message).toHaveLength(300);
  });
});

describe("an open circuit", () => {
  test.each<[string, number, CircuitState]>([
    ["at once", NOW, "open"],
    ["a moment before its cool-down is over", DUE - 1, "open"],
    ["when its cool-down is over", DUE, "half-open"],
    ["much later", DUE + 3_600_000, "half-open"],
  ])("is, %s", (_, nowMs, expected) => {
    expect(circuitState(opened(), nowMs)).toBe(expected);
  });

  test.each<[string, CircuitNews, number]>([
    ["a failure during the cool-down", silent("d", NOW + 1), NOW + 1],
    ["a failure of a call that began during it", silent("d", DUE - 1), DUE + 500],
    ["a failure of a call that began before it", silent("d", NOW - 1), DUE + 500],
    ["an answer to a call that began before it", answered(NOW - 1), DUE + 500],
  ])("does not heed %s", (_, news, nowMs) => {
    const open = opened();
    expect(nextCircuit(open, news, nowMs)).toBe(open);
  });

  test.each(["launch", "probe"] as const)("closes when a %s is answered", (to) => {
    const closed = nextCircuit(opened(), answered(DUE, to), DUE + 7);
    expect(closed).toMatchObject({ state: "closed", openedMs: null, message: null, changedMs: DUE + 7 });
    // News of the outage come late.
    expect(nextCircuit(closed, silent("late", DUE), DUE + 8)).toBe(closed);
  });

  test("is tried again after twice the time each time, up to the longest, and tells since when it is open", () => {
    let record = opened();
    const coolDowns: number[] = [];
    for (let n = 0; n < 7; n++) {
      coolDowns.push(record.coolDownMs);
      const at = record.untilMs;
      record = nextCircuit(record, silent(`probe-${n}`, at, `still away ${n}`), at);
      expect(record).toMatchObject({ changedMs: at, openedMs: NOW, message: `still away ${n}` });
    }
    expect(coolDowns).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
  });

  test("fails once when two processes try it at the same time", () => {
    const once = nextCircuit(opened(), silent("one", DUE), DUE + 10);
    expect(nextCircuit(once, silent("other", DUE + 1), DUE + 11)).toBe(once);
    expect(nextCircuit(once, answered(DUE + 1), DUE + 11)).toBe(once);
  });

  test("that a probe has closed opens for longer when the next launches fail, unless one went well", () => {
    const failing = (at: number) => ["x", "y", "z"].map((call) => silent(`${call}${at}`, at));
    const probed = nextCircuit(opened(), answered(DUE, "probe"), DUE);
    expect(told(failing(DUE + 1), probed).coolDownMs).toBe(COOL_DOWN_MS * 2);
    expect(told([answered(DUE + 1), ...failing(DUE + 2)], probed).coolDownMs).toBe(COOL_DOWN_MS);
    expect(told([answered(DUE + 1, "probe"), ...failing(DUE + 2)], probed).coolDownMs).toBe(COOL_DOWN_MS * 2);
  });
});

/** Something that is told: of a call that began a while ago, perhaps before everything. */
const happening = fc.record({
  afterMs: fc.integer({ min: 0, max: 40_000 }),
  lateMs: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(90_000) }),
  call: fc.nat(30),
  type: fc.constantFrom<"SILENT" | "launch" | "probe">("SILENT", "SILENT", "SILENT", "SILENT", "launch", "probe"),
  twice: fc.boolean(),
});

test("whatever is told in whatever order, twice and late, the circuit is one that can be", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
      let record: CircuitRecord = UNTRIED;
      let nowMs = NOW;
      for (const { afterMs, lateMs, call, type, twice } of happenings) {
        nowMs += afterMs;
        const beganMs = nowMs - lateMs;
        const news = type === "SILENT" ? silent(`call-${call}`, beganMs) : answered(beganMs, type);
        const before = record;
        const was = circuitState(before, nowMs);
        record = nextCircuit(deepFreeze(before), news, nowMs);
        const is = circuitState(record, nowMs);
        seen.add(`${was} ${is}`);
        // What is late changes nothing, and neither does what was heeded a moment ago.
        if (beganMs < before.changedMs) expect(record).toBe(before);
        if (twice && type !== "probe") expect(circuitState(nextCircuit(record, news, nowMs), nowMs)).toBe(is);
        // It opens by silence alone, closes by an answer alone, and is never half-open by news.
        if (was === "closed" && is !== "closed") expect([is, type]).toEqual(["open", "SILENT"]);
        if (was !== "closed" && is === "closed") expect(type).not.toBe("SILENT");
        if (was === "open" && type === "SILENT") expect(record).toBe(before);
        if (is === "half-open") expect(was).toBe("half-open");
        if (record.state === "open") {
          expect(record.untilMs - record.changedMs).toBe(record.coolDownMs);
          expect(record.coolDownMs).toBeGreaterThanOrEqual(COOL_DOWN_MS);
          expect(record.coolDownMs).toBeLessThanOrEqual(MAX_COOL_DOWN_MS);
          expect(record.openedMs).toBeLessThanOrEqual(record.changedMs);
          expect(record.message).toBe("away");
        } else expect([record.openedMs, record.message]).toEqual([null, null]);
        expect(record.silent.length).toBeLessThan(SILENT_CALLS);
        expect(new Set(record.silent.map((one) => one.call)).size).toBe(record.silent.length);
      }
    }),
    { numRuns: 500 },
  );
  // The generator is worth something only if the circuit goes every way.
  const ways = ["closed open", "open closed", "half-open closed", "half-open open", "half-open half-open"];
  expect([...seen]).toEqual(expect.arrayContaining(ways));
});
