import { makeHandler, RECORDED } from "../../publish.ts";
import { createContext } from "../context.ts";
import { busOf } from "../drivers.ts";
import { feed } from "../feed.ts";
import { lazyObjectsOf } from "../lazy-objects.ts";
import { createMetrics } from "../metrics.ts";
import { invocable, serve } from "../serve.ts";

/** What the table's stream delivers leaves for the bus, and what has ended is recorded. */
export const handler = serve(async (base) => {
  const bus = createMetrics(base.settings.LONGSHORE_STAGE).counting(busOf(base));
  const ctx = await createContext(base, { objects: lazyObjectsOf(base) });
  return feed(base.logger, invocable(makeHandler(ctx, bus, RECORDED)));
});
