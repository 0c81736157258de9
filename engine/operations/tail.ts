export interface TailLimits<T> {
  maxBytes: number;
  /** Default: as many as fit. */
  maxItems?: number;
  /** So many of the newest are kept however large they are; default 0. */
  least?: number;
  sizeOf(item: T): number;
}

/** The newest items that fit into limits. */
export interface Tail<T> {
  push(item: T): void;
  /** What is kept, oldest first. */
  items(): Generator<T>;
  /** The oldest item that was dropped; undefined as long as everything fits. */
  readonly firstDropped: T | undefined;
  readonly dropped: number;
}

/** Dropped places are cut off only when they are many, and more than what is kept: constant time an item. */
const MIN_CUT = 1024;

/** A tail; what is dropped is let go at once, in constant time an item. */
export function createTail<T>({ maxBytes, maxItems = Number.POSITIVE_INFINITY, least = 0, sizeOf }: TailLimits<T>) {
  const floor = Math.min(least, maxItems);
  let places: ({ item: T; size: number } | undefined)[] = [];
  let head = 0;
  let bytes = 0;
  let dropped = 0;
  let firstDropped: T | undefined;
  const tail: Tail<T> = {
    push(item) {
      const size = sizeOf(item);
      places.push({ item, size });
      bytes += size;
      for (let kept = places.length - head; kept > maxItems || (bytes > maxBytes && kept > floor); kept -= 1) {
        const oldest = places[head] as { item: T; size: number };
        places[head] = undefined;
        head += 1;
        bytes -= oldest.size;
        if (dropped === 0) firstDropped = oldest.item;
        dropped += 1;
      }
      if (head > MIN_CUT && head * 2 > places.length) {
        places = places.slice(head);
        head = 0;
      }
    },
    *items() {
      for (let at = head; at < places.length; at += 1) yield (places[at] as { item: T }).item;
    },
    get firstDropped() {
      return firstDropped;
    },
    get dropped() {
      return dropped;
    },
  };
  return tail;
}
