import type { FeedRecord } from "../../../engine/ports/table.ts";
import type { FeedResult } from "../../change-feed.ts";
import { makeHandler } from "../../publish.ts";
import { makeHandler as recordRuns } from "../../record-runs.ts";
import { createContext } from "../context.ts";
import { busOf } from "../drivers.ts";
import { feed } from "../feed.ts";
import { lazyObjectsOf } from "../lazy-objects.ts";
import { createMetrics } from "../metrics.ts";
import { invocable, serve } from "../serve.ts";

/** One object a run, from which its other forms can be made: each put costs as much as eight writes of the table. */
const FILES = ["run_receipt.json"] as const;

/** What the table's stream delivers leaves for the bus, and what has ended is recorded. */
export const handler = serve(async (base) => {
  const bus = createMetrics(base.settings.LONGSHORE_STAGE).counting(busOf(base));
  const ctx = await createContext(base, { objects: lazyObjectsOf(base) });
  const publish = invocable<FeedRecord[], FeedResult>(makeHandler(ctx, bus));
  const record = invocable<FeedRecord[], FeedResult>(recordRuns(ctx, FILES));
  return feed(base.logger, async (records, context) => {
    const told = await publish(records, context);
    // Afterwards: an object store that does not answer holds up what comes next, but nothing of this.
    const recorded = await record(records, context);
    return { failed: [...told.failed, ...recorded.failed] };
  });
});
