import { Duration } from "aws-cdk-lib";
import type { ITable } from "aws-cdk-lib/aws-dynamodb";
import { EventSourceMapping, FilterCriteria, FilterRule, StartingPosition } from "aws-cdk-lib/aws-lambda";
import { SqsDlq } from "aws-cdk-lib/aws-lambda-event-sources";
import type { LongshoreFunction } from "./function.ts";
import { acknowledge } from "./nag.ts";

/** The events that drive the lifecycle; `engine/states.ts` knows the same. */
const DRIVING = [
  "SUBMITTED",
  "CANCEL_REQUESTED",
  "SUCCEEDED",
  "FAILED",
  "CANCELLED",
  "TIMED_OUT",
  "RETRY_SCHEDULED",
  "RECONCILED",
] as const;

/** The item of an event, newly put, whose other attributes are as they should. */
function eventItem(attributes: Record<string, unknown>) {
  return FilterCriteria.filter({
    eventName: FilterRule.isEqual("INSERT"),
    dynamodb: { NewImage: { sk: { S: FilterRule.beginsWith("EVENT#") }, ...attributes } },
  });
}

interface FeedOptions {
  filters: Record<string, unknown>[];
  /** Records at most in one invocation. */
  batchSize: number;
  /** How long records are gathered for one invocation. */
  window: Duration;
  /** Batches of one shard at once. Above 1 the events of a job may overtake each other: only changes of one item do not. */
  parallel: number;
  /** A record is tried this often, or this long, and then passed over. */
  patience: { retryAttempts: number } | { maxRecordAge: Duration };
}

/** What drives the lifecycle waits for nothing: it starts jobs. What it does not act on does not wake it. */
export function feedLifecycle(target: LongshoreFunction, table: ITable): void {
  feed(target, table, {
    filters: [
      eventItem({ type: { S: FilterRule.or(...DRIVING) } }),
      // An accepted batch has no type.
      eventItem({ pk: { S: FilterRule.beginsWith("BATCH#") } }),
    ],
    batchSize: 100,
    window: Duration.seconds(0),
    parallel: 2,
    // What is passed over is done by the next sweep: nothing is gained by holding up a shard for it.
    patience: { retryAttempts: 20 },
  });
}

/** Long enough for a bad release or a bus that is away, and 18 hours before the stream forgets what was passed over. */
const BUS_PATIENCE = Duration.hours(6);

/**
 * What leaves for the bus may wait for its like: a short job's events then go with one or two invocations. They leave in
 * order, and nobody sends them again: what fails is tried for hours before it is passed over.
 */
export function feedBus(target: LongshoreFunction, table: ITable): void {
  const filters = [eventItem({ pk: { S: FilterRule.beginsWith("JOB#") } })];
  const patience = { maxRecordAge: BUS_PATIENCE };
  feed(target, table, { filters, batchSize: 100, window: Duration.seconds(2), parallel: 1, patience });
}

function feed(target: LongshoreFunction, table: ITable, options: FeedOptions): void {
  const { tableStreamArn: stream } = table;
  if (stream === undefined || target.dlq === undefined)
    throw new Error("a feed needs a stream and a dead-letter queue");
  target.allow(["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], [stream]);
  target.allow(["dynamodb:ListStreams"], ["*"]);
  acknowledge(target, "IAM5[Resource::*]", "dynamodb:ListStreams and the actions of X-Ray know no resources");
  new EventSourceMapping(target, "Source", {
    target: target.lambda,
    eventSourceArn: stream,
    startingPosition: StartingPosition.TRIM_HORIZON,
    filters: options.filters,
    batchSize: options.batchSize,
    ...(options.window.toSeconds() === 0 ? {} : { maxBatchingWindow: options.window }),
    parallelizationFactor: options.parallel,
    reportBatchItemFailures: true,
    bisectBatchOnError: true,
    // Of what is passed over the queue keeps the place in the stream.
    ...options.patience,
    onFailure: new SqsDlq(target.dlq),
  });
}
