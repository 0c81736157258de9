import type { Change } from "../ports/table.ts";
import { drainKey, drainPartition } from "./keys.ts";
import type { Ledger } from "./ledger.ts";

const BUCKET_SECONDS = 10;
/** Whole buckets looked at beside the current one: the drain of about the last minute. */
const BUCKETS = 6;
const TTL_SECONDS = 300;
const MIN_RETRY_SECONDS = 1;
const MAX_RETRY_SECONDS = 60;

/** Notes that a job leaves the queue, in the commit that lets it. */
export function left({ clock }: Ledger, shard: number): Change {
  const bucket = bucketAt(clock());
  const ttl = (bucket + 1) * BUCKET_SECONDS + TTL_SECONDS;
  return { kind: "patch", key: drainKey(shard, bucket), add: { count: 1 }, set: { ttl } };
}

/**
 * When a full queue will have let go as many jobs as asked for, at the rate of about the last minute, over all processes.
 * Whole seconds, 1–60; 60 when nothing left the queue lately.
 */
export async function secondsUntilRoom(ledger: Ledger, jobs: number): Promise<number> {
  const nowMs = ledger.clock();
  const oldest = bucketAt(nowMs) - BUCKETS;
  const after = drainKey(0, oldest - 1).sk;
  const shards = Array.from({ length: ledger.limits.shards }, (_, shard) =>
    ledger.table.query({ pk: drainPartition(shard), sk: { after } }),
  );
  const items = (await Promise.all(shards)).flatMap((page) => page.items);
  const drained = items.reduce((sum, item) => sum + Number(item.count), 0);
  if (drained === 0) return MAX_RETRY_SECONDS;
  // A home that has only begun to drain is measured from then on.
  const since = Math.min(...items.map(({ sk }) => Number(sk))) * BUCKET_SECONDS;
  const seconds = Math.ceil((jobs * Math.max(1, nowMs / 1000 - since)) / drained);
  return Math.min(MAX_RETRY_SECONDS, Math.max(MIN_RETRY_SECONDS, seconds));
}

function bucketAt(nowMs: number): number {
  return Math.floor(nowMs / 1000 / BUCKET_SECONDS);
}
