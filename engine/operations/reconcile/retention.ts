import type { EngineContext } from "../../context.ts";
import { type Boundaries, noteRetention, type RetentionNote, readRetention } from "../../ledger/retention.ts";
import { walkJobs } from "../../ledger/runs.ts";
import { cutoffMs, isErasable, latestCutoffMs, type Retention } from "../../retention.ts";
import { isTerminal, TERMINAL_STATUSES } from "../../states.ts";
import { nextTurn } from "../../turn.ts";
import { eraseFinished } from "../erase-run.ts";
import { asOwner, type Sweep } from "./sweep.ts";

/** Between the end of a pass over the old runs and the next one. */
const EVERY_MS = 3600_000;
/** The most of one sweep; what is left then is for the next one. */
const MAX_RUNS = 1000;
const MAX_LOOKED_AT = 20_000;
const MAX_MS = 8000;
/** Of what stays so many are passed by before the others have their turn. */
const LOT = 100;

/**
 * Erases the runs that are older than they are kept, or more than are kept, when it is time to. A pass goes through the jobs
 * from the oldest on, over as many sweeps as it takes; where it stands is noted, so that one that dies is gone on with.
 * @returns how many it erased.
 */
export async function eraseOldRuns(sweep: Sweep): Promise<number> {
  const { ctx, lease } = sweep;
  const { retention } = ctx;
  if (retention === undefined) return 0;
  const nowMs = ctx.clock();
  const before = await readRetention(ctx.ledger);
  if (before !== undefined && before.dueAtMs > nowMs) return 0;
  const boundaries = before?.after == null ? await boundariesOf(ctx, retention) : before.boundaries;
  const untilMs = Math.min(nowMs + MAX_MS, sweep.options.until ?? Infinity);
  const pass = await erase(ctx, { retention, boundaries, after: before?.after ?? undefined, nowMs, untilMs });
  const note: RetentionNote =
    pass.after === null
      ? { dueAtMs: nowMs + EVERY_MS, after: null, boundaries: { byStatus: {} } }
      : { dueAtMs: nowMs, after: pass.after, boundaries };
  await asOwner(() => noteRetention(ctx.ledger, lease, note));
  return pass.erased;
}

interface Pass {
  retention: Retention;
  boundaries: Boundaries;
  after: string | undefined;
  nowMs: number;
  untilMs: number;
}

/** @returns `after`: behind which job it goes on; null: the pass is at its end. */
async function erase(ctx: EngineContext, pass: Pass): Promise<{ erased: number; after: string | null }> {
  const { retention, boundaries, nowMs, untilMs } = pass;
  const newest = [boundaries.all, ...Object.values(boundaries.byStatus)].reduce<string>(
    (max, one) => (one !== undefined && one > max ? one : max),
    "",
  );
  const walk = {
    after: pass.after,
    fromMs: Date.parse(ctx.home.createdAt),
    // What is beyond a number may be of any age.
    toMs: newest === "" ? latestCutoffMs(retention, nowMs) : nowMs,
  };
  let [erased, looked] = [0, 0];
  for await (const job of walkJobs(ctx.ledger, walk)) {
    const { jobId, status, finishedAt } = job;
    if (Date.parse(job.createdAt) > latestCutoffMs(retention, nowMs) && jobId >= newest) break;
    looked++;
    if (isErasable(job) && isTerminal(status) && finishedAt !== null) {
      const isOld = Date.parse(finishedAt) <= cutoffMs(retention, status, nowMs);
      const isSurplus = jobId < (boundaries.all ?? "") || jobId < (boundaries.byStatus[status] ?? "");
      if ((isOld || isSurplus) && (await eraseFinished(ctx, job))) {
        erased++;
        await nextTurn();
      }
    }
    if (erased >= MAX_RUNS || looked >= MAX_LOOKED_AT || ctx.clock() >= untilMs) return { erased, after: jobId };
    if (looked % LOT === 0) await nextTurn();
  }
  return { erased, after: null };
}

/** Behind the newest runs, as many as are kept; of any status and of single ones. */
async function boundariesOf(ctx: EngineContext, { runs }: Retention): Promise<Boundaries> {
  const boundaries: Boundaries = { byStatus: {} };
  let all = runs.all ?? 0;
  const left = { ...runs.byStatus };
  const open = () => (all > 0 ? 1 : 0) + TERMINAL_STATUSES.filter((status) => (left[status] ?? 0) > 0).length;
  if (open() === 0) return boundaries;
  let looked = 0;
  const walk = { fromMs: Date.parse(ctx.home.createdAt), toMs: ctx.clock(), newestFirst: true };
  for await (const { jobId, status } of walkJobs(ctx.ledger, walk)) {
    if (++looked % LOT === 0) await nextTurn();
    if (!isTerminal(status)) continue;
    if (all > 0 && --all === 0) boundaries.all = jobId;
    const ofStatus = left[status] ?? 0;
    if (ofStatus > 0) {
      left[status] = ofStatus - 1;
      if (ofStatus === 1) boundaries.byStatus[status] = jobId;
    }
    if (open() === 0) break;
  }
  return boundaries;
}
