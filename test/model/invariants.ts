import { eventsOf } from "../../engine/ledger/items.ts";
import { concurrencyKey } from "../../engine/ledger/keys.ts";
import { type LedgerLimits, shardBound } from "../../engine/ledger/ledger.ts";
import type { AttemptRecord, EventRecord, JobRecord } from "../../engine/ledger/records.ts";
import type { Item, Key } from "../../engine/ports/table.ts";
import { isTerminal, phaseOrder, type Status } from "../../engine/states.ts";
import type { MemoryTable, Write } from "../lab/memory-table.ts";
import { createCounters } from "./counters.ts";

/** Something happened that must never happen. */
export class Violation extends Error {
  override name = "Violation";
}

/** What the model has seen of a job, from the commits alone. */
export interface Seen {
  jobId: string;
  /** The types of its events, in order. */
  types: string[];
  events: EventRecord[];
  terminalEvents: number;
  /** Who submitted it, as its label says. */
  label: string;
  retryOf: string | null;
}

export interface Invariants {
  /** Told of every commit in the moment in which it happens. */
  onCommit(writes: Write[]): void;
  /** The first thing that went wrong; the simulation looks after every step. */
  violation(): Violation | undefined;
  fail(text: string): void;
  /** Every accepted job. */
  readonly jobs: Map<string, Seen>;
  /** Jobs that ended, changed status to a new attempt, or were cancelled in the last commits: to compare with what runs. */
  takeEnded(): JobRecord[];
}

const MAY_FOLLOW: Readonly<Record<Status, readonly Status[]>> = {
  // Back to PENDING within one attempt: a runtime that does not answer lets it wait again.
  PENDING: ["PENDING", "RUNNING", "CANCELLED"],
  RUNNING: ["RUNNING", "PENDING", "RETRYING", "SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"],
  RETRYING: ["RETRYING", "PENDING", "CANCELLED"],
  SUCCEEDED: ["SUCCEEDED"],
  FAILED: ["FAILED"],
  CANCELLED: ["CANCELLED"],
  TIMED_OUT: ["TIMED_OUT"],
};

const SUBMIT_LABEL = "submit";

/** What holds in every commit, checked from its writes alone, in time that does not grow with the table. */
export function createInvariants(limits: LedgerLimits, table: () => MemoryTable, nowMs: () => number): Invariants {
  const jobs = new Map<string, Seen>();
  const counters = createCounters(limits);
  let violation: Violation | undefined;
  let ended: JobRecord[] = [];

  function fail(text: string): void {
    violation ??= new Violation(text);
  }

  function accept(job: JobRecord): void {
    if (jobs.has(job.jobId)) fail(`${job.jobId} was accepted twice`);
    const label = job.labels[SUBMIT_LABEL] ?? "";
    jobs.set(job.jobId, { jobId: job.jobId, types: [], events: [], terminalEvents: 0, label, retryOf: job.retryOf });
  }

  function checkQueueBound(touched: Iterable<Key>): void {
    for (const key of touched) {
      if (!key.pk.startsWith("QUEUE#")) continue;
      const shard = Number(key.pk.slice("QUEUE#".length));
      const bound = shardBound(limits.maxQueued, shard, limits.shards);
      const count = Number(table().peek(key)?.count ?? 0);
      if (count > bound) fail(`a submit made the queue ${count} long, its bound is ${bound}`);
    }
  }

  function checkJob(before: JobRecord, after: JobRecord, events: EventRecord[]): void {
    const { jobId } = after;
    const said = `${jobId} ${before.status}/${before.phase}#${before.attempt} → ${after.status}/${after.phase}#${after.attempt}`;
    if (before.stagedIn !== undefined) {
      if (after.stagedIn !== undefined || after.version !== before.version) fail(`${said}: a staged job changed`);
    } else {
      if (after.version <= before.version) fail(`${said}: version ${before.version} became ${after.version}`);
      if (after.seq !== before.seq + events.length) fail(`${said}: ${events.length} events, seq grew to ${after.seq}`);
    }
    if (!MAY_FOLLOW[before.status].includes(after.status)) fail(`${said} is no way to go`);
    if (isTerminal(before.status)) {
      const { cleanupPending, phase, version, seq, lastHeartbeatAt, ...rest } = after;
      const same = { ...before, cleanupPending, phase, version, seq, lastHeartbeatAt };
      if (
        JSON.stringify(same) !==
        JSON.stringify({ ...before, ...rest, cleanupPending, phase, version, seq, lastHeartbeatAt })
      )
        fail(`${said}: something of a job that has ended changed`);
    }
    if (after.attempt !== before.attempt) {
      if (before.status !== "RETRYING" || after.attempt !== before.attempt + 1) fail(`${said}: the attempt jumped`);
      if (before.cleanupPending) fail(`${said}: the next attempt came before the resource of the last one was gone`);
      if (after.attempt > after.maxAttempts) fail(`${said}: only ${after.maxAttempts} attempts were allowed`);
    } else if (before.status === "RUNNING" && after.status === "RUNNING") {
      if (phaseOrder(after.phase) < phaseOrder(before.phase)) fail(`${said}: a phase went back`);
    }
    if (after.parked && !before.parked && after.concurrencyKey !== null) {
      const inUse = Number(table().peek(concurrencyKey(after.concurrencyKey))?.count ?? 0);
      if (inUse < limits.maxPerKey(after.concurrencyKey)) fail(`${said}: it was put behind a key that has room`);
    }
    if (after.status === "RUNNING" && after.slotShard === null) fail(`${said}: it runs without a slot`);
    if (before.cancelRequestedAt !== null && after.cancelRequestedAt !== before.cancelRequestedAt)
      fail(`${said}: a cancel was forgotten`);
    const last = events.at(-1);
    if (
      last !== undefined &&
      (last.status !== after.status || last.phase !== after.phase || last.attempt !== after.attempt)
    )
      fail(`${said}: its last event says ${last.status}/${last.phase}#${last.attempt}`);
    if (isTerminal(after.status) && !isTerminal(before.status)) checkEnd(said, after, events);
    if (after.status !== before.status && (isTerminal(after.status) || after.status === "RETRYING")) ended.push(after);
  }

  function checkEnd(said: string, after: JobRecord, events: EventRecord[]): void {
    const { jobId, status } = after;
    if (after.slotShard !== null || after.queueShard !== null) fail(`${said}: it still holds a place`);
    if (events.at(-1)?.type !== status) fail(`${said}: the last event is ${events.at(-1)?.type}`);
    const dead = status === "FAILED" || status === "TIMED_OUT";
    if (dead !== events.some(({ type }) => type === "DEAD_LETTERED")) fail(`${said}: the DEAD_LETTERED event is wrong`);
    const key = (sk: string) => ({ pk: `JOB#${jobId}`, sk });
    if (dead !== (table().peek(key("DEAD_LETTER")) !== undefined)) fail(`${said}: the dead letter is wrong`);
    const sealed = table().peek(key("SEALED"));
    if (sealed?.data === undefined || sealed.ttl === undefined) fail(`${said}: the sealed spec has no time to live`);
    if (after.cancelRequestedAt !== null && status !== "CANCELLED") fail(`${said}: a cancel was asked for before`);
    if (after.finishedAt === null) fail(`${said}: nobody knows when`);
  }

  function checkEvent(event: EventRecord): void {
    const seen = jobs.get(event.jobId);
    if (seen === undefined) return fail(`${event.jobId} has an event but was never accepted`);
    if (event.type === "RETRY_SCHEDULED" && seen.types.includes("CANCEL_REQUESTED"))
      fail(`${event.jobId} is to be tried again after its cancel`);
    seen.types.push(event.type);
    seen.events.push(event);
    if (event.seq !== seen.types.length) fail(`${event.jobId}: event ${event.seq} is number ${seen.types.length}`);
    if (isTerminal(event.type as Status)) seen.terminalEvents++;
    if (seen.terminalEvents > 1) fail(`${event.jobId} ended twice`);
    if (
      seen.terminalEvents === 1 &&
      !isTerminal(event.type as Status) &&
      event.type !== "CLEANED_UP" &&
      event.type !== "ORPHAN_DETECTED"
    )
      fail(`${event.jobId}: ${event.type} after its end`);
  }

  type Stopped = Partial<Pick<AttemptRecord, "stop">> & Pick<AttemptRecord, "attempt">;
  function checkAttempt(before: Stopped | undefined, after: Stopped, item: Item): void {
    if (after.stop !== "timeout" || before?.stop === "timeout") return;
    const job = recordOf<JobRecord | undefined>(table().peek({ pk: item.pk, sk: "JOB" }) as Item);
    const admitted = jobs.get(job?.jobId ?? "")?.events.findLast(({ type }) => type === "ADMITTED");
    const since = nowMs() - Date.parse(admitted?.at ?? "");
    if (job !== undefined && since < job.timeoutSeconds * 1000)
      fail(`${job.jobId}#${after.attempt} is out of time ${since} ms after it was admitted`);
  }

  return {
    jobs,
    fail,
    violation: () => violation,
    takeEnded() {
      const taken = ended;
      ended = [];
      return taken;
    },
    onCommit(writes) {
      const touched = new Map<string, Key>();
      const touch = (key: Key) => touched.set(`${key.pk} ${key.sk}`, key);
      let accepted = false;
      const events = new Map<string, EventRecord[]>();
      for (const { before, after } of writes) {
        if (after === undefined || !after.sk.startsWith("EVENT#") || !after.pk.startsWith("JOB#")) continue;
        for (const event of eventsOf(after)) {
          if (before !== undefined) fail(`${event.jobId}: event ${event.seq} was written twice`);
          events.set(event.jobId, [...(events.get(event.jobId) ?? []), event]);
        }
      }
      for (const { change, before, after } of writes) {
        const item = after ?? before;
        if (item === undefined || change.kind === "check") continue;
        if (counters.isCounter(item.pk)) touch({ pk: item.pk, sk: item.sk });
        if (item.pk.startsWith("BATCH#") && item.sk !== "UNPUBLISHED" && before === undefined && after !== undefined) {
          accepted = true;
          for (const jobId of after.jobIds as string[]) {
            const job = table().peek({ pk: `JOB#${jobId}`, sk: "JOB" });
            if (job === undefined) fail(`${jobId} was accepted with its batch, but is not there`);
            else accept(recordOf<JobRecord>(job));
          }
          counters.batchAccepted(after, touch);
        }
        if (item.sk.startsWith("ATTEMPT#") && after !== undefined)
          checkAttempt(before === undefined ? undefined : recordOf(before), recordOf(after), item);
        if (item.sk !== "JOB") continue;
        const was = before === undefined ? undefined : recordOf<JobRecord>(before);
        const is = after === undefined ? undefined : recordOf<JobRecord>(after);
        counters.jobChanged(was, is, touch);
        if (is?.underWay !== undefined) checkAttempt(was?.underWay, is.underWay, item);
        if (is === undefined) {
          fail(`${was?.jobId} was deleted`);
        } else if (was === undefined) {
          if (is.stagedIn !== undefined) continue;
          accepted = true;
          accept(is);
          if (events.get(is.jobId)?.length !== 1) fail(`${is.jobId} was accepted without its first event`);
        } else {
          checkJob(was, is, events.get(is.jobId) ?? []);
        }
        events.get(is?.jobId ?? "")?.forEach(checkEvent);
        events.delete(is?.jobId ?? "");
      }
      for (const jobId of events.keys()) fail(`${jobId} got an event without a change of the job`);
      const wrong = counters.compare(touched.values(), table());
      if (wrong !== undefined) fail(wrong);
      if (accepted) checkQueueBound(touched.values());
    },
  };
}

/** Without a copy: who reads here changes nothing. */
function recordOf<T>(item: Item): T {
  return item as unknown as T;
}
