import type { EngineContext } from "../context.ts";
import { LongshoreError } from "../errors.ts";
import { advance } from "../ledger/advance.ts";
import type { AttemptExit, Life } from "../ledger/records.ts";
import { isToEnd, type Occurrence } from "../occurrences.ts";
import { launchUnanswered } from "./circuit.ts";
import { completeToken, neverStarted } from "./observe.ts";

/** Times in a row that a job may be refused by a runtime that answers others, before that is the job's own failure. */
export const MAX_REFUSALS = 5;

/**
 * Nobody knows whether an attempt was started, and its runtime cannot be asked: it keeps its slot, and the lifecycle runs
 * it again, by this name, until that is known. The next try finds what was started under the attempt's name.
 */
class AttemptInDoubt extends LongshoreError {
  constructor(cause: LongshoreError) {
    super("RUNTIME_UNAVAILABLE", cause.message, { cause, providerCode: cause.providerCode });
    this.name = "AttemptInDoubt";
  }
}

/** Does something with a runtime that must not be given up because the runtime is away. @throws AttemptInDoubt then. */
export async function orInDoubt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LongshoreError && error.code === "RUNTIME_UNAVAILABLE") throw new AttemptInDoubt(error);
    throw error;
  }
}

export interface Unanswered {
  /** When the runtime was asked, ms since the epoch. */
  beganMs: number;
  /** What it said, masked. */
  failure: NonNullable<AttemptExit["failure"]>;
  /** Whether its command may have been started all the same. */
  mayRun: boolean;
  /** What the runtime had made for it and ended before the command was started: then nothing of it runs. */
  unstarted?: string | undefined;
}

/**
 * A launch that its runtime did not answer. What was not started waits in the queue; what was is given back, to be
 * followed to its end. Only a job that the runtime refuses again and again while it answers others fails.
 * @returns the resource whose command was started, if there is one.
 * @throws LongshoreError RUNTIME_UNAVAILABLE as long as nobody can tell.
 */
export async function unanswered(
  ctx: EngineContext,
  life: Life,
  { beganMs, failure, mayRun, unstarted }: Unanswered,
): Promise<string | undefined> {
  const { jobId, attempt, runtime: name, refusals = 0, externalName } = life.job;
  const { message } = failure;
  const call = `${jobId}#${attempt}@${beganMs}`;
  const circuit = await launchUnanswered(ctx, { runtime: name, beganMs }, { call, message });
  ctx.logger.warn({ jobId, attempt, runtime: name, circuit, message }, "a launch was not answered");
  const runtime = ctx.runtimes.get(name);
  const externalRef = mayRun && unstarted === undefined ? await runtime.find(externalName ?? "") : undefined;
  if (externalRef !== undefined) {
    const { phase } = await runtime.status(externalRef);
    if (phase === "running" || phase === "exited") return externalRef;
    // It was made, and may be started any moment by the call that was not answered: whoever submits it again waits for that.
    throw new LongshoreError("RUNTIME_UNAVAILABLE", message, { providerCode: failure.providerCode });
  }
  const refused = circuit === "closed";
  if (refused && refusals >= MAX_REFUSALS) await neverStarted(ctx, life.job, failure);
  else await defer(ctx, life, { reason: message, refused, unstarted });
  return undefined;
}

/**
 * Brings a job whose attempt was not started back to the queue, and ends the execution, which leaves the job alone from
 * then on. A job that was asked to end meanwhile ends instead: nothing of it runs.
 */
async function defer(
  ctx: EngineContext,
  { job, attempt: launched }: Life,
  told: { reason: string; refused: boolean; unstarted: string | undefined },
): Promise<void> {
  const { jobId, attempt, generation } = job;
  const token = launched?.token ?? null;
  const queueShard = Math.floor(ctx.random() * ctx.ledger.limits.shards);
  const finishedAt = new Date(ctx.clock()).toISOString();
  const exit: AttemptExit = { exitCode: null, oom: false, failure: null, finishedAt };
  await advance(ctx.ledger, jobId, (now): Occurrence | null => {
    // Somebody else has begun to run the attempt: what becomes of it is theirs to say.
    if (now.attempt?.token !== token) return null;
    if (isToEnd(now)) return { type: "EXIT", attempt, exit, startedAt: null, externalRef: null };
    return { type: "DEFER", attempt, generation, queueShard, ...told };
  });
  await completeToken(ctx, token);
}
