import type { EngineContext } from "../context.ts";
import { type Cost, priceOf } from "../cost.ts";
import { LongshoreError, type Violation } from "../errors.ts";
import { type JobId, mintedAt, mintJobId } from "../ids.ts";
import { accept, acceptedBefore, type Idempotency, refuseWhenFull, type Submission } from "../ledger/accept.ts";
import { submittedEvent } from "../ledger/batch.ts";
import { readJob } from "../ledger/read.ts";
import type { JobRecord } from "../ledger/records.ts";
import type { Change } from "../ports/table.ts";
import { noFit, route, type Verdict } from "../routing.ts";
import { canonicalJson, specHash } from "../spec/hash.ts";
import { parseJobSpec } from "../spec/parse.ts";
import { redactSpec } from "../spec/redact.ts";
import type { JobSpec } from "../spec/schema.ts";
import type { TraceContext } from "../trace.ts";

/** When a caller may ask again for a runtime that has not answered yet: homes look for it about as often. */
const SILENT_RETRY_SECONDS = 15;

export interface SubmitOptions {
  /** Who submits, as far as the front door knows. */
  caller: string;
  idempotencyKey?: string;
  /** The job that these are a retry of. */
  retryOf?: JobId;
  /** The trace that the caller is in. Default: each job begins one. */
  trace?: TraceContext | undefined;
}

export interface SubmitOneOptions extends SubmitOptions {
  /** What must be durable together with the new job. */
  along?: (jobId: JobId) => Change[];
}

/**
 * Accepts one spec, durably, or throws and stores nothing.
 * @throws LongshoreError VALIDATION, QUEUE_FULL or CONFLICT; ConflictError as `accept`.
 */
export async function submitJob(ctx: EngineContext, input: unknown, options: SubmitOneOptions): Promise<JobRecord> {
  const parsed = [parse(input)];
  const idempotency = await idempotencyOf(ctx, parsed, options);
  const routes = () => parsed.map((one) => routed(ctx, one));
  const [job] = (await earlierJobs(ctx, idempotency)) ?? (await acceptAll(ctx, routes(), { ...options, idempotency }));
  return job as JobRecord;
}

/** Accepts all specs or none; a violation's path begins with `jobs.<index>`. */
export async function submitBatch(ctx: EngineContext, inputs: unknown[], options: SubmitOptions): Promise<JobRecord[]> {
  const parsed = each(inputs, parse);
  // A spec that cannot be understood has no digest; all that is wrong with the others is told along with it.
  if (parsed.violations.length > 0) throw invalidBatch(each(inputs, (input) => routed(ctx, parse(input))).violations);
  const idempotency = await idempotencyOf(ctx, parsed.done, options);
  const earlier = await earlierJobs(ctx, idempotency);
  if (earlier !== null) return earlier;
  const { done, violations } = each(parsed.done, (one) => routed(ctx, one));
  if (violations.length > 0) throw invalidBatch(violations);
  return await acceptAll(ctx, done, { ...options, idempotency });
}

/** Does something with each job of a batch; what is wrong with them is collected, under their places. */
function each<A, B>(all: A[], work: (one: A) => B): { done: B[]; violations: Violation[] } {
  const violations: Violation[] = [];
  const done: B[] = [];
  for (const [index, one] of all.entries()) {
    try {
      done.push(work(one));
    } catch (error) {
      if (!(error instanceof LongshoreError) || error.violations === undefined) throw error;
      violations.push(...error.violations.map((violation) => ({ ...violation, path: at(index, violation) })));
    }
  }
  return { done, violations };
}

function at(index: number, { path, code }: Violation): string {
  // `spec` is how a spec as a whole is called, unless it is a key inside of it, which no spec has.
  return path === "" || (path === "spec" && code !== "unknown_key") ? `jobs.${index}` : `jobs.${index}.${path}`;
}

function invalidBatch(violations: Violation[]): LongshoreError {
  return new LongshoreError("VALIDATION", "some of the jobs are invalid", { violations });
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

interface Parsed {
  spec: JobSpec;
  redacted: JobSpec;
}

interface Routed extends Parsed {
  runtime: string;
}

function parse(input: unknown): Parsed {
  const spec = parseJobSpec(input);
  return { spec, redacted: redactSpec(spec).redacted };
}

function routed(ctx: EngineContext, { spec, redacted }: Parsed): Routed {
  const { runtime, verdicts } = chooseRuntime(ctx, spec);
  if (runtime === null) throw silentRuntime(ctx, spec) ?? noFit(spec, verdicts);
  return { spec, redacted, runtime };
}

/** The spec is right, and the runtime that would take it has not answered yet: worth another try. */
function silentRuntime({ runtimes }: EngineContext, spec: JobSpec): LongshoreError | undefined {
  const { runtime } = spec.runtime === undefined ? route(spec, runtimes.all()) : { runtime: null };
  if (runtime === null) return undefined;
  const message = `the job could run on ${runtime}, but that does not answer`;
  return new LongshoreError("UNAVAILABLE", message, { retryAfterSeconds: SILENT_RETRY_SECONDS });
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

async function acceptAll(
  ctx: EngineContext,
  specs: Routed[],
  { idempotency, ...options }: SubmitOneOptions & { idempotency: Idempotency | null },
): Promise<JobRecord[]> {
  // Under a key, or along with other changes, there may be a better answer than that the queue is full: `accept` knows.
  if (idempotency === null && options.along === undefined) await refuseWhenFull(ctx.ledger, specs.length);
  const submissions = await Promise.all(specs.map((spec) => submissionOf(ctx, spec, options)));
  const acceptance = await accept(ctx.ledger, submissions, idempotency);
  return acceptance.accepted ? submissions.map(({ job }) => job) : await readAll(ctx, acceptance.jobIds);
}

async function idempotencyOf(
  { sealer }: EngineContext,
  parsed: Parsed[],
  { caller, idempotencyKey: key }: SubmitOptions,
): Promise<Idempotency | null> {
  if (key === undefined) return null;
  const specs = Buffer.from(canonicalJson(parsed.map(({ spec }) => spec)));
  return { caller, key, digest: await sealer.digest(specs, caller) };
}

/**
 * What the same submission was answered before, whatever has become of its runtime since: the caller asks for the answer
 * that was lost.
 */
async function earlierJobs(ctx: EngineContext, idempotency: Idempotency | null): Promise<JobRecord[] | null> {
  const jobIds = idempotency === null ? null : await acceptedBefore(ctx.ledger, idempotency);
  return jobIds === null ? null : await readAll(ctx, jobIds);
}

/** @throws LongshoreError CONFLICT when one of them was erased: to run it anew is not what its key asks for. */
async function readAll({ ledger }: EngineContext, jobIds: string[]): Promise<JobRecord[]> {
  const jobs = (await Promise.all(jobIds.map((jobId) => readJob(ledger, jobId)))).filter((job) => job !== undefined);
  if (jobs.length === jobIds.length) return jobs;
  throw new LongshoreError("CONFLICT", "what was submitted under this Idempotency-Key has been erased since");
}

async function submissionOf(ctx: EngineContext, routed: Routed, options: SubmitOneOptions): Promise<Submission> {
  const jobId = mintJobId(ctx.clock());
  const job = newJob(jobId, routed, options);
  const sealed = await ctx.sealer.seal(Buffer.from(canonicalJson(routed.spec)), jobId);
  const submission = { job, redacted: routed.redacted, sealed, submitted: submittedEvent(job) };
  return options.along === undefined ? submission : { ...submission, along: options.along(jobId) };
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
    parked: false,
    timeoutSeconds: redacted.timeoutSeconds,
    stopGraceSeconds: redacted.stopGraceSeconds,
    cleanup: redacted.cleanup,
    cleanupPending: false,
    retryAt: null,
    ...(options.trace === undefined ? {} : { trace: options.trace }),
  };
}
