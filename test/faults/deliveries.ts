import type { AttributeValue, TransactWriteItemsCommandInput } from "@aws-sdk/client-dynamodb";
import type { PutEventsCommandInput } from "@aws-sdk/client-eventbridge";
import type { DynamoDBBatchResponse } from "aws-lambda";
import type { Done } from "./calls.ts";
import type { VirtualClock } from "./clock.ts";

/** A record of the table's stream, as far as Longshore reads it. */
export interface StreamRecord {
  eventName: "INSERT";
  dynamodb: { SequenceNumber: string; NewImage: Record<string, AttributeValue> };
}

/** The events that a commit put into the table; none for any other call. */
export function eventsPut({ command, input }: Done): StreamRecord["dynamodb"]["NewImage"][] {
  if (command !== "TransactWriteItemsCommand") return [];
  return ((input as TransactWriteItemsCommandInput).TransactItems ?? []).flatMap(({ Put }) =>
    Put?.Item?.sk?.S?.startsWith("EVENT#") ? [Put.Item as StreamRecord["dynamodb"]["NewImage"]] : [],
  );
}

/** The ids of the events that the bus took with a call. */
export function idsTaken({ command, input }: Done): string[] {
  if (command !== "PutEventsCommand") return [];
  const { Entries = [] } = input as PutEventsCommandInput;
  return Entries.map(({ Detail = "{}" }) => String((JSON.parse(Detail) as { id?: string }).id));
}

/** An event source mapping: hands a stream's records to a function, in order, and again those that it did not take. */
export interface Mapping {
  add(record: StreamRecord): void;
}

export interface MappingOptions {
  clock: VirtualClock;
  /** How long records are gathered, ms. */
  windowMs: number;
  /** The records that the function is woken for. */
  wants(record: StreamRecord): boolean;
  /** Asks for a turn of the function. */
  enqueue(work: () => Promise<void>): void;
  handle(event: { Records: StreamRecord[] }): Promise<DynamoDBBatchResponse>;
}

/** As the stack sets it: `retryAttempts`. */
const MAX_RETRIES = 20;
const RETRY_MS = 1_000;

export function createMapping({ clock, windowMs, wants, enqueue, handle }: MappingOptions): Mapping {
  let waiting: StreamRecord[] = [];
  let scheduled = false;
  let failures = 0;

  const schedule = (delayMs: number) => {
    if (scheduled) return;
    scheduled = true;
    if (delayMs === 0) enqueue(deliver);
    else clock.setTimer(clock.outside, delayMs, () => enqueue(deliver));
  };

  async function deliver(): Promise<void> {
    scheduled = false;
    const batch = [...waiting];
    const taken = await handle({ Records: batch }).then(
      ({ batchItemFailures: [first] }) =>
        first === undefined
          ? batch.length
          : batch.findIndex(({ dynamodb }) => dynamodb.SequenceNumber === first.itemIdentifier),
      () => 0,
    );
    failures = taken === 0 ? failures + 1 : 0;
    const passedOver = failures > MAX_RETRIES ? 1 : 0;
    waiting = waiting.slice(taken + passedOver);
    if (waiting.length > 0) schedule(taken === batch.length ? windowMs : RETRY_MS);
  }

  return {
    add(record) {
      if (!wants(record)) return;
      waiting.push(record);
      schedule(windowMs);
    },
  };
}
