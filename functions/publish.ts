import middy from "@middy/core";
import type { EngineContext } from "../engine/context.ts";
import { publishEvents } from "../engine/operations/publish.ts";
import type { Bus } from "../engine/ports/bus.ts";
import type { FeedRecord } from "../engine/ports/table.ts";
import type { FeedResult } from "./change-feed.ts";

/** What the table's change feed delivers: every event leaves for the bus, in order per job, at least once. */
export function makeHandler(ctx: EngineContext, bus: Bus) {
  return middy<FeedRecord[], FeedResult>().handler(async (records) => ({
    failed: await publishEvents(ctx, bus, records),
  }));
}
