import { decodeTime } from "ulid";
import { isTerminal, type TerminalStatus } from "../states.ts";
import { recordOf } from "./items.ts";
import { LIST_SHARDS, listPartition } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { listNewest, merged, monthsOn } from "./newest.ts";
import type { JobRecord } from "./records.ts";

/** What `GET /runs` can ask for; all given conditions must hold. */
export interface RunFilter {
  status?: TerminalStatus[];
  runtime?: string;
  name?: string;
  /** Keys and values. */
  labels?: [string, string][];
  /** RFC 3339, both exclusive. */
  finishedAfter?: string;
  finishedBefore?: string;
}

export interface RunPage {
  jobs: JobRecord[];
  /** The id of the last job looked at, when there may be more. */
  nextCursor: string | null;
}

/**
 * Finished jobs, those submitted last first: in the order of their ids, which the index of all jobs has.
 * @param page.since when the home was made (RFC 3339): nothing is older.
 */
export async function listRuns(
  ledger: Ledger,
  filter: RunFilter,
  { limit, cursor, since }: { limit: number; cursor?: string; since: string },
): Promise<RunPage> {
  const { items, nextCursor } = await listNewest(ledger, {
    partition: listPartition,
    limit,
    cursor,
    startMs: Math.min(
      cursor === undefined ? Infinity : timeOf(cursor),
      // A job is made before it ends.
      filter.finishedBefore === undefined ? Infinity : Date.parse(filter.finishedBefore),
    ),
    oldestMs: Date.parse(since),
    // As it is: most are passed by, and a record would have to be made of each.
    matches: (item) => matchesRun(item as unknown as JobRecord, filter),
  });
  return { jobs: items.map((item) => recordOf<JobRecord>(item)), nextCursor };
}

/** Whether a job is finished and is what a filter asks for. */
export function matchesRun(job: JobRecord, filter: RunFilter): boolean {
  const { status, finishedAt } = job;
  if (!isTerminal(status) || finishedAt === null) return false;
  if (filter.status !== undefined && !filter.status.includes(status)) return false;
  if (filter.runtime !== undefined && job.runtime !== filter.runtime) return false;
  if (filter.name !== undefined && job.name !== filter.name) return false;
  if (filter.finishedAfter !== undefined && Date.parse(finishedAt) <= Date.parse(filter.finishedAfter)) return false;
  if (filter.finishedBefore !== undefined && Date.parse(finishedAt) >= Date.parse(filter.finishedBefore)) return false;
  return (filter.labels ?? []).every(([key, value]) => job.labels[key] === value);
}

/** Which jobs a walk comes to, and in which order. */
export interface Walk {
  /** Only those behind this id, in the order of the walk. */
  after?: string | undefined;
  /** Ms since the epoch: when the oldest that are wanted were made, and the newest. */
  fromMs: number;
  toMs: number;
  newestFirst?: boolean;
}

const WALK_AHEAD = 100;

/** Every job that is listed, oldest first unless the walk says otherwise, one by one: the reader ends the walk. */
export async function* walkJobs(ledger: Ledger, walk: Walk): AsyncGenerator<JobRecord, void> {
  const { after, newestFirst = false } = walk;
  const fromMs = after === undefined || newestFirst ? walk.fromMs : Math.max(walk.fromMs, timeOf(after));
  const toMs = after === undefined || !newestFirst ? walk.toMs : Math.min(walk.toMs, timeOf(after));
  const months = monthsOn(fromMs, Math.min(toMs, ledger.clock()));
  const sk = after === undefined ? {} : newestFirst ? { before: after } : { after };
  for (const month of newestFirst ? months.reverse() : months) {
    const partitions = Array.from({ length: LIST_SHARDS }, (_, shard) => listPartition(month, shard));
    for await (const batch of merged(ledger, { partitions, sk, descending: newestFirst, limit: WALK_AHEAD })) {
      for (const item of batch) yield recordOf<JobRecord>(item);
    }
  }
}

/** When a job was made, by its id, ms since the epoch. */
function timeOf(jobId: string): number {
  return decodeTime(jobId.slice("job_".length));
}
