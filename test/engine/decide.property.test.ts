import fc from "fast-check";
import { expect, test } from "vitest";
import { type Decision, decide } from "../../engine/decide.ts";
import { LongshoreError } from "../../engine/errors.ts";
import type { AttemptExit, EventRecord, JobRecord, Life } from "../../engine/ledger/records.ts";
import { type Occurrence, type OccurrenceType, type Stage, stageOf } from "../../engine/occurrences.ts";
import { judge } from "../../engine/outcome.ts";
import { isDeadLettered, isTerminal, phaseOrder, TERMINAL_STATUSES } from "../../engine/states.ts";
import { at, deepFreeze, exitOf, NOW, newJob, occurrences } from "./lives.ts";

/** Something that may happen: what comes next in an ordinary life, or anything, to the current attempt or beside it. */
interface Happening {
  type: OccurrenceType | "NEXT";
  attemptOffset: -1 | 0 | 1;
  exit: AttemptExit;
  stop: "timeout" | "lost";
  retries: boolean;
}

const TYPES = Object.keys(occurrences()) as OccurrenceType[];
const NEXT: Record<Stage, OccurrenceType> = {
  queued: "ADMIT",
  admitted: "DISPATCH",
  validating: "PULL",
  pulling: "CREATE",
  creating: "START",
  running: "EXIT",
  collecting: "FINISH",
  retrying: "CLEAN",
  terminal: "CLEAN",
};

const exits = fc.constantFrom<AttemptExit>(
  exitOf(),
  exitOf({ exitCode: 3 }),
  exitOf({ exitCode: 137, oom: true }),
  exitOf({ exitCode: 143, finishedAt: at(80) }),
  exitOf({ exitCode: 0, finishedAt: at(90) }),
  exitOf({ exitCode: null, failure: { category: "IMAGE_PULL", message: "no", providerCode: null } }),
);
/** The ordinary next step is the likeliest, so that lives go far; everything else may come at any time. */
const happening = fc.record<Happening>({
  type: fc.oneof(
    { weight: 6, arbitrary: fc.constant("NEXT" as const) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(...TYPES.filter((type) => type !== "CANCEL"), "STOP" as const, "STOP" as const),
    },
    { weight: 1, arbitrary: fc.constantFrom("CANCEL" as const, "NEXT" as const, "NEXT" as const) },
  ),
  attemptOffset: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(-1, 1) },
  ) as fc.Arbitrary<-1 | 0 | 1>,
  exit: exits,
  stop: fc.constantFrom("timeout", "timeout", "lost"),
  retries: fc.boolean(),
});

/** The occurrence as its caller would make it: the outcome is judged from the record, and a cancelled job not retried. */
function occurrenceOf({ job, attempt }: Life, { type, attemptOffset, exit, stop, retries }: Happening): Occurrence {
  const next = job.status === "RETRYING" && !job.cleanupPending ? "REQUEUE" : NEXT[stageOf(job)];
  const plain = occurrences(job.attempt + attemptOffset)[type === "NEXT" ? next : type];
  if (plain.type === "EXIT") return { ...plain, exit };
  if (plain.type === "STOP") return { ...plain, reason: stop };
  // Of the execution that goes on, or of one that was overtaken.
  if (plain.type === "DEFER")
    return { ...plain, generation: job.generation - (stop === "lost" ? 1 : 0), refused: retries };
  if (plain.type !== "FINISH" || attempt?.exit == null) return plain;
  const outcome = judge(job, attempt, attempt.exit);
  const again = retries && outcome.status === "FAILED" && job.attempt < 3;
  return { ...plain, outcome, retry: again ? { delaySeconds: 1 } : null };
}

/** As the ledger reads it: the record of the current attempt, or none. */
const asRead = ({ job, attempt }: Life): Life => ({ job, attempt: attempt?.attempt === job.attempt ? attempt : null });

function decideOrNull(life: Life, occurrence: Occurrence, nowMs: number): Decision | null {
  try {
    return decide(life, occurrence, nowMs);
  } catch (error) {
    if (error instanceof LongshoreError && error.code === "CONFLICT") return null;
    throw error;
  }
}

const isTerminalEvent = ({ type }: EventRecord) => (TERMINAL_STATUSES as readonly string[]).includes(type);

function holdsByItself({ job, attempt }: Life): void {
  const stage = stageOf(job);
  const underWay = !["queued", "retrying", "terminal"].includes(stage);
  expect(job.slotShard !== null, `a slot while ${stage}`).toBe(underWay);
  expect(job.queueShard !== null, `a place in the queue while ${stage}`).toBe(stage === "queued");
  expect(job.retryAt !== null, `a due time while ${stage}`).toBe(stage === "retrying");
  expect(job.finishedAt !== null, `finished while ${stage}`).toBe(stage === "terminal");
  if (stage === "queued") expect(job.cancelRequestedAt).toBeNull();
  if (job.cleanupPending) expect(["retrying", "terminal"]).toContain(stage);
  if (job.status === "CANCELLED") expect(job.cancelRequestedAt).not.toBeNull();
  else if (stage === "terminal") expect(job.cancelRequestedAt).toBeNull();
  if (job.status === "SUCCEEDED" || job.status === "CANCELLED") expect(job.error).toBeNull();
  if (job.status === "FAILED" || job.status === "TIMED_OUT") expect(job.error).not.toBeNull();
  if (stage === "terminal" && job.attempt === 1 && attempt !== null) expect(attempt.token).toBeNull();
  if (underWay && stage !== "admitted") expect(attempt?.attempt).toBe(job.attempt);
  if (stage === "collecting") expect(attempt?.exit).not.toBeNull();
}

function followsFrom(before: JobRecord, { life: { job }, changed, events }: Decision, nowMs: number): void {
  const now = new Date(nowMs).toISOString();
  expect(job.version).toBe(before.version + (changed ? 1 : 0));
  expect(events.map((event) => event.seq)).toEqual(events.map((_, n) => before.seq + 1 + n));
  expect(job.seq).toBe(before.seq + events.length);
  expect(events.every((event) => event.at === now && event.runtime === before.runtime)).toBe(true);
  if (!changed) expect(job).toBe(before);
  expect(job.attempt === before.attempt || job.attempt === before.attempt + 1).toBe(true);
  if (job.attempt > before.attempt) expect([before.status, before.cleanupPending]).toEqual(["RETRYING", false]);
  if (job.attempt === before.attempt) expect(job.generation).toBeGreaterThanOrEqual(before.generation);
  if (job.attempt === before.attempt && events.some(({ data }) => data.deferred === true)) {
    // Back to the queue for another execution, and never once the command was started.
    expect([stageOf(job), job.generation]).toEqual(["queued", before.generation + 1]);
    expect(["validating", "pulling", "creating"]).toContain(stageOf(before));
  } else if (job.attempt === before.attempt && job.phase !== null && before.phase !== null) {
    expect(phaseOrder(job.phase)).toBeGreaterThanOrEqual(phaseOrder(before.phase));
  }
  if (before.startedAt !== null) expect(job.startedAt).toBe(before.startedAt);
  if (before.cancelRequestedAt !== null) expect(job.cancelRequestedAt).toBe(before.cancelRequestedAt);
  const dead = isTerminal(job.status) && !isTerminal(before.status) && isDeadLettered(job.status);
  const given = events.findIndex(({ type }) => type === "DEAD_LETTERED");
  expect(given).toBe(dead ? events.findIndex(isTerminalEvent) - 1 : -1);
  if (!isTerminal(before.status)) return;
  // What has ended changes in one thing only: that its resource is gone. Of a stray one there is an event, and no more.
  expect({ ...job, cleanupPending: false }).toEqual({
    ...before,
    cleanupPending: false,
    version: job.version,
    seq: job.seq,
    lastHeartbeatAt: job.lastHeartbeatAt,
  });
  const cleaned = before.cleanupPending && !job.cleanupPending;
  expect(events.map(({ type }) => type)).toEqual(changed ? [cleaned ? "CLEANED_UP" : "ORPHAN_DETECTED"] : []);
}

const immutable = ({ jobId, name, createdAt, maxAttempts, labels, specHash, concurrencyKey, cleanup }: JobRecord) => ({
  jobId,
  name,
  createdAt,
  maxAttempts,
  labels,
  specHash,
  concurrencyKey,
  cleanup,
});

test("whatever happens to a job in whatever order, its record stays one that can be", () => {
  const cleanup = fc.constantFrom("always", "onSuccess", "never");
  const ends: Record<string, number> = {};
  fc.assert(
    fc.property(fc.array(happening, { minLength: 15, maxLength: 60, size: "max" }), cleanup, (happenings, policy) => {
      const job = newJob({ cleanup: policy });
      let life: Life = { job, attempt: null };
      const events: EventRecord[] = [];
      for (const [n, one] of happenings.entries()) {
        const nowMs = NOW + n * 1000;
        const before = deepFreeze(asRead(life));
        const decision = decideOrNull(before, deepFreeze(occurrenceOf(before, one)), nowMs);
        if (decision === null) continue;
        holdsByItself(decision.life);
        followsFrom(before.job, decision, nowMs);
        events.push(...decision.events);
        life = decision.life;
      }
      expect(immutable(life.job)).toEqual(immutable(job));
      expect(events.filter(isTerminalEvent).length).toBe(isTerminal(life.job.status) ? 1 : 0);
      ends[life.job.status] = (ends[life.job.status] ?? 0) + 1;
    }),
    { numRuns: 300 },
  );
  // The generator is worth something only if lives end in every way.
  expect(Object.keys(ends)).toEqual(expect.arrayContaining([...TERMINAL_STATUSES]));
});
