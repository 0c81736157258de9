/** One message of a server-sent event stream. `id` is what `Last-Event-ID` comes back with. */
export interface SseMessage {
  id?: number;
  event: "log" | "event" | "end" | "heartbeat";
  data: unknown;
}

/** Sent when nothing else was for this long, so that both ends notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** The progress of a pull is told no more often than this. */
const PROGRESS_MS = 250;

/** The progress of a pull, which is shown and not kept. */
export interface Progress {
  latest(): object | null;
  /** Calls `wake` when there is other progress, or none any more; returns the function that ends it. */
  subscribe(wake: () => void): () => void;
}

/** A message as the wire takes it. JSON has no raw newline, so one data line is enough. */
export function formatSse({ id, event, data }: SseMessage): string {
  const head = id === undefined ? "" : `id: ${id}\n`;
  return `${head}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/**
 * The messages of a stream, batch by batch, with heartbeats in its silences. A heartbeat carries the progress of a pull where there is
 * new progress, else `{}`. Between two of them no timer but the next one's is set: most streams have nothing to tell.
 */
export async function* withHeartbeats(
  batches: AsyncIterable<SseMessage[]>,
  progress: Progress,
): AsyncGenerator<SseMessage[]> {
  const iterator = batches[Symbol.asyncIterator]();
  let next = iterator.next();
  let news = progress.latest() !== null;
  let wake = (): void => undefined;
  const unsubscribe = progress.subscribe(() => {
    // A pull reports many times in between: what is to be told already is told in its latest form.
    if (news) return;
    news = true;
    wake();
  });
  let silentAt = performance.now() + HEARTBEAT_MS;
  let progressAt = 0;
  const dueAt = () => (news ? Math.min(progressAt, silentAt) : silentAt);
  try {
    for (;;) {
      const pause = Promise.withResolvers<"pause">();
      wake = () => pause.resolve("pause");
      const timeout = setTimeout(wake, Math.max(0, Math.ceil(dueAt() - performance.now())));
      const result = await Promise.race([next, pause.promise]).finally(() => clearTimeout(timeout));
      if (result === "pause") {
        const now = performance.now();
        if (now < dueAt()) continue;
        const data = progress.latest();
        const isOver = news && data === null;
        news = false;
        if (isOver && now < silentAt) continue;
        silentAt = now + HEARTBEAT_MS;
        progressAt = now + PROGRESS_MS;
        yield [{ event: "heartbeat", data: data ?? {} }];
        continue;
      }
      if (result.done) return;
      yield result.value;
      silentAt = performance.now() + HEARTBEAT_MS;
      next = iterator.next();
    }
  } finally {
    unsubscribe();
    // A reader that left must not keep the source open; the source may be waiting, so this is not awaited.
    next.catch(() => undefined);
    iterator.return?.().catch(() => undefined);
  }
}
