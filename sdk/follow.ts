import { createParser, type EventSourceMessage } from "eventsource-parser";
import { ApiError, ConnectionError } from "./errors.ts";
import type { Call, Transport } from "./request.ts";
import type { Heartbeat, Job } from "./types.ts";
import { backoffMs, sleep } from "./wait.ts";

/** How a stream is followed. */
export interface FollowOptions {
  /** Leave out what is numbered up to this; default 0: from the beginning. */
  after?: number;
  signal?: AbortSignal;
  /** Called for every sign of life; it tells how far an image has been pulled. */
  onHeartbeat?: (heartbeat: Heartbeat) => void;
  /** Called once, after the last item, with the job as it ended. */
  onEnd?: (job: Job) => void;
  /** Called before the stream is opened again, with what broke it. */
  onReconnect?: (error: Error) => void;
  /** Failures in a row, with nothing received between, before giving up; default 20. */
  maxFailures?: number;
  /** Milliseconds to wait after the nth failure in a row; default: doubling from 0.1 s to 5 s. */
  backoffMs?: (failures: number) => number;
  /** Silence after which the connection counts as broken, milliseconds; default 45,000: three heartbeats. */
  idleMs?: number;
}

export interface Stream {
  path: string;
  /** The SSE event that carries an item. */
  event: "log" | "event";
  query: NonNullable<Call["query"]>;
  /** The part of the query that says where to begin; it is left out once `Last-Event-ID` says it. */
  start: NonNullable<Call["query"]>;
}

/**
 * Follows a stream of numbered items until the job has ended, over as many connections as it takes: every item
 * exactly once, in order.
 * @throws ApiError when Longshore refuses the stream, ConnectionError when it stays away, the signal's reason on abort.
 */
export async function* follow<T>(
  transport: Transport,
  stream: Stream,
  options: FollowOptions,
): AsyncGenerator<T, void> {
  let last = options.after ?? 0;
  let failures = 0;
  for (;;) {
    try {
      for await (const message of connect(transport, { ...stream, last }, options)) {
        if (message.event === "end") {
          options.onEnd?.(parse(message));
          return;
        }
        if (message.event === "heartbeat") {
          options.onHeartbeat?.(parse(message));
          failures = 0;
        }
        if (message.event !== stream.event) continue;
        const seq = numberOf(message);
        if (seq <= last) continue;
        const item = parse<T>(message);
        // Only what was understood is progress: a server that sends nothing but garbage must not keep this going.
        failures = 0;
        last = seq;
        yield item;
      }
      throw new ConnectionError("the stream broke off before the job ended");
    } catch (thrown) {
      options.signal?.throwIfAborted();
      if (!mayPass(thrown)) throw thrown;
      transport.lost();
      failures += 1;
      if (failures >= (options.maxFailures ?? 20)) throw thrown;
      options.onReconnect?.(thrown);
      const asked = thrown instanceof ApiError ? (thrown.retryAfterSeconds ?? 0) * 1000 : 0;
      await sleep(Math.max(asked, (options.backoffMs ?? backoffMs)(failures)), options.signal);
    }
  }
}

/** The complete messages of one connection; what was cut in the middle is dropped and comes again. */
async function* connect(
  transport: Transport,
  stream: Stream & { last: number },
  options: FollowOptions,
): AsyncGenerator<EventSourceMessage, void> {
  const { last } = stream;
  const connection = new AbortController();
  const signals = options.signal ? [options.signal, connection.signal] : [connection.signal];
  const idleMs = options.idleMs ?? 45_000;
  let timer: NodeJS.Timeout | undefined;
  const watch = <R>(waiting: Promise<R>): Promise<R> => {
    timer = setTimeout(() => connection.abort(new ConnectionError(`no sign of life for ${idleMs} ms`)), idleMs);
    return waiting.finally(() => clearTimeout(timer));
  };
  try {
    const response = await watch(
      transport.send("GET", stream.path, {
        query: { ...stream.query, ...(last > 0 ? {} : stream.start), follow: true },
        headers: { accept: "text/event-stream", ...(last > 0 ? { "last-event-id": String(last) } : {}) },
        signal: AbortSignal.any(signals),
        // This stream's own failures are counted by the caller.
        repeatable: false,
      }),
    );
    if (!response.headers.get("content-type")?.startsWith("text/event-stream") || !response.body) {
      throw new ConnectionError("what answered sent no stream of events");
    }
    const complete: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (message) => complete.push(message) });
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await watch(reader.read()).catch(brokeOff);
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield* complete.splice(0);
    }
  } finally {
    connection.abort();
  }
}

function brokeOff(thrown: unknown): never {
  throw thrown instanceof ConnectionError ? thrown : new ConnectionError("the stream broke off", thrown);
}

function numberOf(message: EventSourceMessage): number {
  const seq = Number(message.id);
  if (!message.id || !Number.isSafeInteger(seq) || seq < 1) throw new ConnectionError("the stream holds no numbers");
  return seq;
}

function parse<T>(message: EventSourceMessage): T {
  try {
    return JSON.parse(message.data) as T;
  } catch (thrown) {
    throw new ConnectionError("the stream holds what is no JSON", thrown);
  }
}

function mayPass(thrown: unknown): thrown is ApiError | ConnectionError {
  if (thrown instanceof ConnectionError) return true;
  return thrown instanceof ApiError && (thrown.status >= 500 || thrown.status === 429);
}
