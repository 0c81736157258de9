import { type Decision, decide } from "../decide.ts";
import { LongshoreError } from "../errors.ts";
import type { JobId } from "../ids.ts";
import type { Occurrence } from "../occurrences.ts";
import { type Change, ConflictError } from "../ports/table.ts";
import { isTerminal } from "../states.ts";
import { publishStaged } from "./batch.ts";
import { deadLetterOf } from "./dead-letters.ts";
import { left } from "./drain.ts";
import { attemptItem, deadLetterItem, eventChanges, jobItem } from "./items.ts";
import { concurrencyKey, masksKey, queueKey, sealedKey, slotsKey } from "./keys.ts";
import { laneChanges } from "./lanes.ts";
import { type Ledger, shardBound } from "./ledger.ts";
import { readLife } from "./read.ts";
import type { JobRecord, Life } from "./records.ts";
import { storedLife } from "./under-way.ts";

const MAX_TRIES = 20;

/** The bound of a runtime or of a concurrency key is reached: the job must wait. */
export class NoSlotError extends Error {
  override name = "NoSlotError";
  /** Which bound; the key's when it is both, for that one holds wherever a slot becomes free. */
  readonly full: "slots" | "key";
  constructor(full: "slots" | "key") {
    super(full === "key" ? "the concurrency key has no room" : "no slot is free");
    this.full = full;
  }
}

/** What happened (several in one commit), or a function of the job as it is now; null means nothing. */
export type Move = Occurrence | Occurrence[] | ((life: Life) => Occurrence | Occurrence[] | null);

export interface Advance {
  move: Move;
  /** Further changes that must be durable together with it. */
  extras?: Change[];
  /** The job as it was read a moment ago: saves reading it again, and costs nothing but a retry when it has changed. */
  known?: Life;
}

/**
 * One transition, one commit: reads the job, lets `decide` judge what happened, and writes the job, its attempt, the
 * events and the counters that follow from the difference, or nothing.
 *
 * The race that it wins: two parties that see the same version write at the same time; the guard on the version lets
 * one through, and the other reads again and decides anew, so that late or doubled news end as "ignore".
 *
 * @throws LongshoreError NOT_FOUND for an unknown job, CONFLICT for what must not happen; NoSlotError.
 */
export async function advance(ledger: Ledger, jobId: JobId | string, what: Move | Advance): Promise<Decision> {
  const { move, extras = [], known }: Advance = "move" in what ? what : { move: what };
  for (let tries = 1; ; tries++) {
    const life = tries === 1 && known !== undefined ? known : await readLife(ledger, jobId);
    if (life === undefined) throw new LongshoreError("NOT_FOUND", `there is no job ${jobId}`);
    if (life.job.stagedIn !== undefined) {
      await publishStaged(ledger, [life.job.jobId]);
      continue;
    }
    const happened = typeof move === "function" ? move(life) : move;
    const decided = decideAll(life, happened === null ? [] : [happened].flat(), ledger.clock());
    if (!decided.changed) return decided;
    const { job, isWritten } = storedLife(decided.life, life.attempt);
    const decision = { ...decided, life: { job, attempt: decided.life.attempt } };
    const bounded = counterChanges(ledger, life.job, decision.life.job);
    try {
      const lanes = laneChanges(ledger, [{ before: life.job, after: decision.life.job }]);
      const records = recordChanges(ledger, life, { ...decision, isWritten });
      await ledger.table.commit([...bounded, ...lanes, ...records, ...extras]);
      return decision;
    } catch (error) {
      if (!(error instanceof ConflictError) || tries >= MAX_TRIES) throw error;
      if (error.failed.every((position) => position < bounded.length)) throw new NoSlotError(whatIsFull(life, error));
    }
  }
}

/** The conflict brings the counters as they are. */
function whatIsFull({ job }: Life, { failed, items }: ConflictError): "slots" | "key" {
  const key = job.concurrencyKey === null ? undefined : concurrencyKey(job.concurrencyKey).pk;
  return key !== undefined && failed.some((position) => items[position]?.pk === key) ? "key" : "slots";
}

function decideAll(life: Life, occurrences: Occurrence[], nowMs: number): Decision {
  let all: Decision = { life, events: [], effects: [], changed: false };
  for (const occurrence of occurrences) {
    const next = decide(all.life, occurrence, nowMs);
    const events = [...all.events, ...next.events];
    const effects = [...all.effects, ...next.effects];
    all = { life: next.life, events, effects, changed: all.changed || next.changed };
  }
  return all;
}

/** @param decision.isWritten whether the attempt's own item is to be written, see `under-way.ts`. */
function recordChanges(
  { clock, limits }: Ledger,
  before: Life,
  { life: after, events, isWritten }: Decision & { isWritten: boolean },
): Change[] {
  const { jobId } = after.job;
  const changes: Change[] = [
    { kind: "put", item: jobItem(after.job), guard: { equals: { version: before.job.version } } },
    ...eventChanges(events),
  ];
  if (after.attempt !== null && isWritten) {
    changes.push({ kind: "put", item: attemptItem(jobId, after.attempt) });
  }
  if (isTerminal(after.job.status) && !isTerminal(before.job.status)) {
    const ttl = Math.ceil(clock() / 1000) + limits.sealedRetentionSeconds;
    changes.push({ kind: "patch", key: sealedKey(jobId), set: { ttl } });
    const given = events.find(({ type }) => type === "DEAD_LETTERED");
    // It goes with the sealed spec, without which it could not be replayed.
    if (given !== undefined)
      changes.push({ kind: "put", item: { ...deadLetterItem(deadLetterOf(after.job, given)), ttl } });
  }
  // Where nothing was stored, removing it would cost as much as anything else.
  if (before.job.cleanupPending && !after.job.cleanupPending && after.attempt?.masked !== false) {
    changes.push({ kind: "delete", key: masksKey(jobId, after.job.attempt) });
  }
  return changes;
}

/** The counters are nothing but a sum over the jobs, so that they can be counted again from them. */
function counterChanges(ledger: Ledger, before: JobRecord, after: JobRecord): Change[] {
  const { limits } = ledger;
  const changes: Change[] = [];
  if (before.queueShard !== after.queueShard) {
    if (before.queueShard !== null) changes.push(add(queueKey(before.queueShard), -1), left(ledger, before.queueShard));
    // A retry comes back to the queue whatever its bound says: it was accepted once.
    if (after.queueShard !== null) changes.push(add(queueKey(after.queueShard), 1));
  }
  if (before.slotShard === after.slotShard) return changes;
  if (before.slotShard !== null) {
    changes.push(add(slotsKey(before.runtime, before.slotShard), -1));
    if (before.concurrencyKey !== null) changes.push(add(concurrencyKey(before.concurrencyKey), -1));
  }
  if (after.slotShard !== null) {
    const bound = shardBound(limits.maxConcurrent(after.runtime), after.slotShard, limits.shards);
    changes.push(add(slotsKey(after.runtime, after.slotShard), 1, bound - 1));
    const key = after.concurrencyKey;
    if (key !== null) changes.push(add(concurrencyKey(key), 1, limits.maxPerKey(key) - 1));
  }
  return changes;
}

function add(key: { pk: string; sk: string }, n: number, atMost?: number): Change {
  // `changes` tells whoever counts again whether the counter stood still meanwhile.
  const change: Change = { kind: "patch", key, add: { count: n, changes: 1 } };
  return atMost === undefined ? change : { ...change, guard: { atMost: { count: atMost } } };
}
