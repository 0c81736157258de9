import {
  type AttributeValue,
  type DynamoDBClient,
  GetItemCommand,
  type TransactWriteItem,
} from "@aws-sdk/client-dynamodb";
import { type Image, type IndexShape, indexUnits, sizeOf, tableUnits } from "./write-units.ts";

/** The parts of an SDK client that a meter needs; every client of the AWS SDK has them. */
interface MeteredClient {
  middlewareStack: { add(middleware: never, options: never): void };
}

/** What was asked of AWS, and what DynamoDB bills for it. */
export interface Bill {
  /** Answered calls, by the command's name without `Command`. */
  calls: Record<string, number>;
  /** Write request units, by the kind of item (`job`, `event`, …) or the index. */
  writes: Record<string, number>;
  /** Read request units. */
  reads: number;
  /** Entries that a bus was given. */
  events: number;
  /** Bytes of the largest item, by kind. */
  largest: Record<string, number>;
}

type Middleware = (
  next: (args: { input: Record<string, unknown> }) => Promise<{ output: unknown }>,
  context: { commandName?: string },
) => (args: { input: Record<string, unknown> }) => Promise<{ output: unknown }>;

export function emptyBill(): Bill {
  return { calls: {}, writes: {}, reads: 0, events: 0, largest: {} };
}

function add(numbers: Record<string, number>, name: string, n: number): void {
  if (n !== 0) numbers[name] = (numbers[name] ?? 0) + n;
}

/** The sum of a record's numbers. */
export function total(numbers: Readonly<Record<string, number>>): number {
  return Object.values(numbers).reduce((sum, n) => sum + n, 0);
}

/** Counts the calls of a client into a bill, at the SDK's own middleware: what is counted was sent and answered. */
export function meter(client: MeteredClient, bill: () => Bill): void {
  const middleware: Middleware = (next, context) => async (args) => {
    const answer = await next(args);
    add(bill().calls, nameOf(context), 1);
    if (Array.isArray(args.input.Entries)) bill().events += args.input.Entries.length;
    return answer;
  };
  client.middlewareStack.add(middleware as never, { step: "initialize", name: "longshoreTestMeter" } as never);
}

export interface TableMeterOptions {
  bill: () => Bill;
  indexes: readonly IndexShape[];
  /** A client of the same table that is not metered. */
  aside: DynamoDBClient;
  /** Whether write units are counted. */
  isMeasured: () => boolean;
  /** Is given every transaction that was done. */
  onCommit: (parts: readonly TransactWriteItem[]) => void;
}

/**
 * Counts the calls of a client of DynamoDB, and the units that AWS would bill for them. Every write of the table must go
 * through this client: what was there before a write is known from the write before.
 */
export function meterTable(
  client: DynamoDBClient,
  { bill, indexes, aside, isMeasured, onCommit }: TableMeterOptions,
): void {
  const images = new Map<string, Image>();

  async function noteWrite({ Put, Update, Delete, ConditionCheck }: TransactWriteItem): Promise<void> {
    const { TableName, Key = {} } =
      Put === undefined ? (Update ?? Delete ?? ConditionCheck ?? {}) : { ...Put, Key: keyOf(Put.Item) };
    const id = JSON.stringify(Key);
    const before = images.get(id);
    const { Item: after } = await aside.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
    images.set(id, after);
    const kind = kindOf(Key);
    add(bill().writes, kind, tableUnits(before, after));
    for (const index of indexes) add(bill().writes, index.name, indexUnits(index, before, after));
    bill().largest[kind] = Math.max(bill().largest[kind] ?? 0, sizeOf(after));
  }

  const middleware: Middleware =
    (next, context) =>
    async ({ input, ...args }) => {
      const asked = { ...input, ReturnConsumedCapacity: "TOTAL" };
      const answer = await next({ ...args, input: asked });
      const name = nameOf(context);
      add(bill().calls, name, 1);
      const parts = input.TransactItems as TransactWriteItem[] | undefined;
      if (parts === undefined) bill().reads += readUnits(answer.output as Answered, name, input);
      else {
        if (isMeasured()) for (const part of parts) await noteWrite(part);
        onCommit(parts);
      }
      return answer;
    };
  client.middlewareStack.add(middleware as never, { step: "initialize", name: "longshoreTestMeter" } as never);
}

interface Answered {
  ConsumedCapacity?: { CapacityUnits?: number } | { CapacityUnits?: number }[];
}

/** What DynamoDB Local says, and the least that AWS bills where it says nothing: a query that finds nothing is none. */
function readUnits(
  { ConsumedCapacity = [] }: Answered,
  name: string,
  { ConsistentRead }: Record<string, unknown>,
): number {
  const told = [ConsumedCapacity].flat().reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
  return name === "BatchGetItem" ? told : Math.max(told, ConsistentRead === true ? 1 : 0.5);
}

function nameOf({ commandName = "" }: { commandName?: string }): string {
  return commandName.replace(/Command$/, "");
}

function keyOf(item: Image): Record<string, AttributeValue> {
  return Object.fromEntries(["pk", "sk"].flatMap((name) => (item?.[name] === undefined ? [] : [[name, item[name]]])));
}

/** `job`, `event`, `sealed`; of what belongs to no job the first word of its partition, such as `queue`. */
function kindOf({ pk, sk }: Record<string, AttributeValue>): string {
  const [word = ""] = (pk?.S?.startsWith("JOB#") === true ? (sk?.S ?? "") : (pk?.S ?? "")).split("#");
  return word.toLowerCase();
}
