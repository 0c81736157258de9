import type { EngineContext } from "../context.ts";
import { publishAccepted } from "../ledger/batch.ts";
import { type Lease, takeLease } from "../ledger/lease.ts";
import { noteLook } from "../ledger/looks.ts";
import { admitWaiting, wakeParked } from "./admit.ts";
import { probeCircuit } from "./circuit.ts";
import { lookAround, type RuntimeLook } from "./reconcile/look.ts";
import { removeOrphans } from "./reconcile/orphans.ts";
import { recountWhenDue } from "./reconcile/recount.ts";
import { eraseOldRuns } from "./reconcile/retention.ts";
import { goRound, type Stretch } from "./reconcile/round.ts";
import {
  ask,
  goOn,
  type ReconcileOptions,
  type ReconcileReport,
  type Sweep,
  SweepStopped,
  step,
} from "./reconcile/sweep.ts";

export type { ReconcileOptions, ReconcileReport } from "./reconcile/sweep.ts";

/** The duty whose lease a sweep has. */
export const RECONCILE_DUTY = "reconcile";

/**
 * Makes what the ledger says and what runs agree: observes ends that nobody told, judges what was lost, relaunches lost
 * executions, repeats lost stops, requeues what is due, cleans up what is left, removes orphans, drives again what waits.
 * Idempotent; one job's failure does not keep it from the others, nor one runtime's silence from the other runtimes.
 *
 * What does not fit into its time is left to the next one, which goes on there: see `goRound`.
 *
 * One sweep at a time has the lease. A sweep that stood still for so long that another one began does no harm by its
 * last step: whatever it writes is a conditional write on what it has read, and whatever it asks of a runtime or of the
 * orchestrator may be done twice.
 */
export async function reconcile(ctx: EngineContext, options: ReconcileOptions): Promise<ReconcileReport> {
  const report = newReport();
  const lease = await takeLease(ctx.ledger, RECONCILE_DUTY);
  if (lease === null) return { ...report, stopped: "lease" };
  try {
    await sweepOnce({ ctx, options, report, lease });
  } catch (error) {
    if (!(error instanceof SweepStopped)) throw error;
    report.stopped = error.why;
  } finally {
    await giveBack(ctx, lease);
  }
  return report;
}

function newReport(): ReconcileReport {
  const nothing = { looked: 0, active: null, repaired: 0, lost: 0, orphans: 0, erased: 0, failed: 0 };
  return { ...nothing, corrected: [], failures: [], stopped: null };
}

async function giveBack(ctx: EngineContext, lease: Lease): Promise<void> {
  // It expires by itself: a table that fails here must not hide what the sweep threw.
  await lease.release().catch((error: unknown) => ctx.logger.warn({ error }, "the reconciler's lease is still held"));
}

async function sweepOnce(begun: Omit<Sweep, "looks">): Promise<void> {
  const beganAtMs = begun.ctx.clock();
  await goOn(begun);
  const sweep: Sweep = { ...begun, looks: await lookAround(begun) };
  const { ctx } = sweep;
  const stretch = await goRound(sweep, beganAtMs);
  await step(sweep, "batches", () => publishAccepted(ctx.ledger));
  await step(sweep, "counters", () => recountWhenDue(sweep));
  await Promise.all([...sweep.looks.values()].map((look) => sweepRuntime(sweep, look, stretch)));
  // Last: nobody waits for it.
  await step(sweep, "retention", async () => {
    sweep.report.erased += await eraseOldRuns(sweep);
  });
}

/** What is done for a runtime as a whole. */
async function sweepRuntime(sweep: Sweep, look: RuntimeLook, stretch: Stretch): Promise<void> {
  const { ctx } = sweep;
  const { name } = look.runtime;
  const aliveAtMs = stretch.seenAliveAtMs(name);
  if (aliveAtMs !== undefined) await step(sweep, name, () => noteLook(ctx.ledger, name, aliveAtMs));
  if (!look.silent) {
    const probe = () => probeCircuit(ctx, look.runtime);
    await step(sweep, name, () => ask(sweep, { runtime: name, what: `probe ${name}` }, probe));
  }
  await step(sweep, name, () => wakeParked(ctx, name));
  await step(sweep, name, () => admitWaiting(ctx, name));
  await removeOrphans(sweep, look, stretch);
}
