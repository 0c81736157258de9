import { mintedAt } from "../ids.ts";
import { recordOf } from "../ledger/items.ts";
import { waitingPartition } from "../ledger/keys.ts";
import { readLanes } from "../ledger/lanes.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { JobRecord } from "../ledger/records.ts";

/** A priority has one of so many values. */
const MAX_PRIORITIES = 201;

/**
 * For how long the oldest of the jobs has waited that wait for a slot of one of the runtimes, seconds; 0 when none waits.
 * Jobs behind their concurrency key do not count: they wait for each other. One small read for each lane and priority
 * that is in use, however many jobs wait.
 */
export async function oldestWaitingSeconds(ledger: Ledger, runtimes: readonly string[]): Promise<number> {
  let oldestMs = ledger.clock();
  for (const runtime of runtimes) {
    for (const { lane } of await readLanes(ledger, runtime)) {
      oldestMs = Math.min(oldestMs, await oldestOf(ledger, waitingPartition(runtime, lane)));
    }
  }
  return Math.max(0, Math.floor((ledger.clock() - oldestMs) / 1000));
}

/** Inside a priority the oldest comes first: one read tells it, and the next begins behind that priority. */
async function oldestOf({ table, clock }: Ledger, pk: string): Promise<number> {
  let oldestMs = clock();
  let after: string | undefined;
  for (let read = 0; read < MAX_PRIORITIES; read++) {
    const sk = after === undefined ? {} : { sk: { after } };
    const [item] = (await table.query({ index: "index2", pk, limit: 1, ...sk })).items;
    if (item === undefined) break;
    oldestMs = Math.min(oldestMs, Date.parse(mintedAt(recordOf<JobRecord>(item).jobId)));
    // `~` sorts behind every character of an id.
    after = `${item.index2?.sk.split("#", 1)[0]}#~`;
  }
  return oldestMs;
}
