import type { EngineContext } from "../context.ts";
import type { JobRecord } from "../ledger/records.ts";
import { matchesRun, type RunFilter, walkJobs } from "../ledger/runs.ts";
import { isErasable } from "../retention.ts";
import type { TerminalStatus } from "../states.ts";
import { nextTurn } from "../turn.ts";
import { eraseFinished } from "./erase-run.ts";

/** What `POST /runs/cleanup` asks for. */
export interface CleanupQuery {
  /** Only runs that ended before, ms since the epoch. */
  endedBeforeMs: number;
  status?: TerminalStatus[];
  /** So many of the newest of these stay, whatever their age; default none. */
  keep?: number;
  /** Only tells what would go. */
  dryRun: boolean;
  /** Where the call before ended. */
  cursor?: string;
}

export interface Cleanup {
  /** How many went, or would go. */
  removed: number;
  /** The ids of the runs that went, or would go. */
  items: string[];
  /** Present when the bound of one call was reached. */
  nextCursor: string | null;
}

/** The most of one call: an answer of API Gateway takes 29 s at most. */
const MAX_RUNS = 200;
const MAX_LOOKED_AT = 5000;
const MAX_MS = 8000;
/** Runs erased at once: a submission waits behind no more than these. */
const AT_ONCE = 2;

/** Erases finished runs, those submitted first before the others, a bounded number at a call; never an active job. */
export async function cleanUpRuns(ctx: EngineContext, query: CleanupQuery): Promise<Cleanup> {
  const { endedBeforeMs, dryRun, cursor } = query;
  const untilMs = ctx.clock() + MAX_MS;
  const filter: RunFilter = {
    finishedBefore: new Date(endedBeforeMs).toISOString(),
    ...(query.status === undefined ? {} : { status: query.status }),
  };
  const kept = await newestKept(ctx, query);
  const items: string[] = [];
  let last = cursor ?? null;
  let looked = 0;
  const walk = { after: cursor, fromMs: Date.parse(ctx.home.createdAt), toMs: endedBeforeMs };
  const found = takeWhile(walkJobs(ctx.ledger, walk), ({ jobId }) => kept === null || jobId < kept);
  for await (const batch of batches(found, AT_ONCE)) {
    const due = batch.filter((job) => isErasable(job) && matchesRun(job, filter));
    const gone = dryRun ? due.map(() => true) : await Promise.all(due.map((job) => eraseFinished(ctx, job)));
    items.push(...due.filter((_, at) => gone[at]).map(({ jobId }) => jobId));
    last = batch.at(-1)?.jobId ?? last;
    looked += batch.length;
    if (items.length >= MAX_RUNS || looked >= MAX_LOOKED_AT || ctx.clock() >= untilMs) {
      return { removed: items.length, items, nextCursor: last };
    }
    await nextTurn();
  }
  return { removed: items.length, items, nextCursor: null };
}

/** The oldest run that stays for being among the newest; null when none stays for that. */
async function newestKept(ctx: EngineContext, { keep = 0, status }: CleanupQuery): Promise<string | null> {
  if (keep === 0) return null;
  let [left, oldest] = [keep, ""];
  const walk = { fromMs: Date.parse(ctx.home.createdAt), toMs: ctx.clock(), newestFirst: true };
  for await (const job of walkJobs(ctx.ledger, walk)) {
    if (!matchesRun(job, status === undefined ? {} : { status })) continue;
    oldest = job.jobId;
    if (--left === 0) break;
  }
  return oldest;
}

async function* takeWhile(jobs: AsyncIterable<JobRecord>, goesOn: (job: JobRecord) => boolean) {
  for await (const job of jobs) {
    if (!goesOn(job)) return;
    yield job;
  }
}

async function* batches(jobs: AsyncIterable<JobRecord>, size: number): AsyncGenerator<JobRecord[]> {
  let batch: JobRecord[] = [];
  for await (const job of jobs) {
    batch.push(job);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
