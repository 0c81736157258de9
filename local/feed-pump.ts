import { setTimeout as delay } from "node:timers/promises";
import { asLongshoreError, LongshoreError } from "../engine/errors.ts";
import type { Logger } from "../engine/ports/logger.ts";
import type { ChangeFeed, FeedRecord } from "../engine/ports/table.ts";

const DEFAULT_BATCH_SIZE = 100;
const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1_000;

/** Failures in a row after which a record is passed over, so that it cannot hold up all others for ever. */
const POISON_FAILURES = 20;

export interface FeedPumpOptions {
  /** The consumer's name, under which its cursor is kept. */
  name: string;
  feed: ChangeFeed;
  cursor(name: string): Promise<number>;
  saveCursor(name: string, position: number): void;
  /**
   * Handles records in order. `failed` are the positions to hand over again; all from the first of them on may come
   * again. What it throws fails the whole batch.
   */
  handle(records: FeedRecord[]): Promise<{ failed: number[] }>;
  /** Gets a record that failed 20 times in a row, before the pump goes on behind it. */
  onPoison?(record: FeedRecord): Promise<void> | void;
  /** Records a batch; default 100. */
  batchSize?: number;
  logger: Logger;
  /** Waits between tries; rejects when the signal aborts. */
  wait?(milliseconds: number, signal: AbortSignal): Promise<unknown>;
}

export interface FeedPump {
  /** Begins at the durable cursor. Does nothing when it runs already. */
  start(): void;
  /** Resolves when the running batch is done and its cursor given to `saveCursor`. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Hands the records of a change feed to one consumer, at least once and in order, as DynamoDB Streams with partial
 * batch failures do: after a failure it goes on from the first failed record, with a backoff of 50 ms to 1 s.
 */
export function createFeedPump(options: FeedPumpOptions): FeedPump {
  let running: { stop: AbortController; done: Promise<void> } | undefined;
  return {
    start() {
      if (running !== undefined) return;
      const stop = new AbortController();
      running = { stop, done: pump(options, stop.signal) };
    },
    async stop() {
      const current = running;
      if (current === undefined) return;
      current.stop.abort();
      await current.done;
      if (running === current) running = undefined;
    },
  };
}

/** A flag that remembers a wake that came while nobody was waiting. */
function createBell(): { ring(): void; rung(): Promise<void> } {
  let pending = Promise.withResolvers<void>();
  return {
    ring: () => pending.resolve(),
    async rung() {
      await pending.promise;
      pending = Promise.withResolvers<void>();
    },
  };
}

async function pump(options: FeedPumpOptions, stopped: AbortSignal): Promise<void> {
  const { name, feed, logger, batchSize = DEFAULT_BATCH_SIZE } = options;
  const wait = options.wait ?? ((milliseconds, signal) => delay(milliseconds, undefined, { signal }));
  const bell = createBell();
  const unsubscribe = feed.subscribe(bell.ring);
  stopped.addEventListener("abort", bell.ring);

  let position: number | undefined;
  let size = batchSize;
  let failures = 0;
  let headFailures = 0;
  const moveTo = (next: number): void => {
    if (next === position) return;
    position = next;
    headFailures = 0;
    options.saveCursor(name, next);
  };

  /** One batch; false when it, or a part of it, must be tried again. */
  const step = async (): Promise<boolean> => {
    position ??= await options.cursor(name);
    const records = await feed.read(position, size);
    const head = records[0];
    if (head === undefined) {
      await bell.rung();
      return true;
    }
    const outcome = await attempt(records);
    if (outcome.failedAt === undefined) {
      moveTo(records.at(-1)?.position ?? head.position);
      size = Math.min(batchSize, size * 2);
      return true;
    }
    const lastDone = records[outcome.failedAt - 1];
    if (lastDone !== undefined) moveTo(lastDone.position);
    size = outcome.nextSize;
    const poison = records[outcome.failedAt] ?? head;
    if (outcome.counts) headFailures += 1;
    if (headFailures < POISON_FAILURES) return false;
    logger.error({ pump: name, position: poison.position, sk: poison.item.sk }, "a feed record was passed over");
    await options.onPoison?.(poison);
    moveTo(poison.position);
    return true;
  };

  /** Hands the batch over; `failedAt` is the index of the first failed record. */
  const attempt = async (
    records: FeedRecord[],
  ): Promise<{ failedAt: number | undefined; nextSize: number; counts: boolean }> => {
    try {
      const failed = new Set((await options.handle(records)).failed);
      const failedAt = records.findIndex((record) => failed.has(record.position));
      // Alone next time: what came after it and went well is not handled 20 times along with it.
      return { failedAt: failedAt === -1 ? undefined : failedAt, nextSize: 1, counts: true };
    } catch (thrown) {
      const error = asLongshoreError(thrown);
      logger.warn(
        { pump: name, position: records[0]?.position, records: records.length, error },
        "a feed batch failed",
      );
      // Halved until it is known which record throws. A store or service that is down poisons nothing: wait for it.
      return {
        failedAt: 0,
        nextSize: Math.max(1, Math.floor(records.length / 2)),
        counts: records.length === 1 && error.code !== "UNAVAILABLE",
      };
    }
  };

  try {
    while (!stopped.aborted) {
      let done = false;
      try {
        done = await step();
      } catch (error) {
        logger.error({ pump: name, error }, "the feed cannot be pumped");
      }
      failures = done ? 0 : failures + 1;
      if (!done) await pause(Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1)));
    }
  } finally {
    stopped.removeEventListener("abort", bell.ring);
    unsubscribe();
  }

  async function pause(milliseconds: number): Promise<void> {
    try {
      await wait(milliseconds, stopped);
    } catch (thrown) {
      if (!stopped.aborted) throw new LongshoreError("INTERNAL", "waiting failed", { cause: thrown });
    }
  }
}
