import { ConnectionError } from "./errors.ts";
import type { Query } from "./query.ts";

/** A stream of numbered items, and where it begins. */
export interface Stream {
  path: string;
  /** The event that carries an item. */
  event: "log" | "event";
  query: Query;
  /** The part of the query that says where to begin; it is left out once `last` says it. */
  start: Query;
  /** The number behind which to go on, once a connection has told one. */
  last: number | undefined;
}

/** One message of a stream, whatever carries it; an end has no `id`, and few heartbeats have one. */
export interface StreamMessage {
  id: string | number | undefined;
  event: string;
  data: unknown;
}

export interface ConnectOptions {
  signal?: AbortSignal | undefined;
  /** Silence after which the connection counts as broken, milliseconds. */
  idleMs: number;
}

/** The messages of one connection until it ends; leaving closes it. Throws ConnectionError where it breaks. */
export type Connect = (stream: Stream, options: ConnectOptions) => AsyncGenerator<StreamMessage, void>;

/** @throws ConnectionError for what is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new ConnectionError("the stream holds what is no JSON", thrown);
  }
}

/** Waits for what a connection does next, and aborts the connection when that takes too long. */
export function createIdleWatch(connection: AbortController, idleMs: number): <R>(waiting: Promise<R>) => Promise<R> {
  return (waiting) => {
    const timer = setTimeout(() => connection.abort(new ConnectionError(`no sign of life for ${idleMs} ms`)), idleMs);
    return waiting.finally(() => clearTimeout(timer));
  };
}
