import { describe, expect, test } from "vitest";
import { TRANSITIONS } from "../../engine/occurrences.ts";
import {
  assertNever,
  EVENT_TYPES,
  isDeadLettered,
  isRetryableByHand,
  isTerminal,
  PHASES,
  phaseOrder,
  STATUSES,
  TERMINAL_STATUSES,
} from "../../engine/states.ts";

describe("statuses", () => {
  test.each(STATUSES)("%s is terminal or not", (status) => {
    expect(isTerminal(status)).toBe(["SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"].includes(status));
    if (isTerminal(status)) expect(isDeadLettered(status)).toBe(["FAILED", "TIMED_OUT"].includes(status));
    expect(isRetryableByHand(status)).toBe(["FAILED", "CANCELLED", "TIMED_OUT"].includes(status));
  });

  test("that end a job each have an event of their name", () => {
    expect(EVENT_TYPES).toEqual(expect.arrayContaining([...TERMINAL_STATUSES]));
    expect(new Set(EVENT_TYPES).size).toBe(EVENT_TYPES.length);
  });
});

test("phases are in the order of an attempt, and rest is before them all", () => {
  const order = PHASES.map(phaseOrder);
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(new Set(order).size).toBe(PHASES.length);
  expect(phaseOrder(null)).toBeLessThan(Math.min(...order));
});

test("a terminal job can only be cleaned up, and be told of what is a stray of it", () => {
  const applied = Object.entries(TRANSITIONS.terminal).filter(([, legality]) => legality === "apply");
  expect(applied.map(([type]) => type)).toEqual(["CLEAN", "ORPHAN"]);
});

test("an impossible value is an exception that names it", () => {
  expect(() => assertNever("odd" as never)).toThrow("unexpected value: odd");
});
