import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mayRetry, retryDelaySeconds } from "../../engine/retry.ts";

const policy = { delaySeconds: 5, backoff: 2, maxDelaySeconds: 300 };

describe("the delay before the next attempt", () => {
  test("grows by the backoff and stops at its cap", () => {
    const almostOne = [1, 2, 3, 4, 7, 100].map((attempt) => retryDelaySeconds(policy, attempt, 1));
    expect(almostOne).toEqual([5, 10, 20, 40, 300, 300]);
  });

  test("loses at most a random half", () => {
    expect(retryDelaySeconds(policy, 1, 0)).toBe(2.5);
    expect(retryDelaySeconds(policy, 2, 0.5)).toBe(7.5);
  });

  test("is none when the spec wants none, however often it failed", () => {
    expect(retryDelaySeconds({ ...policy, delaySeconds: 0, backoff: 10 }, 10_000, 0.3)).toBe(0);
  });

  test("is a number between zero and the cap for every policy", () => {
    const numbers = fc.record({
      delaySeconds: fc.double({ min: 0, max: 86_400, noNaN: true }),
      backoff: fc.double({ min: 1, max: 10, noNaN: true }),
      maxDelaySeconds: fc.double({ min: 0, max: 86_400, noNaN: true }),
    });
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(numbers, fc.integer({ min: 1, max: 1000 }), random, (any, attempt, random01) => {
        const delay = retryDelaySeconds(any, attempt, random01);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(any.maxDelaySeconds);
      }),
    );
  });
});

test("a retry needs an attempt that is left and a category that the spec names", () => {
  const two = { maxAttempts: 2, on: ["IMAGE_PULL" as const] };
  expect(mayRetry(two, { category: "IMAGE_PULL" }, 1)).toBe(true);
  expect(mayRetry(two, { category: "IMAGE_PULL" }, 2)).toBe(false);
  expect(mayRetry(two, { category: "UNKNOWN" }, 1)).toBe(false);
});
