import { makeHandler } from "../../publish.ts";
import { createContext } from "../context.ts";
import { busOf } from "../drivers.ts";
import { feed } from "../feed.ts";
import { createMetrics } from "../metrics.ts";
import { invocable, serve } from "../serve.ts";

/** What the table's stream delivers leaves for the bus, and is counted. */
export const handler = serve(async (base) => {
  const metrics = createMetrics(base.settings.LONGSHORE_STAGE);
  const publish = feed(base.logger, invocable(makeHandler(await createContext(base, {}), busOf(base), metrics.taken)));
  return async (event: Parameters<typeof publish>[0], context) => {
    try {
      return await publish(event, context);
    } finally {
      metrics.flush();
    }
  };
});
