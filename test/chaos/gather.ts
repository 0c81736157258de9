import type { Target } from "../scenarios/client.ts";
import type { Job, JobEvent, LogLine, Page } from "../scenarios/contract.ts";
import type { Account } from "./checks.ts";
import { insist } from "./client.ts";

const AT_ONCE = 8;

/** What the API tells of these jobs, in their order; undefined for one that it does not know. */
export async function accountsOf(target: Target, jobIds: readonly string[]): Promise<(Account | undefined)[]> {
  const accounts: (Account | undefined)[] = [];
  let at = 0;
  const reader = async () => {
    for (let index = at++; index < jobIds.length; index = at++) {
      accounts[index] = await accountOf(target, jobIds[index] as string);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
  return Array.from({ length: jobIds.length }, (_, index) => accounts[index]);
}

async function accountOf(target: Target, jobId: string): Promise<Account | undefined> {
  const { status, body: job, text } = await insist<Job>(target, `/jobs/${jobId}`);
  if (status === 404) return undefined;
  if (status !== 200) throw new Error(`${jobId} was answered ${status}: ${text}`);
  const [events, lines] = await Promise.all([
    everyPage<JobEvent>(target, `/jobs/${jobId}/events?limit=1000`),
    everyPage<LogLine>(target, `/jobs/${jobId}/logs?limit=10000`),
  ]);
  return { job, events, lines };
}

/** All items of a list; `path` has a query. */
export async function everyPage<T>(target: Target, path: string): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const from: string = cursor === "" ? path : `${path}&cursor=${cursor}`;
    const { status, body, text } = await insist<Page<T>>(target, from);
    if (status !== 200) throw new Error(`${from} was answered ${status}: ${text}`);
    for (const item of body.items) items.push(item);
    cursor = body.nextCursor;
  }
  return items;
}
