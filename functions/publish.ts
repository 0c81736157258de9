import middy from "@middy/core";
import type { EngineContext } from "../engine/context.ts";
import { type EventTaken, publishEvents } from "../engine/operations/publish.ts";
import { recordRuns } from "../engine/operations/record-runs.ts";
import type { Bus } from "../engine/ports/bus.ts";
import type { FeedRecord } from "../engine/ports/table.ts";
import type { RunFile } from "../engine/runs/files.ts";
import type { FeedResult } from "./change-feed.ts";

/** What a deployed home stores of a run: one object, of which the other forms are made when they are asked for. */
export const RECORDED: readonly RunFile[] = ["run_receipt.json"];

/**
 * What the table's change feed delivers: every event leaves for the bus, in order per job, at least once.
 * @param port.taken gets what has left; default nobody.
 * @param recorded the forms of the records of runs to store along, where nobody else reads the feed for them; default none.
 */
export function makeHandler(
  ctx: EngineContext,
  port: { bus: Bus; taken?: EventTaken },
  recorded: readonly RunFile[] = [],
) {
  return middy<FeedRecord[], FeedResult>().handler(async (records) => {
    const told = await publishEvents(ctx, port, records);
    if (recorded.length === 0) return { failed: told };
    // Afterwards: an object store that does not answer holds up what comes next, but nothing of this.
    return { failed: [...told, ...(await recordRuns(ctx, records, recorded))] };
  });
}
