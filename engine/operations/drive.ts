import type { EngineContext } from "../context.ts";
import { publishBatch } from "../ledger/batch.ts";
import { eventsOf } from "../ledger/items.ts";
import { readLife } from "../ledger/read.ts";
import type { EventRecord } from "../ledger/records.ts";
import type { Item } from "../ports/table.ts";
import { FREEING } from "../states.ts";
import { admitWaiting, wakeParked } from "./admit.ts";
import { cleanUp } from "./finalize.ts";
import { stopRequestedInBackground } from "./stop.ts";

/** What the change feed carries: events of jobs, and accepted batches. */
export function isBatchRecord(item: Item): item is Item & { jobIds: string[] } {
  return item.pk.startsWith("BATCH#");
}

function freesSlot({ type, data }: EventRecord): boolean {
  return FREEING.has(type) || (type === "RECONCILED" && data.deferred === true);
}

/** What a deferred launch has left of a job that was cancelled in the queue: no execution is there to remove it. */
function cleanInBackground(ctx: EngineContext, { jobId }: EventRecord): void {
  ctx.background(`clean ${jobId}`, async () => {
    const life = await readLife(ctx.ledger, jobId);
    if (life?.attempt != null && life.attempt.exit === null) await cleanUp(ctx, life);
  });
}

/**
 * Drives the lifecycle from what was committed: a new job or a freed slot asks for admission, a requested cancel stops
 * what runs. Records come at least once; everything here may be done twice.
 */
export async function drive(ctx: EngineContext, items: Item[]): Promise<void> {
  const toAdmit = new Set<string>();
  const freedKeys = new Set<string>();
  for (const item of items) if (isBatchRecord(item)) await publishBatch(ctx.ledger, item.jobIds);
  for (const event of items.filter((item) => !isBatchRecord(item)).flatMap(eventsOf)) {
    if (event.type === "CANCEL_REQUESTED") stopRequestedInBackground(ctx, event);
    if (event.type === "CANCELLED") cleanInBackground(ctx, event);
    if (event.type === "SUBMITTED") toAdmit.add(event.runtime);
    if (!freesSlot(event)) continue;
    toAdmit.add(event.runtime);
    if (event.concurrencyKey !== undefined) freedKeys.add(event.concurrencyKey);
  }
  if (freedKeys.size > 0) {
    // Jobs of any runtime may wait for a key; also for one that only a waiting job of that key has given up.
    for (const { name } of ctx.runtimes.all()) {
      await wakeParked(ctx, name, freedKeys);
      toAdmit.add(name);
    }
  }
  for (const runtime of toAdmit) await admitWaiting(ctx, runtime);
}
