import type { ArtifactRecord } from "../artifacts/record.ts";
import { type CircuitRecord, circuitState } from "../circuit.ts";
import type { EngineContext } from "../context.ts";
import { readArtifacts } from "../ledger/artifacts.ts";
import { readCircuit } from "../ledger/circuit.ts";
import { seenAliveAtMs } from "../ledger/looks.ts";
import { keyInUse, readAttempts, readLife, readSpec, slotsInUse } from "../ledger/read.ts";
import type { AttemptRecord, DeadLetterRecord, EventRecord, JobRecord } from "../ledger/records.ts";
import { stageOf } from "../occurrences.ts";
import type { RuntimeAdapter } from "../ports/runtime.ts";

export interface WaitReason {
  code: "QUEUE" | "RUNTIME_CONCURRENCY" | "KEY_CONCURRENCY" | "RUNTIME_UNAVAILABLE" | "BACKOFF" | "DEPENDENCY";
  message: string;
  since: string;
}

/** A job as the API lists it: without spec, attempts and artifacts. */
export async function describeJob(ctx: EngineContext, job: JobRecord) {
  const { startedAt, finishedAt } = job;
  const durationMs = startedAt && finishedAt ? Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt)) : null;
  return {
    jobId: job.jobId,
    name: job.name,
    status: job.status,
    phase: job.phase,
    waitReason: await waitReason(ctx, job),
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    runtime: job.runtime,
    image: job.image,
    externalRef: job.externalRef,
    externalName: job.externalName,
    createdAt: job.createdAt,
    startedAt,
    finishedAt,
    durationMs,
    exitCode: job.exitCode,
    error: job.error,
    labels: job.labels,
    lane: job.lane,
    priority: job.priority,
    submittedBy: job.submittedBy,
    retryOf: job.retryOf,
    specHash: job.specHash,
    cost: job.cost,
    cancelRequestedAt: job.cancelRequestedAt,
    lastHeartbeatAt: await lastHeartbeatAt(ctx, job),
    version: job.version,
  };
}

/** The whole job as `GET /jobs/{id}` shows it. */
export async function describeWholeJob(ctx: EngineContext, job: JobRecord) {
  const [described, spec, attempts] = await Promise.all([
    describeJob(ctx, job),
    readSpec(ctx.ledger, job.jobId),
    // The first attempt is on record from its dispatch on: a submission is answered without looking for it. Of one that
    // was deferred nothing has begun.
    job.status === "PENDING" && job.attempt === 1 ? [] : readAttempts(ctx.ledger, job.jobId),
  ]);
  // Who asked for none has none, and nobody has any before the first attempt: nothing is looked for.
  const none = spec?.artifacts === undefined || (job.status === "PENDING" && job.attempt === 1);
  const found = none ? [] : await readArtifacts(ctx.ledger, job.jobId, job.attempt);
  const artifacts = found.map(describeArtifact);
  return { ...described, spec: spec ?? null, attempts: attempts.map(describeAttempt), artifacts };
}

/** A kept file as the API shows it. */
function describeArtifact(artifact: ArtifactRecord) {
  const { name, path, sizeBytes, sha256, contentType, encoding, storedAt } = artifact;
  return { name, path, sizeBytes, sha256, contentType, encoding, storedAt };
}

/** The files of a job, which are those of its last attempt, and what was refused of those that its spec asks for. */
export async function describeArtifacts(ctx: EngineContext, job: JobRecord) {
  const [found, life] = await Promise.all([
    readArtifacts(ctx.ledger, job.jobId, job.attempt),
    readLife(ctx.ledger, job.jobId),
  ]);
  const { refused = [], refusedCount = 0 } = life?.attempt?.artifacts ?? {};
  return { items: found.map(describeArtifact), refused, refusedCount };
}

function describeAttempt({ attempt, runtime, startedAt, finishedAt, exit, error }: AttemptRecord) {
  return { attempt, runtime, startedAt, finishedAt, exitCode: exit?.exitCode ?? null, error };
}

/** An event as the API and the bus show it. */
export function describeEvent({ jobId, seq, type, at, attempt, status, phase, data }: EventRecord) {
  return { jobId, seq, type, at, attempt, status, phase, data };
}

/** A dead letter as the API shows it. */
export function describeDeadLetter({ replayed: _replayed, ...letter }: DeadLetterRecord) {
  return letter;
}

/**
 * When a job was last heard of. One that runs without an event is seen alive by the reconciler's looks at its runtime as
 * a whole, which leave no trace on the job: the last of them counts if the job was running before it began.
 */
async function lastHeartbeatAt({ ledger }: EngineContext, job: JobRecord): Promise<string | null> {
  const own = job.lastHeartbeatAt;
  if (own === null || stageOf(job) !== "running") return own;
  const seenAtMs = await seenAliveAtMs(ledger, job.runtime);
  return seenAtMs > Date.parse(own) ? new Date(seenAtMs).toISOString() : own;
}

/** Why a job waits, computed when it is asked: null for a job that does not wait. */
async function waitReason(ctx: EngineContext, job: JobRecord): Promise<WaitReason | null> {
  if (stageOf(job) === "retrying") {
    const message = `attempt ${job.attempt + 1} of ${job.maxAttempts} is due at ${job.retryAt}`;
    return { code: "BACKOFF", message, since: job.lastHeartbeatAt ?? job.createdAt };
  }
  if (stageOf(job) !== "queued") return null;
  const since = job.lastHeartbeatAt ?? job.createdAt;
  if (!ctx.runtimes.all().some(({ name }) => name === job.runtime)) {
    return { code: "RUNTIME_UNAVAILABLE", message: `this home does not offer the runtime ${job.runtime}`, since };
  }
  const circuit = await readCircuit(ctx.ledger, job.runtime);
  if (circuit.state === "open") return unavailable(job.runtime, circuit, since);
  const { maxConcurrent, maxPerKey } = ctx.ledger.limits;
  const key = job.concurrencyKey;
  const keyHeld = key === null ? 0 : await keyInUse(ctx.ledger, key);
  if (key !== null && keyHeld >= maxPerKey(key)) {
    const message = `${keyHeld} of ${maxPerKey(key)} jobs at once with the concurrency key "${key}" run`;
    return { code: "KEY_CONCURRENCY", message, since };
  }
  const inUse = await slotsInUse(ctx.ledger, job.runtime);
  const bound = maxConcurrent(job.runtime);
  if (inUse >= bound) {
    return { code: "RUNTIME_CONCURRENCY", message: `${job.runtime}: ${inUse} of ${bound} slots are in use`, since };
  }
  return { code: "QUEUE", message: "the job is about to be admitted", since };
}

/** `since`: from when on the job waits for anything. */
function unavailable(runtime: string, { openedMs, untilMs, message }: CircuitRecord, since: string): WaitReason {
  const again = `it is asked again from ${new Date(untilMs).toISOString()} on`;
  const waitsSinceMs = Math.max(Date.parse(since), openedMs ?? 0);
  return {
    code: "RUNTIME_UNAVAILABLE",
    message: `${runtime} does not answer (${message}); ${again}`,
    since: new Date(waitsSinceMs).toISOString(),
  };
}

/** A runtime as `GET /runtimes` shows it. */
export async function describeRuntime(ctx: EngineContext, runtime: RuntimeAdapter) {
  const { name, kind, capabilities, constraints } = runtime;
  const health = await runtime.health();
  return {
    name,
    kind,
    capabilities,
    constraints,
    health: { ...health, checkedAt: new Date(ctx.clock()).toISOString() },
    circuit: circuitState(await readCircuit(ctx.ledger, name), ctx.clock()),
    running: await slotsInUse(ctx.ledger, name),
    maxConcurrent: constraints.maxConcurrent,
  };
}
