import middy from "@middy/core";
import type { EngineContext } from "../engine/context.ts";
import { type ReconcileOptions, type ReconcileReport, reconcile } from "../engine/operations/reconcile.ts";

/** The scheduled sweep: makes what the ledger says and what runs agree. */
export function makeHandler(ctx: EngineContext) {
  return middy<ReconcileOptions, ReconcileReport>().handler(async (options) => {
    const report = await reconcile(ctx, options);
    if (report.failures.length > 0) ctx.logger.warn(report, "the reconciler could not repair everything");
    else if (report.repaired + report.orphans > 0) ctx.logger.info(report, "the reconciler repaired something");
    return report;
  });
}
