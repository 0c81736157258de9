import middy from "@middy/core";
import type { EngineContext } from "../engine/context.ts";
import { LongshoreError } from "../engine/errors.ts";
import { recordRuns } from "../engine/operations/record-runs.ts";
import type { FeedRecord } from "../engine/ports/table.ts";
import type { FeedResult } from "./change-feed.ts";

/**
 * What the table's change feed tells the end of is recorded in the object store, in every form. While that takes nothing, such
 * as on a full disk, it throws UNAVAILABLE: whoever hands over the records waits, and passes none of them over.
 */
export function makeHandler(ctx: EngineContext) {
  return middy<FeedRecord[], FeedResult>().handler(async (records) => {
    const failed = await recordRuns(ctx, records);
    if (failed.length === 0) return { failed };
    throw new LongshoreError("UNAVAILABLE", "the records of runs cannot be stored");
  });
}
