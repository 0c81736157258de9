import { type Change, ConflictError, type Item, type Key, MAX_CHANGES, type Page } from "../ports/table.ts";
import { jobKey } from "./keys.ts";
import type { Ledger } from "./ledger.ts";
import type { JobRecord } from "./records.ts";

const PAGE = 1000;

/**
 * Erases everything that the ledger has of a job, its dead letter and its sealed spec with it; the job itself goes last, so
 * that an erasure that is broken off can be found and gone on with.
 *
 * The race that it wins: whoever else writes to the job changes its version, and then it stays.
 * @param job as it was when it was decided that it goes.
 * @returns false when the job has changed since; what it has besides may be gone then.
 */
export async function eraseJob({ table }: Ledger, job: Pick<JobRecord, "jobId" | "version">): Promise<boolean> {
  const { pk, sk } = jobKey(job.jobId);
  const guard = { equals: { version: job.version } };
  const keys: Key[] = [];
  let cursor: string | undefined;
  do {
    const page: Page = await table.query(cursor === undefined ? { pk, limit: PAGE } : { pk, limit: PAGE, cursor });
    keys.push(...page.items.filter((item: Item) => item.sk !== sk).map((item: Item) => ({ pk: item.pk, sk: item.sk })));
    cursor = page.cursor;
  } while (cursor !== undefined);
  try {
    const own: Change = { kind: "check", key: { pk, sk }, guard };
    while (keys.length >= MAX_CHANGES) {
      await table.commit([own, ...keys.splice(0, MAX_CHANGES - 1).map(deletion)]);
    }
    await table.commit([{ kind: "delete", key: { pk, sk }, guard }, ...keys.map(deletion)]);
    return true;
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    return false;
  }
}

function deletion(key: Key): Change {
  return { kind: "delete", key };
}
