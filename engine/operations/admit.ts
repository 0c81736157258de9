import type { EngineContext } from "../context.ts";
import type { JobId } from "../ids.ts";
import { advance, NoSlotError } from "../ledger/advance.ts";
import { recordOf } from "../ledger/items.ts";
import { readWaiting, slotsInUse } from "../ledger/read.ts";
import type { JobRecord } from "../ledger/records.ts";
import { executionName } from "../naming.ts";
import type { Occurrence } from "../occurrences.ts";

/** An execution may last longer than its job's timeout by this: the start, a slow pull, the grace. */
const RUN_ALLOWANCE_SECONDS = 3600;
const PAGE = 50;

/**
 * Admits jobs that wait for a runtime, first by priority, then by age, until its slots are full or nobody waits, and
 * starts their executions. May run twice at once: only the commit of a slot decides.
 */
export async function admitWaiting(ctx: EngineContext, runtime: string): Promise<void> {
  let free = await freeSlots(ctx, runtime);
  const fullKeys = new Set<string>();
  let cursor: string | undefined;
  while (free > 0) {
    const limit = Math.min(free, PAGE);
    const page = await readWaiting(ctx.ledger, runtime, cursor === undefined ? { limit } : { limit, cursor });
    const jobs = page.items.map((item) => recordOf<JobRecord>(item)).filter((job) => !isHeldBack(job, fullKeys));
    const outcomes = await Promise.all(jobs.map((job) => admit(ctx, job)));
    // A job that its own concurrency key holds back lets those behind it pass; any other was refused for want of a slot.
    if (jobs.some((job, i) => outcomes[i] === "no-slot" && job.concurrencyKey === null)) return;
    for (const [i, { concurrencyKey }] of jobs.entries()) {
      if (outcomes[i] === "no-slot" && concurrencyKey !== null) fullKeys.add(concurrencyKey);
    }
    free -= outcomes.filter((outcome) => outcome === "admitted").length;
    cursor = page.cursor;
    if (cursor === undefined) return;
  }
}

function isHeldBack({ concurrencyKey }: JobRecord, fullKeys: ReadonlySet<string>): boolean {
  return concurrencyKey !== null && fullKeys.has(concurrencyKey);
}

async function freeSlots({ ledger }: EngineContext, runtime: string): Promise<number> {
  return ledger.limits.maxConcurrent(runtime) - (await slotsInUse(ledger, runtime));
}

async function admit(ctx: EngineContext, job: JobRecord): Promise<"admitted" | "passed" | "no-slot"> {
  const { jobId, attempt } = job;
  try {
    const slotShard = Math.floor(ctx.random() * ctx.ledger.limits.shards);
    // A waiting job's attempt has not begun: there is no record of it to read.
    const move: Occurrence = { type: "ADMIT", attempt, slotShard };
    const decision = await advance(ctx.ledger, jobId, { move, known: { job, attempt: null } });
    if (decision.effects.includes("start-execution")) await startExecution(ctx, decision.life.job);
    return decision.changed ? "admitted" : "passed";
  } catch (error) {
    if (error instanceof NoSlotError) return "no-slot";
    throw error;
  }
}

/** Starts the execution of a job's current attempt and generation; doing it twice is harmless. */
export async function startExecution(ctx: EngineContext, job: JobRecord): Promise<void> {
  const { jobId, attempt, generation, timeoutSeconds } = job;
  const runSeconds = timeoutSeconds + RUN_ALLOWANCE_SECONDS;
  await ctx.orchestrator.start(executionName(jobId, attempt, generation), { jobId, attempt, runSeconds });
}

/** The retry's delay is over: back to the queue with the next attempt, whatever the queue's bound. */
export async function requeue(ctx: EngineContext, jobId: JobId, attempt: number): Promise<void> {
  const queueShard = Math.floor(ctx.random() * ctx.ledger.limits.shards);
  const { life } = await advance(ctx.ledger, jobId, { type: "REQUEUE", attempt, queueShard });
  await admitWaiting(ctx, life.job.runtime);
}
