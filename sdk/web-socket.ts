import { ConnectionError } from "./errors.ts";
import type { Transport } from "./request.ts";
import { type Connect, createIdleWatch, parsed, type Stream, type StreamMessage } from "./stream.ts";

/** A WebSocket as browsers and Node have it, as far as it is used here. */
export type WebSocketClass = new (
  url: string | URL,
) => Pick<WebSocket, "close" | "onopen" | "onmessage" | "onclose" | "onerror">;

/** A part of a message that is too long for one frame. */
interface Part {
  part: number;
  of: number;
  text: string;
}

/** Connects by a WebSocket to the stream of a job's log. It takes what comes: whoever reads slowly keeps it in memory. */
export function webSocket(transport: Transport, jobId: string, Socket: WebSocketClass): Connect {
  return async function* connect(stream, { signal, idleMs }) {
    const connection = new AbortController();
    const watch = createIdleWatch(connection, idleMs);
    const url = await transport.socketUrl({ path: `${stream.path}/stream`, jobId, query: queryOf(stream) });
    signal?.throwIfAborted();
    const socket = new Socket(url);
    const arrived: unknown[] = [];
    const state = { isOpen: false, isClosed: false };
    let bell = Promise.withResolvers<void>();
    const ring = () => bell.resolve();
    socket.onopen = () => {
      state.isOpen = true;
      ring();
    };
    socket.onmessage = ({ data }) => {
      arrived.push(data);
      ring();
    };
    socket.onclose = () => {
      state.isClosed = true;
      ring();
    };
    // What it is about is not told to a program; the close that follows is enough.
    socket.onerror = () => undefined;
    const signals = signal === undefined ? [connection.signal] : [signal, connection.signal];
    const ended = AbortSignal.any(signals);
    ended.addEventListener("abort", ring, { once: true });
    const join = createJoiner();
    try {
      for (;;) {
        for (const data of arrived.splice(0)) yield* join(data);
        if (ended.aborted) throw ended.reason;
        if (arrived.length > 0) continue;
        if (state.isClosed && !state.isOpen) throw await refusalOf(transport, stream, ended);
        if (state.isClosed) return;
        bell = Promise.withResolvers();
        await watch(bell.promise);
      }
    } finally {
      ended.removeEventListener("abort", ring);
      socket.close();
    }
  };
}

function queryOf({ query, start, last }: Stream): Stream["query"] {
  return { ...query, ...(last === undefined ? start : { lastEventId: last }), batch: true };
}

/** A program is not told why a WebSocket was refused: the same question by a plain request tells. */
async function refusalOf(transport: Transport, { path, query, start, last }: Stream, signal: AbortSignal) {
  const asked = { ...query, ...(last === undefined ? start : { cursor: last }), limit: 1 };
  await transport.json("GET", path, { query: asked, signal });
  return new ConnectionError("the WebSocket was refused");
}

/** Makes messages of frames: a frame may hold several, a line each, or a part of one. */
function createJoiner(): (data: unknown) => Generator<StreamMessage, void> {
  let texts: string[] = [];
  return function* join(data) {
    if (typeof data !== "string") throw new ConnectionError("the stream holds what is no text");
    for (const line of data.split("\n")) {
      const message = messageOf(parsed(line));
      if (message.event !== "part") {
        yield message;
        continue;
      }
      const { part, of, text } = message.data as Part;
      if (part !== texts.length + 1) throw new ConnectionError("the stream holds parts of no message");
      texts.push(text);
      if (part < of) continue;
      yield messageOf(parsed(texts.join("")));
      texts = [];
    }
  };
}

function messageOf(value: unknown): StreamMessage {
  const { id, event, data } = (value ?? {}) as Partial<StreamMessage>;
  if (typeof event !== "string") throw new ConnectionError("the stream holds what is no message");
  return { id, event, data };
}
