import { setTimeout as delay } from "node:timers/promises";
import { LongshoreError } from "../../engine/errors.ts";
import type { Bus, BusEntry } from "../../engine/ports/bus.ts";
import type { Logger } from "../../engine/ports/logger.ts";

const DEFAULT_TRIES = 3;
const FIRST_BACKOFF_MS = 20;

export interface MemoryBus extends Bus {
  /**
   * Calls the handler for every entry from now on: one at a time and in order per job, jobs side by side.
   * Returns the function that ends it.
   * @throws LongshoreError CONFLICT when the name is subscribed already.
   */
  subscribe(name: string, handler: (entry: BusEntry) => Promise<void>): () => void;
}

interface Subscriber {
  name: string;
  handler: (entry: BusEntry) => Promise<void>;
  active: boolean;
  /** The last delivery asked for per job; false when it failed, and with it all that were waiting behind it. */
  tails: Map<string, Promise<boolean>>;
}

/** The part of an entry's id before `#`: entries with the same one stay in order. */
function jobOf(entry: BusEntry): string {
  return entry.id.split("#", 1)[0] ?? entry.id;
}

/**
 * A bus inside this process. `publish` resolves when every subscriber has handled every entry, with the ids that some
 * handler failed `tries` times (default 3, with 20 ms doubled between) and those behind them of the same job: publish
 * these again. Subscribers may see an entry twice.
 */
export function createMemoryBus(
  options: { logger?: Logger; tries?: number; wait?: (milliseconds: number) => Promise<unknown> } = {},
): MemoryBus {
  const { logger, tries = DEFAULT_TRIES, wait = delay } = options;
  const subscribers = new Map<string, Subscriber>();

  const deliver = async (subscriber: Subscriber, entry: BusEntry): Promise<boolean> => {
    for (let attempt = 1; subscriber.active; attempt += 1) {
      try {
        await subscriber.handler(entry);
        return true;
      } catch (error) {
        if (attempt >= tries) {
          logger?.warn({ subscriber: subscriber.name, entry: entry.id, attempt, error }, "a bus subscriber failed");
          return false;
        }
        await wait(FIRST_BACKOFF_MS * 2 ** (attempt - 1));
      }
    }
    // Nobody is left to deliver to.
    return true;
  };

  const enqueue = (subscriber: Subscriber, entry: BusEntry): Promise<boolean> => {
    const job = jobOf(entry);
    const before = subscriber.tails.get(job) ?? Promise.resolve(true);
    // What waits behind a failure fails too, undelivered: else it would overtake what must be published again.
    const outcome = before.then((ok) => (ok ? deliver(subscriber, entry) : false));
    subscriber.tails.set(job, outcome);
    return outcome.finally(() => {
      if (subscriber.tails.get(job) === outcome) subscriber.tails.delete(job);
    });
  };

  return {
    async publish(entries) {
      const failed = new Set<string>();
      const deliveries = [...subscribers.values()].flatMap((subscriber) =>
        entries.map(async (entry) => {
          if (!(await enqueue(subscriber, entry))) failed.add(entry.id);
        }),
      );
      await Promise.all(deliveries);
      return { failed: entries.map((entry) => entry.id).filter((id) => failed.has(id)) };
    },
    subscribe(name, handler) {
      if (subscribers.has(name)) throw new LongshoreError("CONFLICT", `the bus has a subscriber ${name} already`);
      const subscriber: Subscriber = { name, handler, active: true, tails: new Map() };
      subscribers.set(name, subscriber);
      return () => {
        subscriber.active = false;
        if (subscribers.get(name) === subscriber) subscribers.delete(name);
      };
    },
  };
}
