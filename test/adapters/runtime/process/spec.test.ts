import { describe, expect, test } from "vitest";
import type { Claim, ExitRecord } from "../../../../adapters/runtime/process/records.ts";
import {
  claimOf,
  exitCodeOf,
  isKept,
  lostOutcome,
  orderOf,
  outcomeOf,
  refusalOf,
  statusOf,
} from "../../../../adapters/runtime/process/spec.ts";
import type { Launch } from "../../../../engine/ports/runtime.ts";
import { launch, sleeper } from "./lab.ts";

const home = { directory: "/attempts", path: "/bin" };
const orderFor = (one: Launch) =>
  orderOf(one, { ...claimOf(one, "home"), token: "t", claimant: { pid: 1, born: "x" } }, home);
const startedAt = "2026-01-01T00:00:00.000Z";
const finishedAt = "2026-01-01T00:00:01.000Z";
const exit: ExitRecord = { exitCode: 0, cancelled: false, failure: null, startedAt, finishedAt };
const failure = { category: "TIMEOUT", message: "late", providerCode: null } as const;

describe("the order", () => {
  test("holds the whole launch, and the work directory only when the spec names one", () => {
    const one = launch(sleeper, { env: { A: "1" }, secretValues: ["value-to-mask"], attempt: 2 });
    const order = orderFor(one);
    expect(order).toMatchObject({ env: { A: "1" }, maskValues: ["value-to-mask"], path: "/bin", timeoutSeconds: 3600 });
    expect(order.argv).toEqual([...(one.spec.command ?? []), ...one.spec.args]);
    expect(order.claim).toEqual({
      homeId: "home",
      jobId: one.jobId,
      attempt: 2,
      externalName: one.externalName,
      cleanup: "always",
      token: "t",
      claimant: { pid: 1, born: "x" },
    });
    expect("workdir" in order).toBe(false);
    expect(orderFor({ ...one, spec: { ...one.spec, workdir: "/w" } }).workdir).toBe("/w");
  });
});

describe("the status", () => {
  test("follows the records", () => {
    const started = { leader: { pid: 1, born: "x" }, startedAt };
    expect(statusOf({})).toMatchObject({ phase: "created", startedAt: null });
    expect(statusOf({ started })).toMatchObject({ phase: "running", startedAt, finishedAt: null });
    expect(statusOf({ started, exit })).toEqual({
      phase: "exited",
      exitCode: 0,
      oom: false,
      failure: null,
      startedAt,
      finishedAt,
    });
  });

  test("of one that was lost says whether it had been started", () => {
    const now = new Date(finishedAt);
    expect(lostOutcome(undefined, now)).toMatchObject({ exitCode: null, startedAt: null, finishedAt });
    expect(lostOutcome({ leader: { pid: 1, born: "x" }, startedAt }, now)).toMatchObject({ startedAt, finishedAt });
    expect(lostOutcome(undefined, now).failure?.message).toContain("before it had started");
  });
});

test.each([
  [{ code: 0, signal: null }, 0],
  [{ code: 255, signal: null }, 255],
  [{ code: null, signal: "SIGKILL" }, 137],
  [{ code: null, signal: "SIGTERM" }, 143],
  [{ code: null, signal: "SIGSEGV" }, 139],
] as const)("the exit %j has the code %i", (given, wanted) => {
  expect(exitCodeOf(given)).toBe(wanted);
});

test.each([
  [null, null, null],
  ["cancelled", null, null],
  ["timedOut", "TIMEOUT", null],
  ["stopped", "RUNTIME_UNAVAILABLE", "SUPERVISOR_STOPPED"],
] as const)("brought down by %s it has failed with %s", (cause, category, providerCode) => {
  const found = outcomeOf(cause, orderFor(launch(sleeper)));
  expect(found === null ? null : [found.category, found.providerCode]).toEqual(
    category === null ? null : [category, providerCode],
  );
});

test.each([
  ["ENOENT", 127, "USER_CODE"],
  ["EACCES", 126, "USER_CODE"],
  ["E2BIG", 126, "USER_CODE"],
  ["NO_WORKDIR", 126, "USER_CODE"],
  ["ENOEXEC", 126, "USER_CODE"],
  ["EAGAIN", 126, "RUNTIME_UNAVAILABLE"],
  ["EMFILE", 126, "RUNTIME_UNAVAILABLE"],
])("a start that fails with %s has the code %i and is %s", (code, exitCode, category) => {
  const order = orderFor(launch(sleeper, { spec: { command: ["/opt/tool"], workdir: "/w" } }));
  const found = refusalOf(Object.assign(new Error("x"), { code }), order, (text) => text.toUpperCase());
  expect(found).toMatchObject({ exitCode, failure: { category, providerCode: code } });
  expect(found.failure?.message).toBe(found.failure?.message.toUpperCase());
});

test.each([
  ["never", exit, true],
  ["always", { ...exit, exitCode: 1 }, false],
  ["onSuccess", exit, false],
  ["onSuccess", { ...exit, exitCode: 1 }, true],
  ["onSuccess", { ...exit, failure }, true],
  ["onSuccess", undefined, false],
] as const)("cleanup %s with %j is kept: %s", (cleanup, record, kept) => {
  const claim: Claim = {
    homeId: "home",
    jobId: "job",
    attempt: 1,
    externalName: "x",
    cleanup,
    token: "t",
    claimant: { pid: 1, born: "x" },
  };
  expect(isKept(claim, statusOf(record === undefined ? {} : { exit: record }))).toBe(kept);
});
