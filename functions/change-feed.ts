import middy from "@middy/core";
import type { EngineContext } from "../engine/context.ts";
import { drive } from "../engine/operations/drive.ts";
import type { FeedRecord } from "../engine/ports/table.ts";

export interface FeedResult {
  /** Positions to deliver again: the first of them and everything after it. */
  failed: number[];
}

/**
 * What the table's change feed delivers: drives the lifecycle from what was committed. A batch that throws is delivered
 * again; everything in it may be done twice.
 */
export function makeHandler(ctx: EngineContext) {
  return middy<FeedRecord[], FeedResult>().handler(async (records) => {
    await drive(
      ctx,
      records.map(({ item }) => item),
    );
    return { failed: [] };
  });
}
