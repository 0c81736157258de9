import type { JobId } from "../engine/ids.ts";
import { isBatchRecord } from "../engine/operations/drive.ts";
import type { ChangeFeed, FeedRecord } from "../engine/ports/table.ts";
import type { Changes } from "../functions/stream.ts";

export interface LocalChanges extends Changes {
  /** Wakes every subscriber for the last time. */
  close(): void;
}

const READ_AT_ONCE = 500;

/**
 * Wakes the readers of a job's streams when events of it were committed. The feed tells only that there is something
 * new, so it is read on from where it was read last; whose records those are is woken, and nobody else.
 *
 * No wake is lost: a commit wakes after it is done, and whoever subscribed before it is woken when its record is read;
 * whoever subscribed after it finds it in the table. Where the feed cannot tell, everybody is woken and looks.
 */
export function createChanges(feed: ChangeFeed): LocalChanges {
  const subscribers = new Map<string, Set<() => void>>();
  let position = 0;
  let isNew = false;
  let reading = false;

  const wake = (jobId: string) => {
    for (const one of subscribers.get(jobId) ?? []) one();
  };
  const wakeAll = () => {
    for (const jobId of subscribers.keys()) wake(jobId);
  };

  function take(records: FeedRecord[]): void {
    const [first, last] = [records[0], records.at(-1)];
    if (first === undefined || last === undefined) return;
    // Positions that are skipped may be records that the feed's other readers had passed, and that were trimmed.
    if (first.position > position + 1) wakeAll();
    position = last.position;
    for (const jobId of new Set(records.flatMap(({ item }) => jobsOf(item)))) wake(jobId);
  }

  async function readOn(): Promise<void> {
    // What is committed while the feed is read is not in what that read gives.
    while (isNew) {
      isNew = false;
      const records = await feed.read(position, READ_AT_ONCE);
      take(records);
      if (records.length === READ_AT_ONCE) isNew = true;
    }
  }

  function onCommit(): void {
    // Nobody to wake: what is passed over now, later readers find in the table.
    if (subscribers.size === 0) return;
    isNew = true;
    if (reading) return;
    reading = true;
    readOn()
      // A feed that cannot be read has a table that cannot: each reader finds that out for itself, and says so.
      .catch(wakeAll)
      .finally(() => {
        reading = false;
        if (isNew) onCommit();
      });
  }

  const unsubscribe = feed.subscribe(onCommit);
  return {
    subscribe(jobId: JobId) {
      let pending = Promise.withResolvers<void>();
      const resolve = () => pending.resolve();
      const ofJob = subscribers.get(jobId) ?? new Set();
      subscribers.set(jobId, ofJob.add(resolve));
      return {
        async next(signal) {
          signal.addEventListener("abort", resolve, { once: true });
          if (signal.aborted) resolve();
          await pending.promise;
          signal.removeEventListener("abort", resolve);
          pending = Promise.withResolvers<void>();
        },
        end() {
          ofJob.delete(resolve);
          if (ofJob.size === 0 && subscribers.get(jobId) === ofJob) subscribers.delete(jobId);
        },
      };
    },
    close() {
      unsubscribe();
      wakeAll();
    },
  };
}

/** The jobs that a record of the feed is about. */
function jobsOf(item: FeedRecord["item"]): string[] {
  return isBatchRecord(item) ? item.jobIds : [item.jobId as string];
}
