import { type Change, ConflictError, type Key, MAX_CHANGES, type Page } from "../ports/table.ts";
import type { JobSpec } from "../spec/schema.ts";
import { recordOf } from "./items.ts";
import { jobKey, specKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { JobRecord } from "./records.ts";

const PAGE = 1000;

/** Everything that the ledger has of a job. */
export interface JobItems {
  job: JobRecord;
  spec: JobSpec | undefined;
  /** Of all its other items. */
  keys: Key[];
}

/** What the ledger has of a job; undefined when there is no such job. */
export async function readJobItems({ table }: Ledger, jobId: string): Promise<JobItems | undefined> {
  const own = jobKey(jobId);
  let job: JobRecord | undefined;
  let spec: JobSpec | undefined;
  const keys: Key[] = [];
  let cursor: string | undefined;
  do {
    const query = { pk: own.pk, limit: PAGE };
    const page: Page = await table.query(cursor === undefined ? query : { ...query, cursor });
    for (const item of page.items) {
      if (item.sk === own.sk) job = recordOf<JobRecord>(item);
      else keys.push({ pk: item.pk, sk: item.sk });
      if (item.sk === specKey(jobId).sk) spec = item.spec as JobSpec;
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return job === undefined ? undefined : { job, spec, keys };
}

/**
 * Erases everything that the ledger has of a job, its dead letter and its sealed spec with it; the job itself goes last, so
 * that an erasure that is broken off can be found and gone on with.
 *
 * The race that it wins: whoever else writes to the job changes its version, and then it stays.
 * @returns false when the job has changed since it was read; what it has besides may be gone then.
 */
export async function eraseJob({ table }: Ledger, { job, keys }: JobItems): Promise<boolean> {
  const key = jobKey(job.jobId);
  const guard = { equals: { version: job.version } };
  const left = [...keys];
  try {
    while (left.length >= MAX_CHANGES) {
      const some = left.splice(0, MAX_CHANGES - 1);
      await table.commit([{ kind: "check", key, guard }, ...some.map(deletion)]);
    }
    await table.commit([{ kind: "delete", key, guard }, ...left.map(deletion)]);
    return true;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    return false;
  }
}

function deletion(key: Key): Change {
  return { kind: "delete", key };
}
