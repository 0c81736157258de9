import { readJob } from "../../ledger/read.ts";
import type { JobRecord } from "../../ledger/records.ts";
import { stageOf } from "../../occurrences.ts";
import { observeExit } from "../observe.ts";
import { findIn, isOlder, type RuntimeLook } from "./look.ts";
import { ask, type Sweep } from "./sweep.ts";

/**
 * Compares a job that runs by its record with what its runtime told: what has ended there is observed, and what the
 * runtime knows nothing of is lost. True when the record was wrong.
 *
 * The race that it wins: a job that was started, or otherwise touched, at or after the list began may be missing there
 * and be well: it is left to the next sweep. Nobody is lost on the word of a list alone, or of one that broke off: the
 * runtime is asked once more for this one.
 */
export async function compareRunning(sweep: Sweep, job: JobRecord): Promise<boolean> {
  const look = sweep.looks.get(job.runtime);
  if (look === undefined || job.externalRef === null || stageOf(job) !== "running" || !isOlder(job, look)) return false;
  const found = findIn(look, job);
  if (found !== undefined) look.matched.add(found.ref);
  if (found?.status.phase === "running") {
    look.alive++;
    return false;
  }
  if (found?.status.phase === "exited") {
    await observeExit(sweep.ctx, job, { status: found.status, externalRef: found.ref });
    return true;
  }
  if (found === undefined && !look.complete) return false;
  return await confirm(sweep, look, job);
}

async function confirm(sweep: Sweep, look: RuntimeLook, job: JobRecord): Promise<boolean> {
  const { jobId, attempt, runtime } = job;
  const { ctx } = sweep;
  const externalRef = job.externalRef ?? "";
  let phase = "";
  look.doubtful++;
  await ask(sweep, { runtime, what: `look again ${jobId}#${attempt}` }, async () => {
    const status = await look.runtime.status(externalRef);
    phase = status.phase;
    if (phase === "unknown" || phase === "exited") await observeExit(ctx, job, { status, externalRef });
  });
  if (phase === "created") return false;
  look.doubtful--;
  if (phase === "running") {
    look.alive++;
    return false;
  }
  const now = await readJob(ctx.ledger, jobId);
  if (now === undefined || now.version === job.version) return false;
  if (phase === "unknown") {
    sweep.report.lost++;
    ctx.logger.warn({ jobId, attempt, runtime }, "an attempt was lost: its runtime does not know it any more");
  }
  return true;
}
