import { makeHandler, RECORDED } from "../../publish.ts";
import { createContext } from "../context.ts";
import { busOf } from "../drivers.ts";
import { feed } from "../feed.ts";
import { lazyObjectsOf } from "../lazy-objects.ts";
import { createMetrics } from "../metrics.ts";
import { invocable, serve } from "../serve.ts";

/** What the table's stream delivers leaves for the bus and is counted, and what has ended is recorded. */
export const handler = serve(async (base) => {
  const metrics = createMetrics(base.settings.LONGSHORE_STAGE);
  const ctx = await createContext(base, { objects: lazyObjectsOf(base) });
  const port = { bus: busOf(base), taken: metrics.taken };
  const publish = feed(base.logger, invocable(makeHandler(ctx, port, RECORDED)));
  return async (event: Parameters<typeof publish>[0], context) => {
    try {
      return await publish(event, context);
    } finally {
      metrics.flush();
    }
  };
});
