import { ApiError, ConnectionError } from "./errors.ts";
import type { Transport } from "./request.ts";
import type { Connect, Stream, StreamMessage } from "./stream.ts";
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

const IDLE_MS = 45_000;

/**
 * Follows a stream of numbered items until the job has ended, over as many connections as it takes: every item
 * exactly once, in order.
 * @throws ApiError when Longshore refuses the stream, ConnectionError when it stays away, the signal's reason on abort.
 */
export async function* follow<T>(
  { transport, connect }: { transport: Transport; connect: Connect },
  stream: Omit<Stream, "last">,
  options: FollowOptions,
): AsyncGenerator<T, void> {
  const { signal, idleMs = IDLE_MS } = options;
  let last = options.after || undefined;
  let failures = 0;
  for (;;) {
    try {
      for await (const message of connect({ ...stream, last }, { signal, idleMs })) {
        if (message.event === "end") {
          options.onEnd?.(message.data as Job);
          return;
        }
        if (message.event === "heartbeat") {
          options.onHeartbeat?.(message.data as Heartbeat);
          failures = 0;
          // Where a tail ends, though nothing of it may have been asked for.
          if (message.id !== undefined) last = Math.max(last ?? 0, numberOf(message));
        }
        if (message.event !== stream.event) continue;
        const seq = numberOf(message);
        if (seq <= (last ?? 0)) continue;
        // Only what was understood is progress: a server that sends nothing but garbage must not keep this going.
        failures = 0;
        last = seq;
        yield message.data as T;
      }
      throw new ConnectionError("the stream broke off before the job ended");
    } catch (thrown) {
      signal?.throwIfAborted();
      if (!mayPass(thrown)) throw thrown;
      transport.lost();
      failures += 1;
      if (failures >= (options.maxFailures ?? 20)) throw thrown;
      options.onReconnect?.(thrown);
      const asked = thrown instanceof ApiError ? (thrown.retryAfterSeconds ?? 0) * 1000 : 0;
      await sleep(Math.max(asked, (options.backoffMs ?? backoffMs)(failures)), signal);
    }
  }
}

function numberOf(message: StreamMessage): number {
  const seq = Number(message.id === "" ? Number.NaN : message.id);
  if (!Number.isSafeInteger(seq) || seq < 0) throw new ConnectionError("the stream holds no numbers");
  return seq;
}

function mayPass(thrown: unknown): thrown is ApiError | ConnectionError {
  if (thrown instanceof ConnectionError) return true;
  return thrown instanceof ApiError && (thrown.status >= 500 || thrown.status === 429);
}
