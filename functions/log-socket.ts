import { createLiveLogs } from "../engine/operations/live-log.ts";
import { type Frame, type FrameLimits, framesOf } from "./frames.ts";
import type { ApiEvent } from "./http.ts";
import { logMessages, logQuery } from "./log-messages.ts";
import { batchParam } from "./params.ts";
import { jobOf } from "./query.ts";
import { withHeartbeats } from "./sse.ts";
import { progressOf, type StreamDeps } from "./stream.ts";

/** What a WebSocket of a log has to say. */
export interface LogFeed {
  /** The frames to send, batch by batch, until the job has ended or the reader has gone. */
  frames: AsyncGenerator<Frame[]>;
  /**
   * The seq up to which all that was asked for is in the batches before the present one; undefined as long as it is not
   * known where the reader begins. A feed that begins behind it loses nothing.
   */
  position(): number | undefined;
  /** Whether the batches given so far are all: the job has ended, and they say so. */
  isOver(): boolean;
}

/**
 * A log for a WebSocket: the messages of the log's server-sent events. A feed that is never read has nothing to close.
 * `limits` are those of whatever carries the frames.
 * @throws (from the handler) LongshoreError NOT_FOUND or VALIDATION.
 */
export function makeHandler(given: StreamDeps, limits: Omit<FrameLimits, "isBatched">) {
  const deps = { ...given, live: given.live ?? createLiveLogs(given.ctx) };
  return async (event: ApiEvent, signal: AbortSignal): Promise<LogFeed> => {
    const job = await jobOf(deps.ctx, event);
    const query = logQuery(event);
    const frameLimits = { ...limits, isBatched: batchParam(event) };
    /** How far the log was read, and how far the reader has it. */
    let read: number | undefined;
    let taken: number | undefined;
    let isOver = false;
    const reader = {
      job,
      signal,
      onRead(seq: number) {
        read = seq;
        // The first one is where the reader begins.
        taken ??= seq;
      },
    };
    async function* frames(): AsyncGenerator<Frame[]> {
      const batches = withHeartbeats(logMessages(deps, reader, query), progressOf(deps, job));
      for await (const messages of batches) {
        isOver = messages.at(-1)?.event === "end";
        // Behind a heartbeat something may have been read already that comes after it.
        const upTo = messages.some(({ event }) => event === "log") ? read : undefined;
        yield framesOf(messages, frameLimits);
        taken = upTo ?? taken;
      }
    }
    return { frames: frames(), position: () => taken, isOver: () => isOver };
  };
}
