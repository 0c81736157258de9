import { oldestWaitingSeconds } from "../../../engine/operations/oldest-waiting.ts";
import type { ReconcileOptions, ReconcileReport } from "../../../engine/operations/reconcile.ts";
import { makeHandler } from "../../reconcile.ts";
import { createContext } from "../context.ts";
import { orchestratorOf } from "../drivers.ts";
import { createMetrics } from "../metrics.ts";
import { invocable, serve } from "../serve.ts";

/** A job that somebody touched this recently is being worked on. */
const QUIET_MS = 30_000;

/** The sweep of every minute, and the numbers that it finds. */
export const handler = serve<unknown, ReconcileReport>(async (base) => {
  const ctx = await createContext(base, { orchestrator: orchestratorOf(base) });
  const sweep = invocable<ReconcileOptions, ReconcileReport>(makeHandler(ctx));
  const metrics = createMetrics(base.settings.LONGSHORE_STAGE);
  return async (_event, context) => {
    const report = await sweep({ touchedBefore: ctx.clock() - QUIET_MS }, context);
    const names = ctx.runtimes.all().map(({ name }) => name);
    metrics.swept(report, await oldestWaitingSeconds(ctx.ledger, names));
    return report;
  };
});
