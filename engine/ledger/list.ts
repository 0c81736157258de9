import { decodeTime } from "ulid";
import type { Status } from "../states.ts";
import { recordOf } from "./items.ts";
import { listPartition } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import { listNewest } from "./newest.ts";
import type { JobRecord } from "./records.ts";

/** What `GET /jobs` can ask for; all given conditions must hold. */
export interface JobFilter {
  status?: Status[];
  runtime?: string;
  name?: string;
  /** Keys and values; a key that is there twice with two values matches no job. */
  labels?: [string, string][];
  /** RFC 3339, both exclusive. */
  createdAfter?: string;
  createdBefore?: string;
}

export interface JobPage {
  jobs: JobRecord[];
  /** The id of the last job looked at, when there may be more. */
  nextCursor: string | null;
}

/**
 * Jobs, newest first, back to the home's first one.
 * @param page.since when the home was made (RFC 3339): nothing is older.
 */
export async function listJobs(
  ledger: Ledger,
  filter: JobFilter,
  page: { limit: number; cursor?: string; since: string },
): Promise<JobPage> {
  const { limit, cursor } = page;
  const { items, nextCursor } = await listNewest(ledger, {
    partition: listPartition,
    limit,
    cursor,
    startMs: Math.min(
      cursor === undefined ? Infinity : decodeTime(cursor.slice("job_".length)),
      filter.createdBefore === undefined ? Infinity : Date.parse(filter.createdBefore),
    ),
    oldestMs: Math.max(Date.parse(page.since), filter.createdAfter === undefined ? 0 : Date.parse(filter.createdAfter)),
    matches: (item) => matches(recordOf<JobRecord>(item), filter),
  });
  return { jobs: items.map((item) => recordOf<JobRecord>(item)), nextCursor };
}

function matches(job: JobRecord, filter: JobFilter): boolean {
  if (filter.status !== undefined && !filter.status.includes(job.status)) return false;
  if (filter.runtime !== undefined && job.runtime !== filter.runtime) return false;
  if (filter.name !== undefined && job.name !== filter.name) return false;
  if (filter.createdAfter !== undefined && Date.parse(job.createdAt) <= Date.parse(filter.createdAfter)) return false;
  if (filter.createdBefore !== undefined && Date.parse(job.createdAt) >= Date.parse(filter.createdBefore)) return false;
  return (filter.labels ?? []).every(([key, value]) => job.labels[key] === value);
}
