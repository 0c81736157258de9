import { makeHandler } from "../../publish.ts";
import { createContext } from "../context.ts";
import { busOf } from "../drivers.ts";
import { feed } from "../feed.ts";
import { createMetrics } from "../metrics.ts";
import { invocable, serve } from "../serve.ts";

/** What the table's stream delivers leaves for the bus. */
export const handler = serve(async (base) => {
  const bus = createMetrics(base.settings.LONGSHORE_STAGE).counting(busOf(base));
  return feed(base.logger, invocable(makeHandler(await createContext(base, {}), bus)));
});
