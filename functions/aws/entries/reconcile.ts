import { oldestWaitingSeconds } from "../../../engine/operations/oldest-waiting.ts";
import type { ReconcileOptions, ReconcileReport } from "../../../engine/operations/reconcile.ts";
import { makeHandler } from "../../reconcile.ts";
import { createContext } from "../context.ts";
import { orchestratorOf } from "../drivers.ts";
import { lazyObjectsOf } from "../lazy-objects.ts";
import { createMetrics } from "../metrics.ts";
import { invocable, serve } from "../serve.ts";

/** A job that somebody touched this recently is being worked on. */
const QUIET_MS = 30_000;
/** A step that was begun is not cut off: a question to a runtime is waited for 20 s. */
const LAST_STEP_MS = 30_000;

/** The sweep of every minute, and the numbers that it finds. */
export const handler = serve<unknown, ReconcileReport>(async (base) => {
  const ctx = await createContext(base, { orchestrator: orchestratorOf(base), objects: lazyObjectsOf(base) });
  const sweep = invocable<ReconcileOptions, ReconcileReport>(makeHandler(ctx));
  const metrics = createMetrics(base.settings.LONGSHORE_STAGE);
  return async (_event, context) => {
    const now = ctx.clock();
    const touchedBefore = now - QUIET_MS;
    const until = now + context.getRemainingTimeInMillis() - LAST_STEP_MS;
    // The indexes of DynamoDB say no time within which they are right: two looks may be wrong in the same way.
    // Looking at an execution is a call, of which an account has about fifteen a second.
    const report = await sweep({ touchedBefore, until, closely: "few", recount: "never" }, context);
    const names = ctx.runtimes.all().map(({ name }) => name);
    metrics.swept(report, await oldestWaitingSeconds(ctx.ledger, names));
    return report;
  };
});
