import { describe, expect, test } from "vitest";
import { decide, type Effect } from "../../engine/decide.ts";
import { jobError } from "../../engine/errors.ts";
import type { AttemptRecord, Life } from "../../engine/ledger/records.ts";
import { type Occurrence, type OccurrenceType, type Stage, stageOf } from "../../engine/occurrences.ts";
import type { EventType, TerminalStatus } from "../../engine/states.ts";
import {
  at,
  decideInTurn,
  deepFreeze,
  exitOf,
  finishForRetry,
  lifeAt,
  NOW,
  newJob,
  occurrences,
  STAGES,
} from "./lives.ts";

/** The stage after it, its events and its effects; or that nothing happens (with these effects); or that it is refused. */
type Expected = { to: Stage; events: EventType[]; effects: Effect[] } | { ignored: Effect[] } | "refused";
const to = (stage: Stage, events: EventType[] = [], effects: Effect[] = []): Expected => ({
  to: stage,
  events,
  effects,
});
const ignored: Expected = { ignored: [] };
const endsToken: Expected = { ignored: ["complete-token"] };
const refused: Expected = "refused";

const exits = to("collecting", ["EXITED"], ["complete-token"]);
const asksToStop = (stage: Stage) => to(stage, ["CANCEL_REQUESTED"], ["stop-resource"]);
const cancelsAtOnce = to("terminal", ["CANCEL_REQUESTED", "CANCELLED"]);
const defers = to("queued", ["RECONCILED"]);
const announces = (stage: Stage) => to(stage, ["ORPHAN_DETECTED"]);
const relaunches = (stage: Stage) => to(stage, ["RECONCILED"], ["start-execution"]);

/** While an attempt is being launched: what is the same at each of these stages. */
const launching = (stage: Stage) => ({
  ADMIT: ignored,
  DISPATCH: to(stage),
  PULL: ignored,
  CREATE: ignored,
  START: to("running", ["STARTED"]),
  STOP: to(stage, [], ["stop-resource"]),
  EXIT: exits,
  KEEP: refused,
  FINISH: refused,
  CLEAN: refused,
  REQUEUE: refused,
  DEFER: defers,
  RELAUNCH: relaunches(stage),
  ORPHAN: announces(stage),
  CANCEL: asksToStop(stage),
});

const TABLE: Record<Stage, Record<OccurrenceType, Expected>> = {
  queued: {
    ORPHAN: announces("queued"),
    ADMIT: to("admitted", ["ADMITTED"], ["start-execution"]),
    DISPATCH: refused,
    PULL: refused,
    CREATE: refused,
    START: refused,
    STOP: refused,
    EXIT: refused,
    KEEP: refused,
    FINISH: refused,
    CLEAN: ignored,
    REQUEUE: ignored,
    DEFER: ignored,
    RELAUNCH: ignored,
    CANCEL: cancelsAtOnce,
  },
  admitted: {
    ORPHAN: announces("admitted"),
    ADMIT: ignored,
    DISPATCH: to("validating", ["VALIDATED"]),
    PULL: refused,
    CREATE: refused,
    START: refused,
    // There is no attempt yet that could keep the reason.
    STOP: { ignored: ["stop-resource"] },
    EXIT: exits,
    KEEP: refused,
    FINISH: refused,
    CLEAN: refused,
    REQUEUE: refused,
    DEFER: refused,
    RELAUNCH: relaunches("admitted"),
    CANCEL: asksToStop("admitted"),
  },
  validating: {
    ...launching("validating"),
    PULL: to("pulling", ["IMAGE_PULLING"]),
    CREATE: to("creating", ["CONTAINER_CREATING"]),
  },
  pulling: { ...launching("pulling"), CREATE: to("creating", ["CONTAINER_CREATING"]) },
  creating: launching("creating"),
  running: { ...launching("running"), START: ignored, DEFER: ignored },
  collecting: {
    ORPHAN: announces("collecting"),
    ADMIT: ignored,
    DISPATCH: to("collecting", [], ["complete-token"]),
    PULL: ignored,
    CREATE: ignored,
    START: ignored,
    STOP: ignored,
    EXIT: ignored,
    KEEP: to("collecting", ["ARTIFACT_READY", "ARTIFACT_READY"]),
    FINISH: to("terminal", ["LOGS_COLLECTED", "COST_RECORDED", "SUCCEEDED"]),
    CLEAN: refused,
    REQUEUE: refused,
    DEFER: ignored,
    RELAUNCH: relaunches("collecting"),
    CANCEL: asksToStop("collecting"),
  },
  retrying: {
    ORPHAN: announces("retrying"),
    ADMIT: ignored,
    DISPATCH: endsToken,
    PULL: ignored,
    CREATE: ignored,
    START: ignored,
    STOP: ignored,
    EXIT: ignored,
    KEEP: ignored,
    FINISH: ignored,
    CLEAN: to("retrying", ["CLEANED_UP"]),
    // The resource of the attempt is still there.
    REQUEUE: refused,
    DEFER: ignored,
    RELAUNCH: ignored,
    CANCEL: cancelsAtOnce,
  },
  terminal: {
    ORPHAN: announces("terminal"),
    ADMIT: ignored,
    DISPATCH: endsToken,
    PULL: ignored,
    CREATE: ignored,
    START: ignored,
    STOP: ignored,
    EXIT: ignored,
    KEEP: ignored,
    FINISH: ignored,
    CLEAN: to("terminal", ["CLEANED_UP"]),
    REQUEUE: ignored,
    DEFER: ignored,
    RELAUNCH: ignored,
    CANCEL: refused,
  },
};
const TYPES = Object.keys(TABLE.queued) as OccurrenceType[];
const conflict = expect.objectContaining({ name: "LongshoreError", code: "CONFLICT" });

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe.each(STAGES)("a job that is %s", (stage) => {
  test("is there by the ordinary way", () => {
    expect(stageOf(lifeAt(stage).job)).toBe(stage);
  });

  test.each(TYPES)("takes %s as the table says", (type) => {
    const life = deepFreeze(lifeAt(stage));
    const before = structuredClone(life);
    const occurrence = deepFreeze(occurrences()[type]);
    const expected = TABLE[stage][type];
    if (expected === "refused") {
      expect(thrownBy(() => decide(life, occurrence, NOW))).toEqual(conflict);
    } else {
      const decision = decide(life, occurrence, NOW);
      const events = decision.events.map((event) => event.type);
      if ("ignored" in expected) {
        expect({ ...decision, effects: decision.effects }).toEqual({
          life: before,
          events: [],
          effects: expected.ignored,
          changed: false,
        });
        // Not a copy: whoever compares by identity sees that nothing is to be written.
        expect(decision.life.job).toBe(life.job);
        expect(decision.life.attempt).toBe(life.attempt);
      } else {
        expect({ to: stageOf(decision.life.job), events, effects: decision.effects }).toEqual(expected);
        const { seq, version } = before.job;
        expect(decision.changed).toBe(true);
        expect(decision.life.job.version).toBe(version + 1);
        expect(decision.life.job.lastHeartbeatAt).toBe(at(0));
        expect(decision.life.job.seq).toBe(seq + events.length);
        expect(decision.events.map((event) => event.seq)).toEqual(events.map((_, n) => seq + 1 + n));
        expect(decision.events.every((event) => event.at === at(0) && event.jobId === before.job.jobId)).toBe(true);
      }
    }
    expect(life).toEqual(before);
  });

  test.each(TYPES.filter((type) => type !== "CANCEL" && type !== "ORPHAN"))("ignores %s of another attempt", (type) => {
    // One attempt further, so that both an older and a younger attempt than the current one exist.
    const life = lifeAt(stage, { attempt: 1 });
    const shifted: Life = deepFreeze({ job: { ...life.job, attempt: 2 }, attempt: null });
    for (const other of [1, 3]) {
      const decision = decide(shifted, occurrences(other)[type], NOW);
      expect(decision.changed).toBe(false);
      expect(decision.life).toEqual(shifted);
      expect(decision.events).toEqual([]);
      // Whoever waits with a token for an attempt that is over must not wait for ever.
      expect(decision.effects).toEqual(type === "DISPATCH" ? ["complete-token"] : []);
    }
  });

  // What the reconciler tells is told once per finding, and files are kept once by their own items, which may not be there
  // before; the others are deliveries, which may come again.
  const delivered = TYPES.filter(
    (type) => TABLE[stage][type] !== "refused" && !["RELAUNCH", "ORPHAN", "KEEP"].includes(type),
  );
  test.each(delivered)("is not moved twice by %s", (type) => {
    const { life } = decide(lifeAt(stage), occurrences()[type], NOW);
    const again = () => decide(life, occurrences()[type], NOW);
    if (TABLE[stageOf(life.job)][type] === "refused") {
      expect(thrownBy(again)).toEqual(conflict);
      return;
    }
    expect(again().events).toEqual([]);
    expect(stageOf(again().life.job)).toBe(stageOf(life.job));
  });
});

describe("an orphan", () => {
  test.each(STAGES)("of any attempt is told and moves nothing of a job that is %s", (stage) => {
    const before = deepFreeze(lifeAt(stage));
    for (const attempt of [1, 2]) {
      const { life, events, effects } = decide(before, occurrences(attempt).ORPHAN, NOW);
      const { seq, version } = before.job;
      expect(life).toEqual({
        ...before,
        job: { ...before.job, seq: seq + 1, version: version + 1, lastHeartbeatAt: at(0) },
      });
      expect(events.map(({ type, data }) => ({ type, data }))).toEqual([
        {
          type: "ORPHAN_DETECTED",
          data: { attempt, externalName: `stray-a${attempt}`, externalRef: `stray-${attempt}` },
        },
      ]);
      expect(effects).toEqual([]);
    }
  });
});

describe("one attempt", () => {
  const ordinary = ["ADMIT", "DISPATCH", "PULL", "CREATE", "START", "EXIT", "FINISH", "CLEAN"] as const;

  test("goes its ordinary way with an event at each step and nothing between", () => {
    const job = newJob();
    const decision = decideInTurn(
      { job, attempt: null },
      ordinary.map((type) => occurrences()[type]),
    );
    expect(decision.events.map(({ seq, type, status, phase }) => [seq, type, status, phase])).toEqual([
      [2, "ADMITTED", "PENDING", "queued"],
      [3, "VALIDATED", "RUNNING", "validating"],
      [4, "IMAGE_PULLING", "RUNNING", "pulling"],
      [5, "CONTAINER_CREATING", "RUNNING", "creating"],
      [6, "STARTED", "RUNNING", "running"],
      [7, "EXITED", "RUNNING", "collecting"],
      [8, "LOGS_COLLECTED", "RUNNING", "collecting"],
      [9, "COST_RECORDED", "RUNNING", "collecting"],
      [10, "SUCCEEDED", "SUCCEEDED", null],
      [11, "CLEANED_UP", "SUCCEEDED", null],
    ]);
    expect(decision.effects).toEqual(["start-execution", "complete-token"]);
    expect(decision.life.job).toEqual({
      ...job,
      status: "SUCCEEDED",
      phase: null,
      queueShard: null,
      slotShard: null,
      externalName: "name-a1",
      externalRef: "ref-1",
      startedAt: at(10),
      finishedAt: at(20),
      exitCode: 0,
      cost: { amountUsd: 0, basis: "local" },
      cleanupPending: false,
      lastHeartbeatAt: at(0),
      seq: 11,
      version: 9,
    });
    expect(decision.life.attempt).toEqual<AttemptRecord>({
      attempt: 1,
      runtime: "stub",
      externalName: "name-a1",
      externalRef: "ref-1",
      token: null,
      dispatchedAt: at(0),
      startedAt: at(10),
      deadlineAt: at(70),
      stop: null,
      exit: exitOf(),
      error: null,
      finishedAt: at(20),
      logBase: 0,
      logLines: 3,
    });
  });

  test("ends the same however often each step is told", () => {
    const once = ordinary.map((type) => occurrences()[type]);
    const often = once.flatMap((one, n) => [one, ...once.slice(0, n + 1).filter(({ type }) => type !== "DISPATCH")]);
    const job = newJob();
    const legal = (life: Life, one: Occurrence) => TABLE[stageOf(life.job)][one.type] !== "refused";
    let life: Life = { job, attempt: null };
    const events: string[] = [];
    for (const one of often) {
      if (!legal(life, one)) continue;
      const next = decide(life, one, NOW);
      life = next.life;
      events.push(...next.events.map((event) => event.type));
    }
    const plain = decideInTurn({ job, attempt: null }, once);
    expect(events).toEqual(plain.events.map((event) => event.type));
    expect(life).toEqual(plain.life);
  });

  test("that ended before its start was known keeps what the exit tells", () => {
    const { life, events } = decideInTurn(lifeAt("creating"), [occurrences().EXIT, occurrences().START]);
    expect(events.map((event) => event.type)).toEqual(["EXITED"]);
    expect(life.job).toMatchObject({ phase: "collecting", startedAt: at(10), externalRef: "ref-1" });
    expect(life.attempt).toMatchObject({ startedAt: at(10), externalRef: "ref-1", exit: exitOf() });
  });

  test("that never started has no start", () => {
    const failed = exitOf({
      exitCode: null,
      failure: { category: "IMAGE_PULL", message: "no", providerCode: "500" },
    });
    const never: Occurrence = { type: "EXIT", attempt: 1, exit: failed, startedAt: null, externalRef: null };
    const { life, events } = decideInTurn(lifeAt("pulling"), [never]);
    expect(events[0]?.data).toEqual({ exitCode: null, oom: false, failure: "IMAGE_PULL" });
    expect(life.job).toMatchObject({ startedAt: null, externalRef: null, slotShard: 2 });
    expect(life.attempt).toMatchObject({ startedAt: null, deadlineAt: null, exit: failed });
  });

  test("whose execution gave up before it dispatched is on record all the same", () => {
    const never: Occurrence = { type: "EXIT", attempt: 1, exit: exitOf(), startedAt: null, externalRef: null };
    const { life } = decideInTurn(lifeAt("admitted"), [never]);
    expect(life.job).toMatchObject({ status: "RUNNING", phase: "collecting", slotShard: 2 });
    expect(life.attempt).toMatchObject({ attempt: 1, externalRef: null, token: null, exit: exitOf() });
  });

  test("replaces the token when it is dispatched again, and nothing else of it", () => {
    for (const stage of ["validating", "pulling", "creating", "running"] as const) {
      const before = lifeAt(stage);
      const again = { ...occurrences().DISPATCH, token: "new", externalName: "other", logBase: 99 };
      const { life } = decide(before, again, NOW);
      expect(life.attempt).toEqual({ ...before.attempt, token: "new" });
      expect({ ...life.job, version: 0 }).toEqual({ ...before.job, version: 0, lastHeartbeatAt: at(0) });
    }
  });

  test("keeps the first reason to stop", () => {
    const stop = (reason: "timeout" | "lost"): Occurrence => ({ type: "STOP", attempt: 1, reason });
    const { life, effects } = decideInTurn(lifeAt("running"), [stop("timeout"), stop("lost")]);
    expect(life.attempt?.stop).toBe("timeout");
    // Both want the resource gone; stopping twice does no harm.
    expect(effects).toEqual(["stop-resource", "stop-resource"]);
  });

  test("counts its timeout from its start, not from now", () => {
    const { life } = decide(lifeAt("creating"), occurrences().START, NOW + 5_000);
    expect(life.attempt?.deadlineAt).toBe(at(70));
  });

  test.each([
    ["always", "SUCCEEDED", true, true],
    ["always", "FAILED", true, true],
    ["onSuccess", "SUCCEEDED", true, true],
    ["onSuccess", "FAILED", true, false],
    ["never", "SUCCEEDED", true, false],
    ["never", "FAILED", true, false],
    // Nothing was started that somebody could want to look at.
    ["never", "FAILED", false, true],
    ["onSuccess", "FAILED", false, true],
  ] as const)(
    "with cleanup %s that ended %s (started: %s) is to be cleaned up: %s",
    (...[cleanup, status, started, expected]) => {
      const exit = { ...occurrences().EXIT, ...(started ? {} : { startedAt: null, externalRef: null }) };
      const finish = { ...occurrences().FINISH, outcome: { status, error: null } };
      const { life } = decideInTurn(lifeAt(started ? "running" : "validating", { cleanup }), [exit, finish]);
      expect(life.job.cleanupPending).toBe(expected);
    },
  );
});

describe("a job that failed for good", () => {
  const error = jobError("USER_CODE", "no", { exitCode: 3 });
  const finish = (status: TerminalStatus): Occurrence => ({
    ...occurrences().FINISH,
    outcome: { status, error: status === "FAILED" || status === "TIMED_OUT" ? error : null },
  });

  test.each(["FAILED", "TIMED_OUT"] as const)("as %s is dead-lettered directly before it ends", (status) => {
    const { events, life } = decide(lifeAt("collecting"), finish(status), NOW);
    expect(events.map((event) => [event.type, event.status, event.phase])).toEqual([
      ["LOGS_COLLECTED", "RUNNING", "collecting"],
      ["COST_RECORDED", "RUNNING", "collecting"],
      // A follower goes on until the job has ended: that is what the next one says.
      ["DEAD_LETTERED", "RUNNING", "collecting"],
      [status, status, null],
    ]);
    const deadLetterId = life.job.jobId.replace("job_", "dl_");
    expect(events.find(({ type }) => type === "DEAD_LETTERED")?.data).toEqual({ deadLetterId, attempts: 1, error });
  });

  test.each(["SUCCEEDED", "CANCELLED"] as const)("is not one that %s", (status) => {
    const { events } = decide(lifeAt("collecting"), finish(status), NOW);
    expect(events.map(({ type }) => type)).toEqual(["LOGS_COLLECTED", "COST_RECORDED", status]);
  });

  test("is not one that gets another attempt, nor one that is cancelled before it", () => {
    const { events } = decideInTurn(lifeAt("collecting"), [finishForRetry(1), occurrences().CANCEL]);
    expect(events.map(({ type }) => type)).not.toContain("DEAD_LETTERED");
    expect(events.at(-1)?.type).toBe("CANCELLED");
  });
});

describe("a cancel", () => {
  test.each(["admitted", "validating", "pulling", "creating", "running", "collecting"] as const)(
    "of a job that is %s stops it and asks only once",
    (stage) => {
      const before = lifeAt(stage);
      const { life, events, effects } = decideInTurn(before, [occurrences().CANCEL, occurrences().CANCEL]);
      expect(events.map(({ type, data }) => [type, data])).toEqual([["CANCEL_REQUESTED", { by: "an operator" }]]);
      expect(effects).toEqual(["stop-resource", "stop-resource"]);
      expect(life.job).toMatchObject({ status: before.job.status, slotShard: 2, cancelRequestedAt: at(0) });
    },
  );

  test("of a queued job gives its place back and never had a slot", () => {
    const { life } = decide(lifeAt("queued"), occurrences().CANCEL, NOW);
    expect(life.job).toMatchObject({ status: "CANCELLED", phase: null, queueShard: null, slotShard: null });
    expect(life.job).toMatchObject({ finishedAt: at(0), error: null, exitCode: null });
  });

  test("between two attempts ends the job without the next one, and the resource is still cleaned up", () => {
    const cancelled = decide(lifeAt("retrying"), occurrences().CANCEL, NOW).life;
    expect(cancelled.job).toMatchObject({ status: "CANCELLED", retryAt: null, error: null, cleanupPending: true });
    expect(decide(cancelled, occurrences().REQUEUE, NOW).changed).toBe(false);
    const { life, events } = decide(cancelled, occurrences().CLEAN, NOW);
    expect(events.map((event) => event.type)).toEqual(["CLEANED_UP"]);
    expect(life.job).toMatchObject({ status: "CANCELLED", cleanupPending: false });
  });

  test("that came before the start stops what is started all the same", () => {
    const { effects, life } = decideInTurn(lifeAt("creating"), [occurrences().CANCEL, occurrences().START]);
    expect(effects).toEqual(["stop-resource", "stop-resource"]);
    expect(life.job.phase).toBe("running");
  });
});

describe("three attempts", () => {
  const attemptWay = (attempt: number, last: Occurrence): Occurrence[] => {
    const { ADMIT, DISPATCH, START, EXIT } = occurrences(attempt);
    return [ADMIT, DISPATCH, START, EXIT, last];
  };
  const between = (attempt: number): Occurrence[] => [occurrences(attempt).CLEAN, occurrences(attempt).REQUEUE];

  test("are numbered through, without gaps and with a fresh start each", () => {
    const { life, events } = decideInTurn({ job: newJob(), attempt: null }, [
      ...attemptWay(1, finishForRetry(1)),
      ...between(1),
      ...attemptWay(2, finishForRetry(2)),
      ...between(2),
      ...attemptWay(3, occurrences(3).FINISH),
      occurrences(3).CLEAN,
    ]);
    expect(events.map((event) => event.seq)).toEqual(events.map((_, n) => n + 2));
    expect(events.map(({ attempt, type }) => `${attempt} ${type}`)).toEqual(
      [1, 2, 3].flatMap((attempt) =>
        ["ADMITTED", "VALIDATED", "STARTED", "EXITED", "LOGS_COLLECTED", "COST_RECORDED"]
          .concat(attempt < 3 ? ["RETRY_SCHEDULED"] : ["SUCCEEDED"], ["CLEANED_UP"])
          .map((type) => `${attempt} ${type}`),
      ),
    );
    expect(life.job).toMatchObject({ status: "SUCCEEDED", attempt: 3, error: null, startedAt: at(10) });
    expect(life.attempt).toMatchObject({ attempt: 3, externalRef: "ref-3", externalName: "name-a3" });
  });

  test("free the slot between them and wait in the queue again", () => {
    const retrying = lifeAt("retrying").job;
    expect(retrying).toMatchObject({ slotShard: null, queueShard: null, phase: "cleaning", cleanupPending: true });
    expect(retrying).toMatchObject({ retryAt: at(5), finishedAt: null, exitCode: 0 });
    const { life } = decideInTurn(lifeAt("retrying"), between(1));
    expect(life.job).toMatchObject({ status: "PENDING", phase: "queued", attempt: 2, generation: 0, queueShard: 1 });
    expect(life.job).toMatchObject({ retryAt: null, externalRef: null, externalName: null, slotShard: null });
  });

  test("ignore news of the attempt before", () => {
    const second = decideInTurn(lifeAt("retrying"), [...between(1), occurrences(2).ADMIT, occurrences(2).DISPATCH]);
    const late = occurrences(1);
    const { changed, effects } = decideInTurn(second.life, [
      late.START,
      late.EXIT,
      late.FINISH,
      late.CLEAN,
      late.REQUEUE,
    ]);
    expect(changed).toBe(false);
    expect(effects).toEqual([]);
  });

  test("an execution that is relaunched gets a new name each time, and starts anew with the next attempt", () => {
    const { RELAUNCH } = occurrences();
    const { life, effects } = decideInTurn(lifeAt("running"), [RELAUNCH, { ...RELAUNCH, generation: 1 }]);
    expect(life.job.generation).toBe(2);
    expect(effects).toEqual(["start-execution", "start-execution"]);
    const { EXIT } = occurrences();
    const next = decideInTurn(life, [EXIT, finishForRetry(1), ...between(1)]);
    expect(next.life.job).toMatchObject({ attempt: 2, generation: 0 });
  });

  test("an execution that two reconcilers miss is relaunched once", () => {
    const { RELAUNCH } = occurrences();
    const { life, effects } = decideInTurn(lifeAt("running"), [RELAUNCH, RELAUNCH]);
    expect(life.job.generation).toBe(1);
    expect(effects).toEqual(["start-execution"]);
  });
});

describe("a launch that is deferred", () => {
  const { DEFER } = occurrences();
  const deferred = (patch: Partial<Extract<Occurrence, { type: "DEFER" }>> = {}) =>
    decide(lifeAt("creating"), { ...DEFER, ...patch }, NOW);

  test("waits with the same attempt for another execution, and holds nothing", () => {
    const before = lifeAt("creating");
    const { life, events, effects } = decide(deepFreeze(before), DEFER, NOW);
    expect(life.job).toEqual({
      ...before.job,
      status: "PENDING",
      phase: "queued",
      generation: 1,
      queueShard: 1,
      slotShard: null,
      refusals: 0,
      seq: before.job.seq + 1,
      version: before.job.version + 1,
    });
    // Its name stays: something that was never started may be there under it.
    expect(life.job.externalName).toBe("name-a1");
    expect(life.attempt).toEqual({ ...before.attempt, token: null });
    expect(effects).toEqual([]);
    expect(events).toMatchObject([
      {
        type: "RECONCILED",
        status: "PENDING",
        phase: "queued",
        data: { reason: "stub: away", deferred: true, generation: 1 },
      },
    ]);
  });

  test("is not deferred by an execution that was overtaken", () => {
    const again = decideInTurn(deferred().life, [occurrences().ADMIT, occurrences().DISPATCH]);
    expect(stageOf(again.life.job)).toBe("validating");
    expect(decide(again.life, DEFER, NOW).changed).toBe(false);
    expect(stageOf(decide(again.life, { ...DEFER, generation: 1 }, NOW).life.job)).toBe("queued");
  });

  test("counts how often it was refused in a row", () => {
    const again = (life: Life, refused: boolean) => {
      const launched = decideInTurn(life, [occurrences().ADMIT, occurrences().DISPATCH]).life;
      return decide(launched, { ...DEFER, generation: launched.job.generation, refused }, NOW).life;
    };
    const once = deferred({ refused: true }).life;
    expect([once.job.refusals, again(once, true).job.refusals, again(once, false).job.refusals]).toEqual([1, 2, 0]);
  });

  test("is dispatched first when it comes again, and not when that dispatch is repeated", () => {
    const dispatchedAt = (life: Life, seconds: number) =>
      decide(life, occurrences().DISPATCH, Date.parse(at(seconds))).life;
    const again = dispatchedAt(decide(deferred().life, occurrences().ADMIT, NOW).life, 3600);
    expect(again.attempt).toMatchObject({ token: "token-1", dispatchedAt: at(3600) });
    expect(dispatchedAt(again, 7200).attempt).toMatchObject({ dispatchedAt: at(3600) });
  });

  test("goes on in its next execution as if it were the first", () => {
    const rest = ["ADMIT", "DISPATCH", "PULL", "CREATE", "START", "EXIT", "FINISH", "CLEAN"] as const;
    const { life } = decideInTurn(
      deferred().life,
      rest.map((type) => occurrences()[type]),
    );
    expect(life.job).toMatchObject({ status: "SUCCEEDED", attempt: 1, generation: 1, cleanupPending: false });
  });

  test("and then cancelled is over at once; what it may have left is yet to be removed", () => {
    const { life, events } = decideInTurn(deferred().life, [occurrences().CANCEL]);
    expect(events.map(({ type }) => type)).toEqual(["CANCEL_REQUESTED", "CANCELLED"]);
    expect(life.job).toMatchObject({ status: "CANCELLED", queueShard: null, cleanupPending: true });
    const plain = decideInTurn(lifeAt("queued"), [occurrences().CANCEL]);
    expect(plain.life.job).toMatchObject({ status: "CANCELLED", cleanupPending: false });
  });

  test.each(["CANCEL", "STOP"] as const)("after a %s is not: it has to end", (type) => {
    const { life } = decide(lifeAt("creating"), occurrences()[type], NOW);
    const decision = decide(deepFreeze(life), DEFER, NOW);
    expect(decision).toMatchObject({ changed: false, events: [], effects: ["stop-resource"] });
  });
});

test("a job with a status and phase that cannot be is refused, not guessed", () => {
  const job = newJob({ status: "RUNNING", phase: "queued" });
  expect(() => decide({ job, attempt: null }, occurrences().EXIT, NOW)).toThrow("cannot be in phase queued");
});
