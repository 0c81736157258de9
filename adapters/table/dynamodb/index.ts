import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  BatchGetItemCommand,
  DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { LongshoreError } from "../../../engine/errors.ts";
import {
  type Change,
  ConflictError,
  type Item,
  type Key,
  type Page,
  type Query,
  type Table,
} from "../../../engine/ports/table.ts";
import { checkChanges, checkKey, copyOf, identityOf, keyOf } from "../../../engine/table/changes.ts";
import { cursorAfter, limitOf } from "../../../engine/table/queries.ts";
import { clientDefaults } from "../../aws/client.ts";
import { awsCode, awsError, calling } from "../../aws/errors.ts";
import { decodeItem, encodeKey, type Stored } from "./attributes.ts";
import { queryFor } from "./query.ts";
import { verdictOf, writeOf } from "./spec.ts";

const BUSY_FOR_MS = 5_000;
const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 500;
/** Keys of one BatchGetItem at most. */
const MAX_KEYS = 100;

export interface DynamodbTableOptions {
  /** The table's name; it has the keys `pk` and `sk`, the time to live `ttl`, and the indexes `index1` and `index2`. */
  table: string;
  /** Default: one client with Longshore's own timeouts; the SDK finds region, credentials and endpoint. */
  client?: DynamoDBClient;
  /** How long a commit is tried again while other transactions have its items or the table is throttled, ms; default 5000. */
  busyForMs?: number;
  /** Tests give their own. */
  wait?: (milliseconds: number) => Promise<unknown>;
  /** 0 ≤ x < 1; default Math.random. */
  random?: () => number;
}

/**
 * The table on DynamoDB. Every commit is one TransactWriteItems, also of a single change: only a transaction has a token
 * by which a retry whose first answer was lost is not done twice (docs/adr/0011). Reads by the item's own key are
 * consistent; the indexes lag behind. They hold keys only (docs/adr/0016): what is found by one is read from the table as
 * it is then, and left out when it has another place by then. After `close` nothing is taken, and a client made here is
 * ended.
 */
export function createDynamodbTable(options: DynamodbTableOptions): Table {
  const { table, busyForMs = BUSY_FOR_MS, wait = delay, random = Math.random } = options;
  const client = options.client ?? new DynamoDBClient(clientDefaults("dynamodb"));
  const running = new Set<Promise<unknown>>();
  let closed = false;

  /** Keeps account of what is under way, for `close`. */
  const tracked = <T>(work: () => Promise<T>): Promise<T> => {
    if (closed) throw new LongshoreError("UNAVAILABLE", "the table is closed");
    const promise = work();
    const settled = promise.then(
      () => undefined,
      () => undefined,
    );
    running.add(settled);
    void settled.then(() => running.delete(settled));
    return promise;
  };

  const get = async (key: Key): Promise<Item | undefined> => {
    const Key = encodeKey(checkKey(key, "a key"));
    const command = new GetItemCommand({ TableName: table, Key, ConsistentRead: true });
    const { Item } = await calling("reading an item of the table", () => client.send(command));
    return Item === undefined ? undefined : decodeItem(Item);
  };

  /** Reads on until the page is full: DynamoDB ends a page after 1 MiB, and what is dropped counts as read. */
  const query = async (asked: Query): Promise<Page> => {
    const limit = limitOf(asked);
    const plan = queryFor(table, asked);
    const items: Item[] = [];
    let last: Stored | undefined;
    if (plan === null) return { items };
    const sortKey = (item: Item): string => (asked.index === undefined ? item.sk : (item[asked.index]?.sk ?? ""));
    do {
      const input = {
        ...plan.input,
        Limit: limit - items.length,
        ...(last === undefined ? {} : { ExclusiveStartKey: last }),
      };
      const page = await calling("querying the table", () => client.send(new QueryCommand(input)));
      const found = (page.Items ?? []).map(decodeItem);
      const read = asked.index === undefined ? found : await behind(asked.index, found);
      items.push(...read.filter((item) => !plan.dropped.has(sortKey(item))));
      last = page.LastEvaluatedKey;
    } while (last !== undefined && items.length < limit);
    return last === undefined ? { items } : { items, cursor: cursorAfter(asked, decodeItem(last)) };
  };

  /** The items behind an index's entries, without those that have left their places. */
  const behind = async (index: "index1" | "index2", entries: Item[]): Promise<Item[]> => {
    const items = await readAll(new Map(entries.entries()));
    return entries.flatMap((entry, at) => {
      const item = items.get(at);
      const [was, is] = [entry[index], item?.[index]];
      return item !== undefined && was?.pk === is?.pk && was?.sk === is?.sk ? [item] : [];
    });
  };

  /** The items behind the keys, by position. */
  const readAll = async (keys: ReadonlyMap<number, Key>): Promise<Map<number, Item>> => {
    const all = [...keys.values()].map(encodeKey);
    const chunks = Array.from({ length: Math.ceil(all.length / MAX_KEYS) }, (_, n) =>
      all.slice(n * MAX_KEYS, (n + 1) * MAX_KEYS),
    );
    const found = new Map((await Promise.all(chunks.map(readSome))).flat().map((item) => [identityOf(item), item]));
    return new Map(
      [...keys].flatMap(([at, key]) => {
        const item = found.get(identityOf(key));
        return item === undefined ? [] : [[at, item] as const];
      }),
    );
  };

  /** The items behind at most MAX_KEYS keys. */
  const readSome = async (keys: Stored[]): Promise<Item[]> => {
    const found: Item[] = [];
    let rest = keys;
    let waitedMs = 0;
    for (let pauseMs = FIRST_PAUSE_MS; rest.length > 0; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      if (waitedMs >= busyForMs)
        throw new LongshoreError("UNAVAILABLE", "the table leaves items unread: it is throttled");
      const command = new BatchGetItemCommand({ RequestItems: { [table]: { Keys: rest, ConsistentRead: true } } });
      const answer = await calling("reading items of the table", () => client.send(command));
      found.push(...(answer.Responses?.[table] ?? []).map(decodeItem));
      rest = answer.UnprocessedKeys?.[table]?.Keys ?? [];
      if (rest.length === 0) break;
      const pause = pauseMs * random();
      waitedMs += pause;
      await wait(pause);
    }
    return found;
  };

  const conflict = async (
    changes: Change[],
    failed: number[],
    seen: Map<number, Item | undefined>,
  ): Promise<ConflictError> => {
    const unseen = changes.flatMap((change, at) => (seen.has(at) ? [] : [[at, keyOf(change)] as const]));
    const others = await readAll(new Map(unseen));
    return new ConflictError(
      changes.map((_, at) => seen.get(at) ?? others.get(at)),
      failed,
    );
  };

  const commit = async (changes: Change[]): Promise<void> => {
    checkChanges(changes);
    const own = copyOf(changes);
    const writes: TransactWriteItem[] = [];
    /** Of each part of the transaction, the position of its change. */
    const positions: number[] = [];
    for (const [at, change] of own.entries()) {
      const write = writeOf(table, change);
      if (write === undefined) continue;
      writes.push(write);
      positions.push(at);
    }
    if (writes.length === 0) return;
    // One token for all tries: a try whose answer was lost counts as done, for ten minutes.
    const command = new TransactWriteItemsCommand({ TransactItems: writes, ClientRequestToken: randomUUID() });
    for (let waitedMs = 0, pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      const busy = await attempt(command, own, positions);
      if (busy === undefined) return;
      if (waitedMs >= busyForMs) throw busy;
      // Full jitter: those who met once shall not meet again.
      const pause = pauseMs * random();
      waitedMs += pause;
      await wait(pause);
    }
  };

  /** Undefined when the commit is done; why it could not be tried just then, when another try may work. */
  const attempt = async (
    command: TransactWriteItemsCommand,
    changes: Change[],
    positions: number[],
  ): Promise<LongshoreError | undefined> => {
    try {
      await client.send(command);
      return undefined;
    } catch (thrown) {
      if (!(thrown instanceof TransactionCanceledException)) {
        const error = awsError("committing to the table", thrown);
        // The try before this one is still being done: its outcome will be told to the same token.
        if (awsCode(thrown) === "TransactionInProgressException") return error;
        throw error;
      }
      const verdict = verdictOf(thrown.CancellationReasons ?? []);
      if (verdict.kind === "conflict") {
        const failed = verdict.failed.map((part) => positions[part] ?? part);
        const seen = new Map([...verdict.items].map(([part, item]) => [positions[part] ?? part, item]));
        throw await conflict(changes, failed, seen);
      }
      // Without the SDK's error as the cause: it holds the items.
      const code = verdict.kind === "busy" ? "UNAVAILABLE" : "INTERNAL";
      const error = new LongshoreError(code, `committing to the table failed: ${verdict.code}`, {
        providerCode: verdict.code,
      });
      if (verdict.kind === "busy") return error;
      throw error;
    }
  };

  return {
    get: async (key) => await tracked(() => get(key)),
    query: async (asked) => await tracked(() => query(asked)),
    commit: async (changes) => await tracked(() => commit(changes)),
    async close() {
      closed = true;
      await Promise.all(running);
      if (options.client === undefined) client.destroy();
    },
  };
}
