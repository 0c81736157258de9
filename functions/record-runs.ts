import middy from "@middy/core";
import type { EngineContext } from "../engine/context.ts";
import { recordRuns } from "../engine/operations/record-runs.ts";
import type { FeedRecord } from "../engine/ports/table.ts";
import type { FeedResult } from "./change-feed.ts";

/** What the table's change feed tells the end of is recorded in the object store, in every form. */
export function makeHandler(ctx: EngineContext) {
  return middy<FeedRecord[], FeedResult>().handler(async (records) => ({ failed: await recordRuns(ctx, records) }));
}
