import { attemptKey, jobKey } from "../../engine/ledger/keys.ts";
import type { AttemptRecord, JobRecord } from "../../engine/ledger/records.ts";
import { currentAttempt } from "../../engine/ledger/under-way.ts";
import type { MemoryTable, Write } from "../lab/memory-table.ts";
import type { Invariants } from "./invariants.ts";
import type { Place, Start } from "./runtime.ts";

export interface StartsOptions {
  table: MemoryTable;
  invariants: Invariants;
  places(): readonly Place[];
  overlap: boolean;
}

/** What holds whenever a command is truly started, checked in that moment. */
export function createStarts({ table, invariants, places, overlap }: StartsOptions): (start: Start) => void {
  const started = new Set<string>();

  return ({ name, jobId, attempt }) => {
    const fail = (text: string) => invariants.fail(`${name} was started ${text}`);
    if (started.has(name)) fail("twice");
    started.add(name);
    const job = table.peek(jobKey(jobId)) as unknown as JobRecord | undefined;
    const stored = table.peek(attemptKey(jobId, attempt)) as unknown as AttemptRecord | undefined;
    if (job === undefined) return fail("for a job that nobody knows");
    const record = currentAttempt(job, stored ?? null) ?? undefined;
    if (record?.token === undefined) fail("before its token was stored");
    // Of two launches one may end or defer the attempt between the other's question and its start: what that one started is
    // removed by itself, or found by the next launch.
    if (overlap) return;
    if (job.attempt !== attempt) return fail(`when attempt ${job.attempt} was the current one`);
    if (job.status !== "RUNNING" || job.slotShard === null) fail(`for a job that was ${job.status}`);
    if (record?.exit != null) fail("after its attempt had ended");
    if (record?.token === null) fail("without a token that waits for its end");
    const types: string[] = invariants.jobs.get(jobId)?.types ?? [];
    const cancelledAt = types.indexOf("CANCEL_REQUESTED");
    if (cancelledAt >= 0 && cancelledAt < types.lastIndexOf("VALIDATED"))
      fail("though its cancel came before its dispatch");
    const others = places().flatMap((place) => place.namesOf(jobId));
    if (others.some((other) => other !== name)) fail(`while ${others.join(", ")} were there`);
  };
}

/** What is recorded as cleaned up is not there any more, checked in the moment of the record. */
export function checkCleaned(writes: readonly Write[], places: readonly Place[], fail: (text: string) => void): void {
  for (const { after } of writes) {
    if (after?.type !== "CLEANED_UP") continue;
    const name = `-a${after.attempt}`;
    const left = places.flatMap((place) => place.namesOf(String(after.jobId))).filter((one) => one.endsWith(name));
    if (left.length > 0) fail(`${left.join(", ")} was recorded as cleaned up and is there`);
  }
}
