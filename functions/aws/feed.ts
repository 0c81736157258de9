import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from "aws-lambda";
import { streamedItems } from "../../adapters/table/dynamodb/feed.ts";
import type { Logger } from "../../engine/ports/logger.ts";
import type { FeedRecord } from "../../engine/ports/table.ts";
import type { FeedResult } from "../change-feed.ts";

type FeedHandler<C> = (records: FeedRecord[], context: C) => Promise<FeedResult> | FeedResult;

/**
 * Hands the records of the table's stream to a handler of the change feed. Answers with the first record that is to be
 * delivered again; all behind it come again too. Where a whole batch fails, its records are handed over one by one: what
 * stands before the one that fails is done with, and what stands behind it waits.
 */
export function feed<C>(
  logger: Logger,
  handler: FeedHandler<C>,
): (event: DynamoDBStreamEvent, context: C) => Promise<DynamoDBBatchResponse> {
  return async (event, context) => {
    const streamed = streamedItems(event.Records);
    const records = streamed.map(({ item }, position) => ({ position, item }));
    const failedAt = await firstFailure(records, async (part) => await handler(part, context));
    if (failedAt === undefined) return { batchItemFailures: [] };
    const itemIdentifier = streamed[failedAt]?.sequenceNumber ?? "";
    logger.warn({ records: records.length, failedAt, itemIdentifier }, "a part of the change feed is delivered again");
    return { batchItemFailures: [{ itemIdentifier }] };
  };

  async function firstFailure(
    records: FeedRecord[],
    handle: (records: FeedRecord[]) => Promise<FeedResult>,
  ): Promise<number | undefined> {
    if (records.length === 0) return undefined;
    try {
      return least((await handle(records)).failed);
    } catch (error) {
      logger.warn({ records: records.length, failure: error }, "a batch of the change feed failed");
    }
    for (const record of records) {
      try {
        if ((await handle([record])).failed.length > 0) return record.position;
      } catch (error) {
        logger.error({ sk: record.item.sk, pk: record.item.pk, failure: error }, "a record of the change feed failed");
        return record.position;
      }
    }
    return undefined;
  }
}

function least(positions: number[]): number | undefined {
  return positions.length === 0 ? undefined : Math.min(...positions);
}
