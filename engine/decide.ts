import { LongshoreError } from "./errors.ts";
import { deadLetterIdOf } from "./ids.ts";
import type { AttemptRecord, EventRecord, JobRecord, Life } from "./ledger/records.ts";
import { isToEnd, type Occurrence, type Stage, stageOf, TRANSITIONS } from "./occurrences.ts";
import { assertNever, type EventType, isDeadLettered } from "./states.ts";

/** What must be done after the decision is durable. Each may be done twice. */
export type Effect =
  /** Start the execution of the current attempt and generation. */
  | "start-execution"
  /** Stop the attempt's resource; its end will be observed. */
  | "stop-resource"
  /** Complete the attempt's task token: it has ended. */
  | "complete-token";

export interface Decision {
  life: Life;
  events: EventRecord[];
  effects: Effect[];
  /** Whether anything changed; a decision that changed nothing is not committed. */
  changed: boolean;
}

/**
 * The lifecycle, as a pure function: a job with its current attempt, something that happened, and the time (ms since
 * the epoch) give the new job, its new events in order, and what to do next.
 * @throws LongshoreError CONFLICT for what must not happen at this stage.
 */
export function decide(life: Life, occurrence: Occurrence, nowMs: number): Decision {
  const stage = stageOf(life.job);
  const legality = isStale(life.job, occurrence) ? "ignore" : TRANSITIONS[stage][occurrence.type];
  if (legality === "refuse") {
    throw new LongshoreError("CONFLICT", `a job that is ${life.job.status} cannot take ${inWords(occurrence.type)}`);
  }
  const draft = new Draft(life, new Date(nowMs).toISOString());
  if (legality === "ignore") {
    if (occurrence.type === "DISPATCH") draft.effect("complete-token");
    return draft.done();
  }
  apply(draft, stage, occurrence);
  return draft.done();
}

function inWords(type: Occurrence["type"]): string {
  return type === "CANCEL" ? "a cancel" : type;
}

/** An occurrence of another attempt than the current one is late news. */
function isStale(job: JobRecord, occurrence: Occurrence): boolean {
  if (occurrence.type === "CANCEL" || occurrence.type === "ORPHAN") return false;
  // Two reconcilers that miss the same execution must not start two in its place.
  const isOfGeneration = occurrence.type === "DEFER" || occurrence.type === "RELAUNCH";
  if (isOfGeneration && occurrence.generation !== job.generation) return true;
  return occurrence.attempt !== job.attempt;
}

function apply(draft: Draft, stage: Stage, occurrence: Occurrence): void {
  switch (occurrence.type) {
    case "ADMIT":
      draft.setJob({ slotShard: occurrence.slotShard, queueShard: null, parked: false });
      draft.event("ADMITTED", { runtime: draft.job.runtime });
      draft.effect("start-execution");
      return;
    case "DISPATCH":
      return dispatch(draft, stage, occurrence);
    case "PULL":
      draft.setJob({ phase: "pulling" });
      draft.event("IMAGE_PULLING", occurrence.data);
      return;
    case "CREATE":
      draft.setJob({ phase: "creating" });
      draft.event("CONTAINER_CREATING", occurrence.data);
      return;
    case "START":
      return start(draft, occurrence);
    case "STOP":
      if (draft.attempt?.stop) return draft.effect("stop-resource");
      draft.setAttempt({ stop: occurrence.reason });
      draft.effect("stop-resource");
      return;
    case "EXIT":
      return exit(draft, occurrence);
    case "KEEP":
      for (const { storedAt: _, contentBytes: _bytes, attempt: _attempt, ...facts } of occurrence.artifacts) {
        draft.event("ARTIFACT_READY", facts);
      }
      return;
    case "FINISH":
      return finish(draft, occurrence);
    case "CLEAN":
      if (!draft.job.cleanupPending) return;
      draft.setJob({ cleanupPending: false, phase: null });
      draft.event("CLEANED_UP", { attempt: occurrence.attempt });
      return;
    case "REQUEUE":
      return requeue(draft, occurrence);
    case "DEFER":
      return defer(draft, occurrence);
    case "RELAUNCH":
      draft.setJob({ generation: draft.job.generation + 1 });
      draft.event("RECONCILED", { reason: occurrence.reason, generation: draft.job.generation });
      draft.effect("start-execution");
      return;
    case "ORPHAN": {
      const { attempt, externalName, externalRef } = occurrence;
      draft.event("ORPHAN_DETECTED", { attempt, externalName, externalRef });
      return;
    }
    case "CANCEL":
      return cancel(draft, stage, occurrence.by);
    default:
      assertNever(occurrence);
  }
}

function dispatch(draft: Draft, stage: Stage, occurrence: Extract<Occurrence, { type: "DISPATCH" }>): void {
  const { token, externalName, logBase, masked: isMasked } = occurrence;
  if (draft.attempt === null || draft.attempt.attempt !== occurrence.attempt) {
    const masked = isMasked === undefined ? {} : { masked: isMasked };
    draft.startAttempt({ ...newAttempt(draft.job, externalName), token, logBase, dispatchedAt: draft.at, ...masked });
  } else {
    // One that was deferred is handed to its runtime for the first time again: nothing of it was started.
    const isFirst = stage === "admitted" && draft.attempt.token === null;
    const masked = isMasked === true ? { masked: true } : {};
    draft.setAttempt({ token, ...(isFirst ? { dispatchedAt: draft.at } : {}), ...masked });
  }
  if (stage === "collecting") draft.effect("complete-token");
  if (stage !== "admitted") return;
  draft.setJob({
    status: "RUNNING",
    phase: "validating",
    externalName,
    externalRef: null,
    exitCode: null,
    error: null,
  });
  draft.event("VALIDATED", { externalName });
}

function start(draft: Draft, occurrence: Extract<Occurrence, { type: "START" }>): void {
  const { externalRef, startedAt } = occurrence;
  const deadlineAt = new Date(Date.parse(startedAt) + draft.job.timeoutSeconds * 1000).toISOString();
  draft.setAttempt({ externalRef, startedAt, deadlineAt });
  draft.setJob({ phase: "running", externalRef, startedAt: draft.job.startedAt ?? startedAt });
  draft.event("STARTED", { externalRef, startedAt });
  if (draft.job.cancelRequestedAt !== null) draft.effect("stop-resource");
}

function exit(draft: Draft, occurrence: Extract<Occurrence, { type: "EXIT" }>): void {
  const { exit: facts, startedAt, externalRef } = occurrence;
  const attempt = draft.attempt;
  if (attempt !== null && attempt.attempt === occurrence.attempt) {
    draft.setAttempt({
      exit: facts,
      startedAt: startedAt ?? attempt.startedAt,
      externalRef: externalRef ?? attempt.externalRef,
    });
  } else {
    // The execution gave up before it ever dispatched: the attempt is on record all the same.
    draft.startAttempt({
      ...newAttempt(draft.job, draft.job.externalName ?? ""),
      externalRef,
      startedAt,
      exit: facts,
    });
  }
  const begun = startedAt ?? attempt?.startedAt ?? null;
  // The runtime's own time replaces the one that was noted when it answered: else a short job would end before it began.
  const isFirst = draft.job.startedAt === null || draft.job.startedAt === attempt?.startedAt;
  draft.setJob({
    status: "RUNNING",
    phase: "collecting",
    startedAt: isFirst ? begun : draft.job.startedAt,
    externalRef: externalRef ?? draft.job.externalRef,
  });
  draft.event("EXITED", { exitCode: facts.exitCode, oom: facts.oom, failure: facts.failure?.category ?? null });
  draft.effect("complete-token");
}

/** Whether the resource of a job's last attempt stays on purpose: by its policy, and because there is one. */
export function isKept({ cleanup, status }: Pick<JobRecord, "cleanup" | "status">, attempt: AttemptRecord): boolean {
  if (attempt.startedAt === null) return false;
  return cleanup === "never" || (cleanup === "onSuccess" && status !== "SUCCEEDED");
}

function finish(draft: Draft, occurrence: Extract<Occurrence, { type: "FINISH" }>): void {
  const { outcome, logs, logTail, artifacts, cost, retry } = occurrence;
  const ended = draft.attempt?.exit ?? null;
  const finishedAt = ended?.finishedAt ?? draft.at;
  const collected = artifacts === undefined ? {} : { artifacts };
  const tail = logTail === undefined ? {} : { logTail };
  draft.setAttempt({ error: outcome.error, finishedAt, logLines: logs.lines, ...tail, ...collected, token: null });
  const kept = draft.attempt !== null && isKept({ ...draft.job, status: outcome.status }, draft.attempt);
  const cleanupPending = retry !== null || !kept;
  const common = { cost, cleanupPending, slotShard: null, exitCode: ended?.exitCode ?? null, error: outcome.error };
  draft.event("LOGS_COLLECTED", { ...logs, ...collected });
  draft.event("COST_RECORDED", { ...cost });
  if (retry !== null) {
    const retryAt = new Date(Date.parse(draft.at) + retry.delaySeconds * 1000).toISOString();
    draft.setJob({ ...common, status: "RETRYING", phase: "cleaning", retryAt });
    draft.event("RETRY_SCHEDULED", { delaySeconds: retry.delaySeconds, retryAt, error: outcome.error });
  } else {
    if (isDeadLettered(outcome.status)) {
      const { jobId, attempt: attempts } = draft.job;
      draft.event("DEAD_LETTERED", { deadLetterId: deadLetterIdOf(jobId), attempts, error: outcome.error });
    }
    draft.setJob({ ...common, status: outcome.status, phase: null, finishedAt, retryAt: null });
    draft.event(outcome.status, { exitCode: draft.job.exitCode, error: outcome.error });
  }
}

function requeue(draft: Draft, occurrence: Extract<Occurrence, { type: "REQUEUE" }>): void {
  if (draft.job.cleanupPending) {
    throw new LongshoreError("CONFLICT", "the next attempt must wait until the resource of the last one is gone");
  }
  draft.setJob({
    status: "PENDING",
    phase: "queued",
    attempt: draft.job.attempt + 1,
    generation: 0,
    queueShard: occurrence.queueShard,
    retryAt: null,
    externalRef: null,
    externalName: null,
    refusals: 0,
  });
}

function defer(draft: Draft, occurrence: Extract<Occurrence, { type: "DEFER" }>): void {
  const { queueShard, reason, refused, unstarted } = occurrence;
  const { generation, refusals = 0 } = draft.job;
  // What was asked to end does not wait for its turn again.
  if (isToEnd(draft)) return draft.effect("stop-resource");
  if (unstarted !== undefined) draft.setAttempt({ unstarted });
  // Without its token the attempt counts as one that was never handed to the runtime.
  draft.setAttempt({ token: null });
  draft.setJob({
    status: "PENDING",
    phase: "queued",
    generation: generation + 1,
    slotShard: null,
    queueShard,
    refusals: refused ? refusals + 1 : 0,
  });
  draft.event("RECONCILED", { reason, deferred: true, generation: draft.job.generation });
}

function cancel(draft: Draft, stage: Stage, by: string): void {
  if (draft.job.cancelRequestedAt !== null) return draft.effect("stop-resource");
  draft.setJob({ cancelRequestedAt: draft.at });
  draft.event("CANCEL_REQUESTED", { by });
  if (stage !== "queued" && stage !== "retrying") return draft.effect("stop-resource");
  // Nothing of it runs: the record ends at once. A launch that was deferred may have left what was never started.
  const cleanupPending = draft.job.cleanupPending || (stage === "queued" && draft.job.externalName !== null);
  draft.setJob({
    status: "CANCELLED",
    phase: null,
    cleanupPending,
    finishedAt: draft.at,
    queueShard: null,
    parked: false,
    retryAt: null,
    error: null,
  });
  draft.event("CANCELLED", {});
}

function newAttempt({ attempt, runtime }: JobRecord, externalName: string): AttemptRecord {
  return {
    attempt,
    runtime,
    externalName,
    externalRef: null,
    token: null,
    startedAt: null,
    deadlineAt: null,
    stop: null,
    exit: null,
    error: null,
    finishedAt: null,
    logBase: 0,
    logLines: null,
  };
}

/** A decision in the making: it copies, never changes what it was given, and numbers the events. */
class Draft {
  job: JobRecord;
  attempt: AttemptRecord | null;
  readonly at: string;
  #events: EventRecord[] = [];
  #effects: Effect[] = [];
  #changed = false;

  constructor(life: Life, at: string) {
    this.job = life.job;
    this.attempt = life.attempt;
    this.at = at;
  }

  setJob(patch: Partial<JobRecord>): void {
    this.job = { ...this.job, ...patch };
    this.#changed = true;
  }

  startAttempt(attempt: AttemptRecord): void {
    this.attempt = attempt;
    this.#changed = true;
  }

  setAttempt(patch: Partial<AttemptRecord>): void {
    if (this.attempt === null) return;
    this.attempt = { ...this.attempt, ...patch };
    this.#changed = true;
  }

  event(type: EventType, data: object): void {
    const { jobId, attempt, status, phase, seq, runtime, concurrencyKey } = this.job;
    const key = concurrencyKey === null ? {} : { concurrencyKey };
    this.job = { ...this.job, seq: seq + 1 };
    this.#changed = true;
    const event = { jobId, seq: seq + 1, type, at: this.at, attempt, status, phase, runtime, ...key };
    this.#events.push({ ...event, data: { ...data } });
  }

  effect(effect: Effect): void {
    this.#effects.push(effect);
  }

  done(): Decision {
    const job = this.#changed ? { ...this.job, version: this.job.version + 1, lastHeartbeatAt: this.at } : this.job;
    return {
      life: { job, attempt: this.attempt },
      events: this.#events,
      effects: this.#effects,
      changed: this.#changed,
    };
  }
}
