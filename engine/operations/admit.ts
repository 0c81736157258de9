import { shareOut } from "../admission.ts";
import { circuitState } from "../circuit.ts";
import type { EngineContext } from "../context.ts";
import type { JobId } from "../ids.ts";
import { advance, NoSlotError } from "../ledger/advance.ts";
import { readCircuit } from "../ledger/circuit.ts";
import { readLanes } from "../ledger/lanes.ts";
import { park, parkedKeys, unpark } from "../ledger/park.ts";
import type { JobRecord } from "../ledger/records.ts";
import { executionName } from "../naming.ts";
import type { Occurrence } from "../occurrences.ts";
import { createLine, type FreeSlots, freeSlots, type Line } from "./waiting-line.ts";

/** An execution may last longer than its job's timeout by this: the start, a slow pull, the grace. */
const RUN_ALLOWANCE_SECONDS = 3600;

/**
 * Admits jobs that wait for a runtime until its slots are full or nobody waits, and starts their executions. The lanes
 * share the slots, see `shareOut`; inside a lane priority comes first, then age. May run twice at once: only the commit
 * of a slot decides. Its work grows with the slots that it fills and with the lanes, not with the jobs that wait. Nothing
 * is admitted for a runtime whose circuit is not closed: whoever closes it calls this again.
 */
export async function admitWaiting(ctx: EngineContext, runtime: string): Promise<void> {
  if (circuitState(await readCircuit(ctx.ledger, runtime), ctx.clock()) !== "closed") return;
  const slots = await freeSlots(ctx.ledger, runtime);
  if (slots.free() === 0) return;
  const waiting = (await readLanes(ctx.ledger, runtime)).filter((lane) => lane.waiting > 0);
  const lines = waiting.map((lane) => createLine(ctx.ledger, runtime, lane));
  const pass: Pass = { ctx, slots, fullKeys: new Set() };
  for (;;) {
    // A lane may have less to run than it counts, or only jobs that wait for their key: the others share what it leaves.
    const shares = shareOut(lines, slots.free());
    if (shares.size === 0) return;
    await Promise.all([...shares].map(([line, share]) => admitFrom(pass, line, share)));
  }
}

interface Pass {
  ctx: EngineContext;
  slots: FreeSlots;
  /** Concurrency keys that were found full. */
  fullKeys: Set<string>;
}

/** Admits as many of a lane's jobs as its share; those that meet a full concurrency key step aside. */
async function admitFrom(pass: Pass, line: Line, share: number): Promise<void> {
  for (let left = share; left > 0; ) {
    const jobs = await line.take(left);
    if (jobs.length === 0) return;
    const outcomes = new Map<JobRecord, Outcome>();
    await Promise.all(
      [...byKey(jobs)].map(async (group) => {
        // One after the other: the first may take the last place of their key.
        for (const job of group) outcomes.set(job, await admitInto(pass, line, job));
      }),
    );
    const having = (outcome: Outcome) => jobs.filter((job) => outcomes.get(job) === outcome);
    const aside = [...having("key"), ...line.stepAside(pass.fullKeys)];
    await parkAll(pass.ctx, aside);
    const refused = having("slots");
    line.putBack(refused);
    if (refused.length > 0) return;
    left -= jobs.length - having("key").length;
  }
}

/** `passed`: somebody else has admitted or cancelled it meanwhile; otherwise which bound keeps it waiting. */
type Outcome = "admitted" | "passed" | "slots" | "key";

async function admitInto({ ctx, slots, fullKeys }: Pass, line: Line, job: JobRecord): Promise<Outcome> {
  const key = job.concurrencyKey;
  if (key !== null && fullKeys.has(key)) return "key";
  for (;;) {
    // On the shard of the queue that it leaves: its lane then has one counter to change, not two.
    const shard = slots.take(job.queueShard);
    if (shard === null) return "slots";
    const outcome = await admit(ctx, job, shard);
    if (outcome === "admitted") line.served(ctx.clock());
    else if (outcome === "slots") slots.exhausted(shard);
    else slots.giveBack(shard);
    if (outcome === "key" && key !== null) fullKeys.add(key);
    if (outcome !== "slots") return outcome;
  }
}

/** Jobs with one concurrency key together, in their order; each of the others alone. */
function byKey(jobs: JobRecord[]): Iterable<JobRecord[]> {
  return Map.groupBy(jobs, ({ concurrencyKey, jobId }) =>
    concurrencyKey === null ? `#${jobId}` : `=${concurrencyKey}`,
  ).values();
}

async function parkAll({ ledger }: EngineContext, jobs: JobRecord[]): Promise<void> {
  for (const group of byKey(jobs)) {
    const key = group[0]?.concurrencyKey;
    if (key) await park(ledger, group, key);
  }
}

async function admit(ctx: EngineContext, job: JobRecord, slotShard: number): Promise<Outcome> {
  const { jobId, attempt } = job;
  try {
    // What is on record of a waiting job's attempt, if it was deferred, has no say in its admission.
    const move: Occurrence = { type: "ADMIT", attempt, slotShard };
    const decision = await advance(ctx.ledger, jobId, { move, known: { job, attempt: null } });
    if (decision.effects.includes("start-execution")) await startExecution(ctx, decision.life.job);
    return decision.changed ? "admitted" : "passed";
  } catch (error) {
    if (error instanceof NoSlotError) return error.full;
    throw error;
  }
}

/** Lets those wait for a slot again that waited for room behind these concurrency keys; without keys, behind any. */
export async function wakeParked(ctx: EngineContext, runtime: string, keys?: Iterable<string>): Promise<void> {
  for await (const key of keys ?? parkedKeys(ctx.ledger, runtime)) await unpark(ctx.ledger, runtime, key);
}

/** Starts the execution of a job's current attempt and generation; doing it twice is harmless. */
export async function startExecution(ctx: EngineContext, job: JobRecord): Promise<void> {
  const { jobId, attempt, generation, timeoutSeconds } = job;
  const runSeconds = timeoutSeconds + RUN_ALLOWANCE_SECONDS;
  await ctx.orchestrator.start(executionName(jobId, attempt, generation), { jobId, attempt, generation, runSeconds });
}

/** The retry's delay is over: back to the queue with the next attempt, whatever the queue's bound. */
export async function requeue(ctx: EngineContext, jobId: JobId, attempt: number): Promise<void> {
  const queueShard = Math.floor(ctx.random() * ctx.ledger.limits.shards);
  const { life } = await advance(ctx.ledger, jobId, { type: "REQUEUE", attempt, queueShard });
  await admitWaiting(ctx, life.job.runtime);
}
