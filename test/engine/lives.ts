import type { ArtifactRecord } from "../../engine/artifacts/record.ts";
import { type Decision, decide } from "../../engine/decide.ts";
import { type JobId, mintJobId } from "../../engine/ids.ts";
import type { AttemptExit, JobRecord, Life } from "../../engine/ledger/records.ts";
import type { Occurrence, OccurrenceType, Stage } from "../../engine/occurrences.ts";

export const NOW = Date.parse("2026-03-04T05:06:07.000Z");
export const at = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();

/** A job as `submit` makes it: PENDING, queued, one event. */
export function newJob(patch: Partial<JobRecord> = {}): JobRecord {
  const jobId: JobId = patch.jobId ?? mintJobId(NOW);
  return {
    jobId,
    name: "nightly",
    status: "PENDING",
    phase: "queued",
    attempt: 1,
    maxAttempts: 3,
    runtime: "stub",
    image: null,
    externalRef: null,
    externalName: null,
    createdAt: at(0),
    startedAt: null,
    finishedAt: null,
    exitCode: null,
    error: null,
    labels: { team: "data" },
    lane: "default",
    priority: 0,
    submittedBy: "somebody",
    retryOf: null,
    specHash: "sha256:0",
    cost: null,
    cancelRequestedAt: null,
    lastHeartbeatAt: null,
    version: 1,
    seq: 1,
    generation: 0,
    queueShard: 0,
    slotShard: null,
    concurrencyKey: null,
    parked: false,
    timeoutSeconds: 60,
    stopGraceSeconds: 10,
    cleanup: "always",
    cleanupPending: false,
    retryAt: null,
    ...patch,
  };
}

export const exitOf = (patch: Partial<AttemptExit> = {}): AttemptExit => ({
  exitCode: 0,
  oom: false,
  failure: null,
  finishedAt: at(20),
  ...patch,
});

const artifactOf = (name: string, attempt: number): ArtifactRecord => ({
  name,
  path: `/${name}`,
  sizeBytes: 3,
  sha256: "0".repeat(64),
  contentType: "text/csv",
  encoding: null,
  storedAt: at(21),
  attempt,
  contentBytes: 3,
});

/** One ordinary occurrence of each type, of the given attempt. */
export function occurrences(attempt = 1): { [T in OccurrenceType]: Extract<Occurrence, { type: T }> } {
  return {
    ADMIT: { type: "ADMIT", attempt, slotShard: 2 },
    DISPATCH: { type: "DISPATCH", attempt, token: `token-${attempt}`, externalName: `name-a${attempt}`, logBase: 0 },
    PULL: { type: "PULL", attempt, data: { image: "alpine:3.20" } },
    CREATE: { type: "CREATE", attempt, data: {} },
    START: { type: "START", attempt, externalRef: `ref-${attempt}`, startedAt: at(10 * attempt) },
    STOP: { type: "STOP", attempt, reason: "timeout" },
    EXIT: { type: "EXIT", attempt, exit: exitOf(), startedAt: at(10 * attempt), externalRef: `ref-${attempt}` },
    KEEP: { type: "KEEP", attempt, artifacts: [artifactOf("out/a.csv", attempt), artifactOf("out/b.csv", attempt)] },
    FINISH: {
      type: "FINISH",
      attempt,
      outcome: { status: "SUCCEEDED", error: null },
      logs: { lines: 3, bytes: 30, truncated: false },
      cost: { amountUsd: 0, basis: "local" },
      retry: null,
    },
    CLEAN: { type: "CLEAN", attempt },
    REQUEUE: { type: "REQUEUE", attempt, queueShard: 1 },
    DEFER: { type: "DEFER", attempt, generation: 0, queueShard: 1, reason: "stub: away", refused: false },
    RELAUNCH: { type: "RELAUNCH", attempt, generation: 0, reason: "the execution was lost" },
    ORPHAN: { type: "ORPHAN", attempt, externalName: `stray-a${attempt}`, externalRef: `stray-${attempt}` },
    CANCEL: { type: "CANCEL", by: "an operator" },
  };
}

/** What `attempt` FINISH with another try looks like. */
export const finishForRetry = (attempt: number, delaySeconds = 5): Extract<Occurrence, { type: "FINISH" }> => ({
  ...occurrences(attempt).FINISH,
  outcome: {
    status: "FAILED",
    error: { category: "UNKNOWN", message: "no", retryable: true, providerCode: null, exitCode: 7 },
  },
  retry: { delaySeconds },
});

/** What leads from a new job to each stage. */
const WAY: Record<Stage, readonly OccurrenceType[]> = {
  queued: [],
  admitted: ["ADMIT"],
  validating: ["ADMIT", "DISPATCH"],
  pulling: ["ADMIT", "DISPATCH", "PULL"],
  creating: ["ADMIT", "DISPATCH", "PULL", "CREATE"],
  running: ["ADMIT", "DISPATCH", "PULL", "CREATE", "START"],
  collecting: ["ADMIT", "DISPATCH", "PULL", "CREATE", "START", "EXIT"],
  retrying: ["ADMIT", "DISPATCH", "PULL", "CREATE", "START", "EXIT", "FINISH"],
  terminal: ["ADMIT", "DISPATCH", "PULL", "CREATE", "START", "EXIT", "FINISH"],
};
export const STAGES = Object.keys(WAY) as Stage[];

/** A job at a stage of its first attempt, having come there in the ordinary way. */
export function lifeAt(stage: Stage, patch: Partial<JobRecord> = {}): Life {
  const happened = WAY[stage].map((type) =>
    type === "FINISH" && stage === "retrying" ? finishForRetry(1) : occurrences()[type],
  );
  return happened.reduce<Life>((life, one) => decide(life, one, NOW).life, { job: newJob(patch), attempt: null });
}

/** Decides one occurrence after the other, from frozen input; gives the decision of them all. */
export function decideInTurn(life: Life, happened: Occurrence[], nowMs = NOW): Decision {
  return happened.reduce<Decision>(
    (all, one) => {
      const next = decide(deepFreeze(all.life), deepFreeze(one), nowMs);
      return {
        life: next.life,
        events: [...all.events, ...next.events],
        effects: [...all.effects, ...next.effects],
        changed: all.changed || next.changed,
      };
    },
    { life, events: [], effects: [], changed: false },
  );
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
