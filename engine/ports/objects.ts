export interface ObjectInfo {
  key: string;
  sizeBytes: number;
  /** RFC 3339, UTC. */
  storedAt: string;
}

/**
 * A store of immutable blobs by key: `/`-separated segments of [A-Za-z0-9._=-], none of them `.` or `..`.
 * A put is atomic: a reader sees the whole object or none.
 */
export interface Objects {
  /** Stores the bytes, replacing what was there; resolves when they are durable. */
  put(key: string, body: AsyncIterable<Uint8Array> | Uint8Array): Promise<ObjectInfo>;
  /** The bytes, from `range.start` to `range.end` inclusive when given; undefined when there is no such object. */
  get(
    key: string,
    range?: { start: number; end?: number },
  ): Promise<(ObjectInfo & { body: AsyncIterable<Uint8Array> }) | undefined>;
  head(key: string): Promise<ObjectInfo | undefined>;
  /** Idempotent. */
  delete(key: string): Promise<void>;
  /** Every object whose key begins with the prefix, in key order. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
}
