import type { EngineContext } from "../context.ts";
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
/** Of what stays so many are passed by before the others have their turn. */
const LOT = 100;

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
  for await (const job of walkJobs(ctx.ledger, walk)) {
    if (kept !== null && job.jobId >= kept) break;
    looked++;
    last = job.jobId;
    // One by one: a submission waits behind no more than that.
    const goes = isErasable(job) && matchesRun(job, filter) && (dryRun || (await eraseFinished(ctx, job)));
    if (goes) items.push(job.jobId);
    if (items.length >= MAX_RUNS || looked >= MAX_LOOKED_AT || ctx.clock() >= untilMs) {
      return { removed: items.length, items, nextCursor: last };
    }
    if (goes || looked % LOT === 0) await nextTurn();
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
