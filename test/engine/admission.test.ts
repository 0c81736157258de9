import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Contender, shareOut } from "../../engine/admission.ts";

const lane = (patch: Partial<Contender>): Contender => ({
  waiting: 1000,
  running: 0,
  servedAtMs: 0,
  waitingSinceSeconds: 0,
  ...patch,
});
const shared = (lanes: Contender[], slots: number) => {
  const shares = shareOut(lanes, slots);
  return lanes.map((one) => shares.get(one) ?? 0);
};

describe("slots are shared", () => {
  test.each([
    { title: "none among none", lanes: [], slots: 5, gives: [] },
    { title: "no slot", lanes: [{}, {}], slots: 0, gives: [0, 0] },
    { title: "one lane alone, as many as wait", lanes: [{ waiting: 3 }], slots: 5, gives: [3] },
    { title: "one lane alone, as many as are free", lanes: [{}], slots: 5, gives: [5] },
    { title: "one lane alone that does not wait", lanes: [{ waiting: 0 }], slots: 5, gives: [0] },
    { title: "evenly, whatever waits", lanes: [{ waiting: 1000 }, { waiting: 10 }], slots: 4, gives: [2, 2] },
    { title: "what one cannot use to the others", lanes: [{ waiting: 1 }, {}, {}], slots: 7, gives: [1, 3, 3] },
    {
      title: "first to who has fewest",
      lanes: [{ running: 5 }, { running: 3 }, { running: 9 }],
      slots: 3,
      gives: [1, 2, 0],
    },
    {
      title: "then to who was served longest ago",
      lanes: [{ servedAtMs: 9 }, { servedAtMs: 8 }],
      slots: 1,
      gives: [0, 1],
    },
    {
      title: "then to who waits longest",
      lanes: [{ waitingSinceSeconds: 7 }, { waitingSinceSeconds: 6 }],
      slots: 1,
      gives: [0, 1],
    },
  ])("$title", ({ lanes, slots, gives }) => {
    expect(shared(lanes.map(lane), slots)).toEqual(gives);
  });

  test("so that no slot is wasted, none is given twice, and no lane is two behind one that it could have", () => {
    const lanes = fc.array(fc.record({ waiting: fc.nat(20), running: fc.nat(5), servedAtMs: fc.nat(3) }), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(lanes, fc.nat(40), (all, slots) => {
        const contenders = all.map(lane);
        const gives = shared(contenders, slots);
        const given = gives.reduce((sum, n) => sum + n, 0);
        expect(given).toBe(
          Math.min(
            slots,
            contenders.reduce((sum, { waiting }) => sum + waiting, 0),
          ),
        );
        for (const [i, one] of contenders.entries()) {
          expect(gives[i]).toBeLessThanOrEqual(one.waiting);
          if (gives[i] === one.waiting) continue;
          for (const [j, other] of contenders.entries()) {
            if (gives[j] === 0) continue;
            expect(one.running + (gives[i] ?? 0) + 1).toBeGreaterThanOrEqual(other.running + (gives[j] ?? 0));
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
