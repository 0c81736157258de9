import middy from "@middy/core";
import type { EngineContext } from "../engine/context.ts";
import { drive } from "../engine/operations/drive.ts";
import type { FeedRecord } from "../engine/ports/table.ts";

export interface FeedResult {
  /** Positions to deliver again: the first of them and everything after it. */
  failed: number[];
}

/** What the table's change feed delivers: drives the lifecycle from what was committed. */
export function makeHandler(ctx: EngineContext) {
  return middy<FeedRecord[], FeedResult>().handler(async (records) => {
    try {
      await drive(
        ctx,
        records.map(({ item }) => item),
      );
      return { failed: [] };
    } catch (error) {
      ctx.logger.error({ err: error, records: records.length }, "the change feed could not be driven");
      return { failed: records.slice(0, 1).map(({ position }) => position) };
    }
  });
}
