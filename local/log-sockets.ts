import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { asLongshoreError, LongshoreError } from "../engine/errors.ts";
import type { Logger } from "../engine/ports/logger.ts";
import type { LogFeed } from "../functions/log-socket.ts";

/** The WebSockets of the home's front door, which carry logs. */
export interface LogSockets {
  /**
   * Makes a WebSocket of a request and sends what its feed has to say; resolves when the connection is at its end.
   * `open` makes the feed; what it throws comes before anything was answered.
   * @throws what `open` throws; LongshoreError MALFORMED for what is no proper handshake, and the answer is still to give.
   */
  serve(upgrade: Upgrade, open: (signal: AbortSignal) => Promise<LogFeed>): Promise<void>;
  /** Breaks off the connections that are still open. */
  terminate(): void;
}

/** A request that asks for a WebSocket, as Node's server hands it over. */
export interface Upgrade {
  request: IncomingMessage;
  socket: Duplex;
  head: Buffer;
}

/** Nothing is expected from a client; what is longer ends the connection. */
const MAX_CLIENT_BYTES = 1024;
/** Close codes: https://www.iana.org/assignments/websocket/websocket.xhtml */
const CLOSE = { done: 1000, goingAway: 1001, failed: 1011 } as const;

/** @param closing aborts when the home is closed: the connections are then closed with 1001. */
export function createLogSockets(logger: Logger, closing: AbortSignal): LogSockets {
  const server = new WebSocketServer({ noServer: true, maxPayload: MAX_CLIENT_BYTES, perMessageDeflate: false });
  const failures = new WeakMap<Duplex, (error: Error) => void>();
  server.on("wsClientError", (error, socket) => failures.get(socket)?.(error));

  /** The handshake's end. Undefined for a client that has gone meanwhile. */
  async function shakeHands({ request, socket, head }: Upgrade): Promise<WebSocket | undefined> {
    const shaken = Promise.withResolvers<WebSocket | undefined>();
    const onGone = () => shaken.resolve(undefined);
    socket.once("close", onGone);
    failures.set(socket, () => {
      shaken.reject(new LongshoreError("MALFORMED", "the request is no proper handshake of a WebSocket (RFC 6455)"));
    });
    try {
      if (socket.destroyed) return undefined;
      server.handleUpgrade(request, socket, head, shaken.resolve);
      return await shaken.promise;
    } finally {
      socket.off("close", onGone);
      failures.delete(socket);
    }
  }

  return {
    async serve(upgrade, open) {
      const gone = new AbortController();
      const signal = AbortSignal.any([gone.signal, closing]);
      const onGone = () => gone.abort();
      upgrade.socket.once("close", onGone);
      try {
        const feed = await open(signal);
        const client = await shakeHands(upgrade);
        if (client === undefined) return;
        // Nobody listens to what a client says. One that says too much is closed by the library.
        client.on("error", (error) => logger.debug({ error }, "a WebSocket broke"));
        client.once("close", onGone);
        await tell(client, feed, { gone: gone.signal, closing, logger });
      } finally {
        upgrade.socket.off("close", onGone);
      }
    },
    terminate() {
      for (const client of server.clients) client.terminate();
    },
  };
}

interface Ends {
  gone: AbortSignal;
  closing: AbortSignal;
  logger: Logger;
}

/** Sends all that a feed says, at the reader's pace, and closes the connection. */
async function tell(client: WebSocket, feed: LogFeed, { gone, closing, logger }: Ends): Promise<void> {
  try {
    for await (const frames of feed.frames) {
      if (gone.aborted) return;
      await send(
        client,
        frames.map(({ text }) => text),
      );
    }
    if (closing.aborted) client.close(CLOSE.goingAway, "the home is being closed");
    else client.close(CLOSE.done);
  } catch (thrown) {
    if (gone.aborted) return;
    const error = asLongshoreError(thrown);
    logger.warn({ error }, "the stream of a log broke off");
    client.close(CLOSE.failed, error.code);
  }
}

/** Resolves when all is on its way: a reader that takes nothing keeps one batch here, and the feed waits. */
async function send(client: WebSocket, texts: readonly string[]): Promise<void> {
  const sent = Promise.withResolvers<void>();
  for (const [index, text] of texts.entries()) {
    const isLast = index === texts.length - 1;
    client.send(text, isLast ? (error) => (error ? sent.reject(error) : sent.resolve()) : undefined);
  }
  if (texts.length > 0) await sent.promise;
}
