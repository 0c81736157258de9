import middy from "@middy/core";
import type { EngineContext } from "../engine/context.ts";
import { type EventTaken, publishEvents } from "../engine/operations/publish.ts";
import type { Bus } from "../engine/ports/bus.ts";
import type { FeedRecord } from "../engine/ports/table.ts";
import type { FeedResult } from "./change-feed.ts";

/**
 * What the table's change feed delivers: every event leaves for the bus, in order per job, at least once.
 * @param taken gets what has left; default nobody.
 */
export function makeHandler(ctx: EngineContext, bus: Bus, taken?: EventTaken) {
  const port = taken === undefined ? { bus } : { bus, taken };
  return middy<FeedRecord[], FeedResult>().handler(async (records) => ({
    failed: await publishEvents(ctx, port, records),
  }));
}
