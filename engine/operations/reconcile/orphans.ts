import type { EngineContext } from "../../context.ts";
import { isKept } from "../../decide.ts";
import { advance } from "../../ledger/advance.ts";
import { readEvents, readLife } from "../../ledger/read.ts";
import type { JobRecord, Life } from "../../ledger/records.ts";
import { type Stage, stageOf } from "../../occurrences.ts";
import type { Owned } from "../../ports/runtime.ts";
import { isOlder, type RuntimeLook } from "./look.ts";
import type { Stretch } from "./round.ts";
import { ask, each, type Sweep, step } from "./sweep.ts";

/** So many of a job's last events are looked at for the announcement of the same orphan. */
const RECENT_EVENTS = 20;

/**
 * Removes what carries this home's label and belongs to no attempt that is still going on, and announces it. Of what
 * belongs to jobs that this sweep has not come to nothing is matched yet: that is for the sweep that comes to them.
 */
export async function removeOrphans(sweep: Sweep, look: RuntimeLook, { isIn }: Stretch): Promise<void> {
  const { ctx, report } = sweep;
  const { name } = look.runtime;
  const doubtful = look.owned.filter(({ ref, jobId }) => !look.matched.has(ref) && isIn(jobId));
  await each(doubtful, async (owned) => {
    await step(sweep, name, async () => {
      const life = await readLife(ctx.ledger, owned.jobId);
      if (!isOrphan(life, owned, look)) return;
      await ask(sweep, { runtime: name, what: `remove ${name} ${owned.ref}` }, async () => {
        await announce(ctx, life?.job, { owned, runtime: name });
        await look.runtime.cleanup(owned.ref);
      });
      report.orphans++;
    });
  });
}

/** Stages in which the attempt's own resource is known by its reference. */
const STARTED: ReadonlySet<Stage> = new Set(["running", "collecting"]);

/** The ledger decides; only of what it no longer knows does the resource's own label say whether it is kept on purpose. */
function isOrphan(life: Life | undefined, owned: Owned, look: RuntimeLook): boolean {
  if (life === undefined) return !owned.kept;
  const { job, attempt } = life;
  // What somebody was at after the list began may be gone since, or not be there yet.
  if (!isOlder(job, look)) return false;
  if (job.attempt !== owned.attempt) return true;
  const stage = stageOf(job);
  if (stage === "retrying") return !job.cleanupPending;
  if (stage === "terminal") return !job.cleanupPending && !(attempt !== null && isKept(job, attempt));
  if (!STARTED.has(stage) || job.externalRef === null) return false;
  // Its labels say that it is the attempt's, and it is neither what was started for it nor what would be adopted.
  return owned.ref !== job.externalRef && owned.externalName !== job.externalName;
}

/**
 * Tells of an orphan, before it is removed: on the events of its job, once however often its removal fails, or in the
 * log alone where the ledger does not know the job.
 */
async function announce(
  ctx: EngineContext,
  job: JobRecord | undefined,
  { owned, runtime }: { owned: Owned; runtime: string },
): Promise<void> {
  const { ref: externalRef, externalName } = owned;
  // Its label may say anything.
  const attempt = Number.isSafeInteger(owned.attempt) ? owned.attempt : 0;
  ctx.logger.warn({ jobId: owned.jobId, attempt, runtime, name: externalName }, "an orphan is removed");
  if (job === undefined) return;
  const recent = await readEvents(ctx.ledger, job.jobId, {
    after: Math.max(0, job.seq - RECENT_EVENTS),
    limit: RECENT_EVENTS,
  });
  if (recent.some(({ type, data }) => type === "ORPHAN_DETECTED" && data.externalRef === externalRef)) return;
  await advance(ctx.ledger, job.jobId, { type: "ORPHAN", attempt, externalName, externalRef });
}
