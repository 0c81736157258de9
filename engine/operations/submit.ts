import type { EngineContext } from "../context.ts";
import { type Cost, priceOf } from "../cost.ts";
import { LongshoreError, type Violation } from "../errors.ts";
import { type JobId, mintedAt, mintJobId } from "../ids.ts";
import { accept, type Submission } from "../ledger/accept.ts";
import { submittedEvent } from "../ledger/batch.ts";
import { readJob } from "../ledger/read.ts";
import type { JobRecord } from "../ledger/records.ts";
import { noFit, route, type Verdict } from "../routing.ts";
import { canonicalJson, specHash } from "../spec/hash.ts";
import { parseJobSpec } from "../spec/parse.ts";
import { redactSpec } from "../spec/redact.ts";
import type { JobSpec } from "../spec/schema.ts";

export interface SubmitOptions {
  /** Who submits, as far as the front door knows. */
  caller: string;
  idempotencyKey?: string;
  /** The job that these are a retry of. */
  retryOf?: JobId;
}

/**
 * Accepts one spec, durably, or throws and stores nothing.
 * @throws LongshoreError VALIDATION, QUEUE_FULL or CONFLICT.
 */
export async function submitJob(ctx: EngineContext, input: unknown, options: SubmitOptions): Promise<JobRecord> {
  const [job] = await acceptAll(ctx, [routed(ctx, input)], options);
  return job as JobRecord;
}

/** Accepts all specs or none; a violation's path begins with `jobs.<index>.`. */
export async function submitBatch(ctx: EngineContext, inputs: unknown[], options: SubmitOptions): Promise<JobRecord[]> {
  const violations: Violation[] = [];
  const parsed: Routed[] = [];
  for (const [index, input] of inputs.entries()) {
    try {
      parsed.push(routed(ctx, input));
    } catch (error) {
      if (!(error instanceof LongshoreError) || error.violations === undefined) throw error;
      const at = (path: string) => (path === "" ? `jobs.${index}` : `jobs.${index}.${path}`);
      violations.push(...error.violations.map((violation) => ({ ...violation, path: at(violation.path) })));
    }
  }
  if (violations.length > 0) throw new LongshoreError("VALIDATION", "some of the jobs are invalid", { violations });
  return await acceptAll(ctx, parsed, options);
}

export interface DryRun {
  spec: JobSpec;
  runtime: string | null;
  verdicts: Verdict[];
  cost: Cost | null;
}

/** What would become of a spec: nothing is stored. */
export function dryRun(ctx: EngineContext, input: unknown): DryRun {
  const spec = parseJobSpec(input);
  // First of all: a spec with a secret value where none may be is refused before a verdict could repeat it.
  const { redacted } = redactSpec(spec);
  const { runtime, verdicts } = chooseRuntime(ctx, spec);
  const cost = runtime === null ? null : priceOf(ctx.runtimes.get(runtime).kind, spec.timeoutSeconds * 1000);
  return { spec: redacted, runtime, verdicts, cost };
}

interface Routed {
  spec: JobSpec;
  redacted: JobSpec;
  runtime: string;
}

function routed(ctx: EngineContext, input: unknown): Routed {
  const spec = parseJobSpec(input);
  const { redacted } = redactSpec(spec);
  const { runtime, verdicts } = chooseRuntime(ctx, spec);
  if (runtime === null) throw noFit(spec, verdicts);
  return { spec, redacted, runtime };
}

/**
 * The runtime that a spec names, whether it answers at the moment or not; else the first that fits of those that have
 * answered since the home was started.
 */
function chooseRuntime({ runtimes }: EngineContext, spec: JobSpec): { runtime: string | null; verdicts: Verdict[] } {
  if (spec.runtime !== undefined) return route(spec, runtimes.all());
  const offered = runtimes.offered();
  const { runtime, verdicts } = route(spec, offered);
  const silent = runtimes.all().filter((one) => !offered.includes(one));
  for (const { name } of silent) {
    const reasons = [{ code: "unavailable", message: `${name}: does not answer`, path: "runtime" }];
    verdicts.push({ runtime: name, fits: false, reasons });
  }
  return { runtime, verdicts };
}

async function acceptAll(ctx: EngineContext, specs: Routed[], options: SubmitOptions): Promise<JobRecord[]> {
  const submissions = await Promise.all(specs.map((spec) => submissionOf(ctx, spec, options)));
  const { caller, idempotencyKey: key } = options;
  const idempotency = key === undefined ? null : { caller, key, digest: await digestOf(ctx, specs, caller) };
  const acceptance = await accept(ctx.ledger, submissions, idempotency);
  if (acceptance.accepted) return submissions.map(({ job }) => job);
  const earlier = await Promise.all(acceptance.jobIds.map((jobId) => readJob(ctx.ledger, jobId)));
  return earlier.filter((job) => job !== undefined);
}

function digestOf(ctx: EngineContext, specs: Routed[], caller: string): Promise<string> {
  return ctx.sealer.digest(Buffer.from(canonicalJson(specs.map(({ spec }) => spec))), caller);
}

async function submissionOf(ctx: EngineContext, routed: Routed, options: SubmitOptions): Promise<Submission> {
  const jobId = mintJobId(ctx.clock());
  const job = newJob(jobId, routed, options);
  const sealed = await ctx.sealer.seal(Buffer.from(canonicalJson(routed.spec)), jobId);
  return { job, redacted: routed.redacted, sealed, submitted: submittedEvent(job) };
}

function newJob(jobId: JobId, { redacted, runtime }: Routed, options: SubmitOptions): JobRecord {
  return {
    jobId,
    name: redacted.name,
    status: "PENDING",
    phase: "queued",
    attempt: 1,
    maxAttempts: redacted.retry.maxAttempts,
    runtime,
    image: redacted.image ?? null,
    externalRef: null,
    externalName: null,
    createdAt: mintedAt(jobId),
    startedAt: null,
    finishedAt: null,
    exitCode: null,
    error: null,
    labels: redacted.labels,
    lane: redacted.lane,
    priority: redacted.priority,
    submittedBy: options.caller,
    retryOf: options.retryOf ?? null,
    specHash: specHash(redacted),
    cost: null,
    cancelRequestedAt: null,
    lastHeartbeatAt: null,
    version: 1,
    seq: 1,
    generation: 0,
    queueShard: 0,
    slotShard: null,
    concurrencyKey: redacted.concurrencyKey ?? null,
    timeoutSeconds: redacted.timeoutSeconds,
    stopGraceSeconds: redacted.stopGraceSeconds,
    cleanup: redacted.cleanup,
    cleanupPending: false,
    retryAt: null,
  };
}
