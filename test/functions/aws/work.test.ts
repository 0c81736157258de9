import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CANCELLED, SHUTDOWN } from "../../../engine/abort.ts";
import type { JobId } from "../../../engine/ids.ts";
import { budgetMs, createWork } from "../../../functions/aws/work.ts";
import { silentLogger } from "./silent.ts";

const JOB = "job_A" as JobId;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the work of a Lambda process", () => {
  it("is waited for before the answer, also what it has begun itself", async () => {
    const work = createWork(silentLogger);
    work.begin(60_000);
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const done: string[] = [];
    work.background("first", async () => {
      await gates[0]?.promise;
      done.push("first");
      work.background("second", async () => {
        await gates[1]?.promise;
        done.push("second");
      });
    });
    const settled = work.settled().then(() => done.push("settled"));
    gates[0]?.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(done).toEqual(["first"]);
    gates[1]?.resolve();
    await settled;
    expect(done).toEqual(["first", "second", "settled"]);
  });

  it("is done one at a time under a name, and its failure is nobody else's", async () => {
    const work = createWork(silentLogger);
    work.begin(60_000);
    let runs = 0;
    const failing = async () => {
      runs++;
      throw new Error("lost");
    };
    work.background("same", failing);
    work.background("same", failing);
    await work.settled();
    work.background("same", failing);
    await work.settled();
    expect(runs).toBe(2);
  });

  it("is given up when the time is nearly over, and launches are cut off for the next try", async () => {
    const work = createWork(silentLogger);
    work.begin(60_000);
    const { signal } = work.inflight.begin(JOB, 1);
    work.background("endless", () => new Promise(() => undefined));
    let settled = false;
    const wait = work.settled().then(() => {
      settled = true;
    });
    await vi.advanceTimersByTimeAsync(54_999);
    expect([settled, signal.aborted]).toEqual([false, false]);
    await vi.advanceTimersByTimeAsync(1);
    await wait;
    expect(signal.reason).toBe(SHUTDOWN);
    expect(work.signal().aborted).toBe(true);
  });

  it("has its whole time again with the next invocation", async () => {
    const work = createWork(silentLogger);
    work.begin(10_000);
    await vi.advanceTimersByTimeAsync(10_000);
    work.end();
    work.begin(10_000);
    expect(work.inflight.begin(JOB, 1).signal.aborted).toBe(false);
    work.end();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(work.signal().aborted).toBe(false);
  });

  it("aborts a launch of its own, and says when there is none", () => {
    const work = createWork(silentLogger);
    work.begin(10_000);
    const { signal, end } = work.inflight.begin(JOB, 1);
    expect(work.inflight.isLaunching(JOB)).toBe(true);
    expect(work.inflight.abort(JOB, CANCELLED)).toBe(true);
    expect(signal.reason).toBe(CANCELLED);
    end();
    expect(work.inflight.isLaunching(JOB)).toBe(false);
    expect(work.inflight.abort(JOB, CANCELLED)).toBe(false);
    work.end();
  });

  it("keeps five seconds for the answer, or a fifth of a short time", () => {
    expect(budgetMs(900_000)).toBe(895_000);
    expect(budgetMs(10_000)).toBe(8_000);
  });
});
