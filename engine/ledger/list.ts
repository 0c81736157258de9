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
  const { cursor } = page;
  // Nothing is newer than now, whatever a cursor or a filter says: the months to look through stay those of the home.
  const start = Math.min(
    ledger.clock(),
    cursor === undefined ? Infinity : decodeTime(cursor.slice("job_".length)),
    filter.createdBefore === undefined ? Infinity : Date.parse(filter.createdBefore),
  );
  const oldest = Math.max(
    Date.parse(page.since),
    filter.createdAfter === undefined ? 0 : Date.parse(filter.createdAfter),
  );
  const jobs: JobRecord[] = [];
  let scanned = 0;
  let before = cursor;
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

/** The months (`2026-05`) from one time back to another, newest first; none when it is turned round. */
function* monthsBack(startMs: number, oldestMs: number): Generator<string> {
  const oldest = monthNumber(oldestMs);
  // Numbers, not names: a year with more or fewer than four digits does not sort as text.
  for (let month = monthNumber(startMs); month >= oldest; month--) {
    yield new Date(Date.UTC(Math.floor(month / 12), month % 12)).toISOString().slice(0, 7);
  }
}

function monthNumber(ms: number): number {
  const date = new Date(ms);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

function matches(job: JobRecord, filter: JobFilter): boolean {
  if (filter.status !== undefined && !filter.status.includes(job.status)) return false;
  if (filter.runtime !== undefined && job.runtime !== filter.runtime) return false;
  if (filter.name !== undefined && job.name !== filter.name) return false;
  if (filter.createdAfter !== undefined && Date.parse(job.createdAt) <= Date.parse(filter.createdAfter)) return false;
  if (filter.createdBefore !== undefined && Date.parse(job.createdAt) >= Date.parse(filter.createdBefore)) return false;
  return (filter.labels ?? []).every(([key, value]) => job.labels[key] === value);
}
