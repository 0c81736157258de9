import { describe, expect, test } from "vitest";
import { CATEGORIES, ERRORS } from "../../engine/errors.ts";
import type { AttemptExit, AttemptRecord, StopReason } from "../../engine/ledger/records.ts";
import { judge } from "../../engine/outcome.ts";
import { at, exitOf, lifeAt, newJob } from "./lives.ts";

const DEADLINE = at(70);

function attemptWith(patch: Partial<AttemptRecord> = {}): AttemptRecord {
  const { attempt } = lifeAt("running");
  return { ...(attempt as AttemptRecord), deadlineAt: DEADLINE, ...patch };
}

const verdict = (exit: Partial<AttemptExit>, attempt: Partial<AttemptRecord> = {}) => {
  const { status, error } = judge(newJob(), attemptWith(attempt), exitOf(exit));
  return [status, error?.category ?? null, error?.exitCode ?? null];
};

describe("an ended attempt is judged", () => {
  test.each<[string, Partial<AttemptExit>, unknown[]]>([
    ["exit 0", { exitCode: 0 }, ["SUCCEEDED", null, null]],
    ["exit 3", { exitCode: 3 }, ["FAILED", "USER_CODE", 3]],
    ["killed by a signal that nobody of ours sent", { exitCode: 137 }, ["FAILED", "USER_CODE", 137]],
    ["out of memory", { exitCode: 137, oom: true }, ["FAILED", "OOM", 137]],
    // The kernel killed a child; the command itself went on and was content.
    ["out of memory, but exit 0", { exitCode: 0, oom: true }, ["FAILED", "OOM", 0]],
    ["nobody can tell", { exitCode: null }, ["FAILED", "UNKNOWN", null]],
  ])("%s", (_, exit, expected) => {
    expect(verdict(exit)).toEqual(expected);
  });

  test.each(CATEGORIES.filter((category) => category !== "TIMEOUT"))("a failure of %s by its category", (category) => {
    const failure = { category, message: "why", providerCode: "42" };
    expect(judge(newJob(), attemptWith(), exitOf({ exitCode: 0, oom: true, failure }))).toEqual({
      status: "FAILED",
      error: { category, message: "why", retryable: ERRORS[category].retryable, providerCode: "42", exitCode: 0 },
    });
  });

  test("a timeout that the runtime itself enforced as TIMED_OUT", () => {
    const failure = { category: "TIMEOUT" as const, message: "too long", providerCode: null };
    expect(judge(newJob({ timeoutSeconds: 60 }), attemptWith(), exitOf({ exitCode: 137, failure }))).toEqual({
      status: "TIMED_OUT",
      error: {
        category: "TIMEOUT",
        message: "the job ran longer than its timeout of 60 s",
        retryable: false,
        providerCode: null,
        exitCode: 137,
      },
    });
  });

  test.each<[string, string, number | null, unknown[]]>([
    ["before its deadline by itself", at(69), 0, ["SUCCEEDED", null, null]],
    ["before its deadline with a failure", at(69), 4, ["FAILED", "USER_CODE", 4]],
    ["at its deadline", DEADLINE, 137, ["TIMED_OUT", "TIMEOUT", 137]],
    ["after its deadline, content with the signal", at(71), 0, ["TIMED_OUT", "TIMEOUT", 0]],
    // The same moment, written by a clock with another precision.
    ["at its deadline in other words", DEADLINE.replace(".000Z", "Z"), 143, ["TIMED_OUT", "TIMEOUT", 143]],
  ])("a stop for its timeout that ended %s", (...[, finishedAt, exitCode, expected]) => {
    expect(verdict({ finishedAt, exitCode }, { stop: "timeout" })).toEqual(expected);
  });

  // The timeout counts from the start of the command: without one there is none that could be over.
  test("a launch that took too long as a runtime that is not available", () => {
    expect(verdict({ exitCode: null }, { stop: "timeout", deadlineAt: null, startedAt: null })).toEqual([
      "FAILED",
      "RUNTIME_UNAVAILABLE",
      null,
    ]);
  });

  test("what could not be followed as a runtime that is not available", () => {
    expect(verdict({ exitCode: 137 }, { stop: "lost" })).toEqual(["FAILED", "RUNTIME_UNAVAILABLE", 137]);
    const failure = { category: "IMAGE_PULL" as const, message: "no", providerCode: null };
    expect(verdict({ exitCode: null, failure }, { stop: "lost" })).toEqual(["FAILED", "IMAGE_PULL", null]);
  });

  test.each<StopReason | null>([null, "timeout", "cancel", "lost"])(
    "a requested cancel over all else (stop: %s)",
    (stop) => {
      const job = newJob({ cancelRequestedAt: at(1) });
      const failure = { category: "TIMEOUT" as const, message: "", providerCode: null };
      for (const exit of [exitOf(), exitOf({ exitCode: 1, oom: true }), exitOf({ exitCode: null, failure })]) {
        expect(judge(job, attemptWith({ stop }), exit)).toEqual({ status: "CANCELLED", error: null });
      }
    },
  );
});

test.each([
  [1, "the command exited with code 1"],
  [127, "the command exited with code 127"],
  [137, "the command ended by SIGKILL (exit code 137)"],
  [143, "the command ended by SIGTERM (exit code 143)"],
  [255, "the command exited with code 255"],
])("exit code %i is told in words", (exitCode, message) => {
  expect(judge(newJob(), attemptWith(), exitOf({ exitCode })).error?.message).toBe(message);
});
