import type { DynamoDBRecord } from "aws-lambda";
import type { Synthesized } from "../infra/template.ts";

/**
 * Shards of the stream of a table that bills by request: it begins with four partitions, each with a stream of its own.
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
 */
const SHARDS = 4;

/** How the deployed template lets the table's stream call a function. */
export interface Mapping {
  batchSize: number;
  windowMs: number;
  /** Batches at once of one shard; the records of one key stay together. */
  parallel: number;
  filters: unknown[];
}

/** The mapping of a function, as deployed. @throws Error when it has none. */
export function mappingOf(made: Synthesized, functionName: string): Mapping {
  const found = [...made.of("AWS::Lambda::EventSourceMapping")].find(([id]) => id.startsWith(functionName));
  if (found === undefined) throw new Error(`the stream does not call ${functionName}`);
  const [, properties] = found;
  return {
    batchSize: properties.BatchSize,
    windowMs: (properties.MaximumBatchingWindowInSeconds ?? 0) * 1000,
    parallel: properties.ParallelizationFactor ?? 1,
    filters: properties.FilterCriteria.Filters.map(({ Pattern }: { Pattern: string }) => JSON.parse(Pattern)),
  };
}

/** The deployed way from the table's stream to a function, on a clock of the test's own. */
export interface Pump {
  /** A record was committed at this time, ms. */
  add(record: DynamoDBRecord, atMs: number): void;
  /** Calls the function with every batch that is full or whose window is over by now; resolves when it has answered. */
  tick(nowMs: number): Promise<void>;
  /** When the next window is over; undefined when nothing waits. */
  dueMs(): number | undefined;
}

export function createPump(mapping: Mapping, invoke: (records: DynamoDBRecord[]) => Promise<void>): Pump {
  const { batchSize, windowMs, parallel, filters } = mapping;
  const lanes = new Map<number, { record: DynamoDBRecord; atMs: number }[]>();
  const dueOf = (lane: { atMs: number }[]) => (lane[0]?.atMs ?? Number.POSITIVE_INFINITY) + windowMs;
  return {
    add(record, atMs) {
      if (!filters.some((pattern) => matches(pattern, record))) return;
      const lane = hash(record.dynamodb?.Keys?.pk?.S ?? "") % (SHARDS * parallel);
      lanes.set(lane, [...(lanes.get(lane) ?? []), { record, atMs }]);
    },
    async tick(nowMs) {
      for (const [id, lane] of lanes) {
        let rest = lane;
        while (rest.length > 0 && (rest.length >= batchSize || dueOf(rest) <= nowMs)) {
          const endMs = dueOf(rest);
          const batch = rest.filter(({ atMs }) => atMs <= endMs).slice(0, batchSize);
          rest = rest.slice(batch.length);
          lanes.set(id, rest);
          await invoke(batch.map(({ record }) => record));
          rest = lanes.get(id) ?? [];
        }
      }
    },
    dueMs() {
      const due = Math.min(...[...lanes.values()].map(dueOf));
      return Number.isFinite(due) ? due : undefined;
    },
  };
}

/** The part of EventBridge's patterns that the deployed filters use. @throws Error for any other. */
function matches(pattern: unknown, value: unknown): boolean {
  if (!Array.isArray(pattern)) {
    const entries = Object.entries(pattern as object);
    return entries.every(([name, inner]) => matches(inner, (value as Record<string, unknown> | undefined)?.[name]));
  }
  return pattern.some((one) => {
    if (typeof one !== "object") return one === value;
    if (Object.keys(one).join() !== "prefix") throw new Error(`the lab knows no filter ${JSON.stringify(one)}`);
    return typeof value === "string" && value.startsWith(one.prefix);
  });
}

function hash(text: string): number {
  let sum = 0;
  for (const char of text) sum = (sum * 31 + char.charCodeAt(0)) >>> 0;
  return sum;
}
