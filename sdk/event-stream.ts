import { createParser, type EventSourceMessage } from "eventsource-parser";
import { ConnectionError } from "./errors.ts";
import type { Transport } from "./request.ts";
import { type Connect, createIdleWatch, parsed } from "./stream.ts";

/** Connects by server-sent events: only complete messages are given, what was cut in the middle comes again. */
export function eventStream(transport: Transport): Connect {
  return async function* connect({ path, query, start, last }, { signal, idleMs }) {
    const connection = new AbortController();
    const signals = signal === undefined ? [connection.signal] : [signal, connection.signal];
    const watch = createIdleWatch(connection, idleMs);
    try {
      const response = await watch(
        transport.send("GET", path, {
          query: { ...query, ...(last === undefined ? start : {}), follow: true },
          headers: { accept: "text/event-stream", ...(last === undefined ? {} : { "last-event-id": String(last) }) },
          signal: AbortSignal.any(signals),
          // A stream's own failures are counted by whoever follows it.
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
        for (const { id, event = "message", data } of complete.splice(0)) yield { id, event, data: parsed(data) };
      }
    } finally {
      connection.abort();
    }
  };
}

function brokeOff(thrown: unknown): never {
  throw thrown instanceof ConnectionError ? thrown : new ConnectionError("the stream broke off", thrown);
}
