import { decodeTime } from "ulid";
import type { Status } from "../states.ts";
import { recordOf } from "./items.ts";
import { LIST_SHARDS, listPartition } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { JobRecord } from "./records.ts";

/** What `GET /jobs` can ask for; all given conditions must hold. */
export interface JobFilter {
  status?: Status[];
  runtime?: string;
  name?: string;
  labels?: Record<string, string>;
  /** RFC 3339, both exclusive. */
  createdAfter?: string;
  createdBefore?: string;
}

export interface JobPage {
  jobs: JobRecord[];
  /** The id of the last job looked at, when there may be more. */
  nextCursor: string | null;
}

/** Jobs looked at per call at most, so that a rare filter over a long history costs a bounded read a page. */
const MAX_SCANNED = 5000;

/**
 * Jobs, newest first: month by month back to the home's first one, the shards of a month merged by id.
 * @param page.since when the home was made (RFC 3339): nothing is older.
 */
export async function listJobs(
  ledger: Ledger,
  filter: JobFilter,
  page: { limit: number; cursor?: string; since: string },
): Promise<JobPage> {
  const newest = page.cursor === undefined ? ledger.clock() : decodeTime(page.cursor.slice("job_".length));
  const start = filter.createdBefore === undefined ? newest : Math.min(newest, Date.parse(filter.createdBefore));
  const oldest = Math.max(
    Date.parse(page.since),
    filter.createdAfter === undefined ? 0 : Date.parse(filter.createdAfter),
  );
  const jobs: JobRecord[] = [];
  let scanned = 0;
  let before = page.cursor;
  for (const month of monthsBack(start, oldest)) {
    for (;;) {
      const batch = await readMonth(ledger, month, { before, limit: page.limit });
      for (const job of batch) {
        before = job.jobId;
        scanned++;
        if (matches(job, filter)) jobs.push(job);
        if (jobs.length === page.limit) return { jobs, nextCursor: job.jobId };
      }
      if (scanned >= MAX_SCANNED) return { jobs, nextCursor: before ?? null };
      if (batch.length < page.limit) break;
    }
  }
  return { jobs, nextCursor: null };
}

async function readMonth(
  ledger: Ledger,
  month: string,
  { before, limit }: { before: string | undefined; limit: number },
): Promise<JobRecord[]> {
  const sk = before === undefined ? {} : { sk: { before } };
  const pages = await Promise.all(
    Array.from({ length: LIST_SHARDS }, (_, shard) =>
      ledger.table.query({ index: "index1", pk: listPartition(month, shard), descending: true, limit, ...sk }),
    ),
  );
  const jobs = pages.flatMap((page) => page.items.map((item) => recordOf<JobRecord>(item)));
  return jobs.sort((a, b) => (a.jobId < b.jobId ? 1 : -1)).slice(0, limit);
}

function* monthsBack(startMs: number, oldestMs: number): Generator<string> {
  const month = new Date(startMs);
  month.setUTCDate(1);
  const last = new Date(oldestMs).toISOString().slice(0, 7);
  for (let name = month.toISOString().slice(0, 7); name >= last; name = month.toISOString().slice(0, 7)) {
    yield name;
    month.setUTCMonth(month.getUTCMonth() - 1);
  }
}

function matches(job: JobRecord, filter: JobFilter): boolean {
  if (filter.status !== undefined && !filter.status.includes(job.status)) return false;
  if (filter.runtime !== undefined && job.runtime !== filter.runtime) return false;
  if (filter.name !== undefined && job.name !== filter.name) return false;
  if (filter.createdAfter !== undefined && Date.parse(job.createdAt) <= Date.parse(filter.createdAfter)) return false;
  if (filter.createdBefore !== undefined && Date.parse(job.createdAt) >= Date.parse(filter.createdBefore)) return false;
  return Object.entries(filter.labels ?? {}).every(([key, value]) => job.labels[key] === value);
}
