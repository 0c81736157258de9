/** One message of a server-sent event stream. `id` is what `Last-Event-ID` comes back with. */
export interface SseMessage {
  id?: number;
  event: "log" | "event" | "end" | "heartbeat";
  data: unknown;
}

/** Sent when nothing else was for this long, so that both ends notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** How often the progress of a pull is told. */
const PROGRESS_MS = 250;

/** A message as the wire takes it. JSON has no raw newline, so one data line is enough. */
export function formatSse({ id, event, data }: SseMessage): string {
  const head = id === undefined ? "" : `id: ${id}\n`;
  return `${head}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/**
 * The messages of a stream with heartbeats in its silences. A heartbeat carries what `pulse` gives: `{}`, or the
 * progress of a pull, which is shown and not kept.
 */
export async function* withHeartbeats(
  messages: AsyncIterable<SseMessage>,
  pulse: () => object | null,
): AsyncGenerator<SseMessage> {
  const iterator = messages[Symbol.asyncIterator]();
  let next = iterator.next();
  let silentMs = 0;
  try {
    for (;;) {
      const timer = Promise.withResolvers<"silence">();
      const timeout = setTimeout(() => timer.resolve("silence"), PROGRESS_MS);
      const result = await Promise.race([next, timer.promise]).finally(() => clearTimeout(timeout));
      if (result === "silence") {
        silentMs += PROGRESS_MS;
        const beat = pulse();
        if (beat === null && silentMs < HEARTBEAT_MS) continue;
        silentMs = 0;
        yield { event: "heartbeat", data: beat ?? {} };
        continue;
      }
      if (result.done) return;
      silentMs = 0;
      yield result.value;
      next = iterator.next();
    }
  } finally {
    // A reader that left must not keep the source open; the source may be waiting, so this is not awaited.
    next.catch(() => undefined);
    iterator.return?.().catch(() => undefined);
  }
}
