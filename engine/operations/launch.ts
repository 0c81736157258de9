import { SHUTDOWN } from "../abort.ts";
import type { EngineContext } from "../context.ts";
import { asLongshoreError, isCategory, LongshoreError } from "../errors.ts";
import type { JobId } from "../ids.ts";
import { advance } from "../ledger/advance.ts";
import { masksKey } from "../ledger/keys.ts";
import { readAttempts, readLife, readSealed } from "../ledger/read.ts";
import type { AttemptExit, JobRecord, Life } from "../ledger/records.ts";
import { createMasker } from "../masking.ts";
import { externalName, masksContext } from "../naming.ts";
import { isToEnd, type Occurrence } from "../occurrences.ts";
import type { Launch, LaunchReport } from "../ports/runtime.ts";
import type { Change } from "../ports/table.ts";
import type { JobSpec } from "../spec/schema.ts";
import { secretsOf } from "../spec/secret-values.ts";
import { traceOfAttempt, withTrace } from "../trace.ts";
import { maskedValues } from "./attempt-log.ts";
import { launchAnswered } from "./circuit.ts";
import { createConfirmation } from "./confirm.ts";
import { completeToken, type ExecutionOf, isCurrent, neverStarted, observeExit, watchAttempt } from "./observe.ts";
import { createRecorder } from "./recorder.ts";
import { resolveRegistryAuth, resolveSecrets } from "./secrets.ts";
import { stopAttempt, stopInBackground } from "./stop.ts";
import { orInDoubt, unanswered } from "./unanswered.ts";

/** What *Run* of the lifecycle hands over: the execution, and the token to complete when the attempt has ended. */
export interface RunTask extends ExecutionOf {
  token: string;
}

/**
 * Starts an attempt on its runtime, or finds again what was started before. The token is durable before the runtime
 * is asked for anything; an attempt that is known to have been started is never submitted again. One that was not
 * started because its runtime does not answer waits in the queue.
 * @throws AttemptInDoubt when nobody can tell whether it was started: it must be launched again.
 */
export async function launchAttempt(ctx: EngineContext, task: RunTask): Promise<void> {
  // Before the dispatch is on record: a stop that finds it there must find the launch here, and not settle it as lost.
  const inflight = ctx.inflight.begin(task.jobId, task.attempt);
  try {
    await launch(ctx, task, inflight);
  } finally {
    inflight.end();
  }
}

type Launching = ReturnType<EngineContext["inflight"]["begin"]>;

async function launch(ctx: EngineContext, { token, ...execution }: RunTask, inflight: Launching): Promise<void> {
  const { jobId, attempt } = execution;
  const before = await readLife(ctx.ledger, jobId);
  if (before === undefined || !isCurrent(before.job, execution)) return completeToken(ctx, token);
  const name = externalName(jobId, before.job.name, attempt);
  const logBase = await logLinesBefore(ctx, jobId, attempt);
  const prepared = await prepare(ctx, before, name);
  // One that was deferred has no token: nothing of it was started.
  const again = before.attempt !== null && before.attempt.token !== null;
  if (isUnavailable(prepared) && !again) throw prepared;
  const masks = prepared instanceof LongshoreError ? [] : await sealMasks(ctx, before, prepared.launch.secretValues);
  const masked = masks.length > 0;
  const occurrence: Occurrence = { type: "DISPATCH", attempt, token, externalName: name, logBase, masked };
  // Its token must not replace that of an execution which was started after it.
  const move = ({ job }: Life) => (isCurrent(job, execution) ? occurrence : null);
  const { life, effects } = await advance(ctx.ledger, jobId, { move, extras: masks, known: before });
  if (!isCurrent(life.job, execution) || effects.includes("complete-token")) return completeToken(ctx, token);
  if (life.attempt?.externalRef) return resume(ctx, life);
  await orInDoubt(async () => {
    if (isToEnd(life)) {
      inflight.end();
      return stopAttempt(ctx, jobId, attempt);
    }
    if (!(prepared instanceof LongshoreError)) return submit(ctx, life, { ...prepared, inflight, again, token });
    if (isUnavailable(prepared) && (await ctx.runtimes.get(life.job.runtime).find(name)) === undefined) throw prepared;
    const failure = failureOf(prepared, (text) => text);
    // What an earlier launch of this attempt has started goes on, whatever cannot be had any more now.
    return settle(ctx, life, { failure, mayRun: again });
  });
}

interface Prepared {
  launch: Omit<Launch, "report" | "confirm" | "dispatchedAt" | "replaces">;
  mask: (text: string) => string;
}

/** Failures after which it is certain that the command was not started. */
const CERTAIN: ReadonlySet<string> = new Set(["AUTH", "NOT_FOUND", "IMAGE_PULL", "VALIDATION", "USER_CODE", "QUOTA"]);

/** Failures that a runtime itself must have told. */
const ANSWERS: ReadonlySet<string> = new Set(["AUTH", "NOT_FOUND", "IMAGE_PULL", "USER_CODE"]);

/** The launch with every real value in it, or why it cannot be made. */
async function prepare(ctx: EngineContext, { job }: Life, name: string): Promise<Prepared | LongshoreError> {
  try {
    const sealed = await readSealed(ctx.ledger, job.jobId);
    if (sealed === undefined) throw new LongshoreError("UNKNOWN", "the job's sealed spec is gone");
    const plain = Buffer.from(await ctx.sealer.open(sealed, job.jobId)).toString("utf8");
    const spec = JSON.parse(plain) as JobSpec;
    const secrets = await resolveSecrets(ctx, spec);
    const auth = await resolveRegistryAuth(ctx, spec);
    const secretValues = [...secretsOf(spec), ...Object.values(secrets)];
    if (auth !== undefined) secretValues.push(auth.password);
    const launch = {
      jobId: job.jobId,
      attempt: job.attempt,
      externalName: name,
      spec,
      env: withTrace({ ...spec.env, ...secrets }, traceOfAttempt(job, job.attempt)),
      secretValues,
      ...(auth === undefined ? {} : { registryAuth: auth }),
    };
    return { launch, mask: createMasker(secretValues) };
  } catch (error) {
    // Not its text: a parser's message may quote the spec.
    if (!(error instanceof LongshoreError))
      ctx.logger.error({ jobId: job.jobId, error: kindOf(error) }, "unforeseen error before a launch");
    return asLongshoreError(error, "UNKNOWN");
  }
}

/** Where the table, the sealer or a source of secrets does not answer, nothing is known of the job: its launch is repeated. */
function isUnavailable(prepared: Prepared | LongshoreError): prepared is LongshoreError {
  return prepared instanceof LongshoreError && prepared.code === "UNAVAILABLE";
}

function kindOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** The values to mask, with those of an earlier run of this attempt: its command may have got others than are resolved now. */
async function sealMasks(ctx: EngineContext, { job }: Life, values: readonly string[]): Promise<Change[]> {
  if (values.length === 0) return [];
  const { jobId, attempt } = job;
  const all = new Set([...(await maskedValues(ctx, jobId, attempt)), ...values]);
  const sealed = await ctx.sealer.seal(Buffer.from(JSON.stringify([...all])), masksContext(jobId));
  const data = Buffer.from(sealed).toString("base64");
  // Removed with the resource; where that is kept on purpose, they expire like the sealed spec.
  const ttl = Math.ceil(ctx.clock() / 1000) + job.timeoutSeconds + ctx.ledger.limits.sealedRetentionSeconds;
  return [{ kind: "put", item: { ...masksKey(jobId, attempt), data, ttl } }];
}

async function logLinesBefore(ctx: EngineContext, jobId: JobId, attempt: number): Promise<number> {
  if (attempt === 1) return 0;
  // Summed, not read off the last one: an attempt that was never dispatched knows nothing of those before it.
  const before = (await readAttempts(ctx.ledger, jobId)).filter((one) => one.attempt < attempt);
  return before.reduce((lines, one) => lines + (one.logLines ?? 0), 0);
}

/** @param prepared.again whether the attempt was dispatched before, so that its resource may be there already. */
async function submit(
  ctx: EngineContext,
  life: Life,
  { launch, mask, inflight, again, token }: Prepared & { inflight: Launching; again: boolean; token: string },
): Promise<void> {
  const { job } = life;
  const { jobId, attempt, generation } = job;
  // An attempt that was dispatched by an older version says nothing of it; its job is as old at most.
  const dispatchedAt = life.attempt?.dispatchedAt ?? job.createdAt;
  const unstarted = life.attempt?.unstarted;
  const replaces = unstarted === undefined ? {} : { replaces: unstarted };
  const runtime = ctx.runtimes.get(job.runtime);
  const recorder = createRecorder(ctx, life);
  const report = (news: LaunchReport) => {
    if (news.progress !== undefined) return ctx.inflight.progress(jobId, news);
    begun ||= news.phase === "creating";
    recorder.add({ type: news.phase === "pulling" ? "PULL" : "CREATE", attempt, data: masked(news.data ?? {}, mask) });
  };
  let begun = again;
  let externalRef: string;
  const confirmation = createConfirmation(ctx, { jobId, attempt, generation });
  const asked = { runtime: job.runtime, beganMs: ctx.clock() };
  try {
    externalRef = await runtime.submit(
      { ...launch, ...replaces, dispatchedAt, report, confirm: confirmation.confirm },
      inflight.signal,
    );
  } catch (error) {
    const { aborted, reason } = inflight.signal;
    if (aborted && reason === SHUTDOWN) {
      recorder.drop();
      throw error;
    }
    await recorder.flush();
    const refusal = confirmation.refusal();
    if (refusal !== undefined) {
      inflight.end();
      if (refusal.overtaken) return await giveWay(ctx, { jobId, attempt, generation, token });
      throw refusal.error;
    }
    if (!aborted && !(error instanceof LongshoreError)) {
      const text = error instanceof Error ? error.message : String(error);
      ctx.logger.error({ jobId, error: `${kindOf(error)}: ${mask(text)}` }, "unforeseen error of a launch");
    }
    const thrown = asLongshoreError(error, "UNKNOWN");
    const failure = failureOf(thrown, mask);
    if (!aborted && thrown.code === "RUNTIME_UNAVAILABLE") {
      const { beganMs } = asked;
      const found = await unanswered(ctx, life, { beganMs, failure, mayRun: begun, unstarted: thrown.unstarted });
      if (found !== undefined) await started(ctx, job, { externalRef: found, found: true, reports: [] });
      return;
    }
    if (!aborted && ANSWERS.has(thrown.code)) await launchAnswered(ctx, asked);
    const mayRun = begun && (aborted || !CERTAIN.has(thrown.code));
    return await settle(ctx, life, { failure: aborted ? null : failure, mayRun });
  } finally {
    inflight.end();
    ctx.inflight.progress(jobId, null);
  }
  await started(ctx, job, { externalRef, found: again, ...(await recorder.take()) });
  await launchAnswered(ctx, asked);
}

/** The attempt is not this launch's to start, and what it had made of it is gone again: it goes on without it, or ends. */
async function giveWay(ctx: EngineContext, { token, ...execution }: RunTask): Promise<void> {
  const life = await readLife(ctx.ledger, execution.jobId);
  if (life === undefined || !isCurrent(life.job, execution) || life.attempt?.exit != null) {
    return await completeToken(ctx, token);
  }
  if (life.attempt?.externalRef) return await resume(ctx, life);
  await orInDoubt(() => stopAttempt(ctx, execution.jobId, execution.attempt));
}

/** Records the start of an attempt's command, and sees to its end. */
async function started(
  ctx: EngineContext,
  job: JobRecord,
  { externalRef, found, ...recorded }: { externalRef: string; found: boolean; reports: Occurrence[]; known?: Life },
): Promise<void> {
  const { attempt } = job;
  const runtime = ctx.runtimes.get(job.runtime);
  // Of what was found again after a restart the runtime knows better than the clock when it was started.
  const known = found ? await runtime.status(externalRef) : null;
  const startedAt = known?.startedAt ?? new Date(ctx.clock()).toISOString();
  const start: Occurrence = { type: "START", attempt, externalRef, startedAt };
  const { life } = await advance(ctx.ledger, job.jobId, { ...recorded, move: [...recorded.reports, start] });
  if (endedWithout(life, { attempt, externalRef })) return await runtime.cleanup(externalRef);
  await resume(ctx, life, known?.phase);
}

/**
 * A launch that failed or was aborted. Where its command may run all the same (the answer was lost, or an earlier launch
 * started it), the runtime is asked, and goes on being asked: nothing is recorded as never started that runs.
 */
async function settle(
  ctx: EngineContext,
  { job }: Life,
  { failure, mayRun }: { failure: AttemptExit["failure"]; mayRun: boolean },
): Promise<void> {
  const runtime = ctx.runtimes.get(job.runtime);
  const externalRef = mayRun ? await runtime.find(job.externalName ?? "") : undefined;
  if (externalRef === undefined) return await neverStarted(ctx, job, failure);
  const { phase } = await runtime.status(externalRef);
  if (phase === "running" || phase === "exited")
    return await started(ctx, job, { externalRef, found: true, reports: [] });
  await runtime.cleanup(externalRef);
  await neverStarted(ctx, job, failure);
}

/** The attempt was ended from elsewhere before its resource was there: nobody else will ever look for it. */
function endedWithout({ job, attempt }: Life, started: { attempt: number; externalRef: string }): boolean {
  if (job.attempt !== started.attempt) return true;
  return attempt?.exit != null && attempt.externalRef !== started.externalRef;
}

/** The command runs, or ran: see to its end. */
async function resume(ctx: EngineContext, life: Life, phase?: string): Promise<void> {
  const { job, attempt } = life;
  if (attempt === null || attempt.externalRef === null || attempt.exit !== null) return;
  if (isToEnd(life)) return stopInBackground(ctx, job);
  if (phase === "exited" || phase === "unknown") return observeExit(ctx, job);
  watchAttempt(ctx, { job, attempt });
}

function failureOf(error: LongshoreError, mask: (text: string) => string): NonNullable<AttemptExit["failure"]> {
  const category = isCategory(error.code) ? error.code : "UNKNOWN";
  return { category, message: mask(error.message), providerCode: error.providerCode };
}

/** What a runtime says of a launch may repeat a part of the spec, such as the image, that holds a value. */
function masked(data: Record<string, unknown>, mask: (text: string) => string): Record<string, unknown> {
  const hide = (value: unknown): unknown => {
    if (typeof value === "string") return mask(value);
    if (Array.isArray(value)) return value.map(hide);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, hide(member)]));
  };
  return hide(data) as Record<string, unknown>;
}
