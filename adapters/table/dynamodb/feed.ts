import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import type { Item } from "../../../engine/ports/table.ts";
import { decodeItem, type Stored } from "./attributes.ts";

const EVENT_PREFIX = "EVENT#";

/** What Longshore needs of a record of a DynamoDB stream, as a Lambda function gets it. */
export interface StreamRecord {
  eventName?: "INSERT" | "MODIFY" | "REMOVE" | undefined;
  dynamodb?: { SequenceNumber?: string | undefined; NewImage?: unknown } | undefined;
}

/** An event item that was committed, with the record's place in its shard for the report of partial failures. */
export interface StreamedItem {
  sequenceNumber: string;
  item: Item;
}

/**
 * The new event items in a batch of stream records, in order; everything else is left out: other items, an event that
 * was written again, and what was removed. The records must carry new images.
 * @throws LongshoreError INTERNAL for an item that Longshore did not write.
 */
export function streamedItems(records: readonly StreamRecord[]): StreamedItem[] {
  return records.flatMap(({ eventName, dynamodb }) => {
    const image = dynamodb?.NewImage as Stored | undefined;
    if (eventName !== "INSERT" || image === undefined || !isEvent(image.sk)) return [];
    return [{ sequenceNumber: dynamodb?.SequenceNumber ?? "", item: decodeItem(image) }];
  });
}

function isEvent(sk: AttributeValue | undefined): boolean {
  return sk?.S?.startsWith(EVENT_PREFIX) ?? false;
}
