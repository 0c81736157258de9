// The supervisor of a plain process loads the parts of masking by themselves: they import nothing else of Longshore's.

/** More of a pattern's beginning is not looked at: longer leaps would be paid with a larger table. */
const MAX_WINDOW = 16;
/** Of so many patterns three bytes say too little: half of all there are would be in one of them. */
const MANY_PATTERNS = 4096;
const [MIN_BITS, MAX_BITS] = [12, 22];
const MULTIPLIER = 0x9e3779b1;
const FNV_PRIME = 0x01000193;

/** Finds where a pattern may begin, and leaps over the rest. It misses none; what it finds is none once in millions. */
export interface Sieve {
  /** The first place at or behind `from` where a pattern may begin in the first `length` bytes; -1: nowhere. */
  next(bytes: Uint8Array, from: number, length: number): number;
  /** The bytes that are certain at such a place. */
  readonly window: number;
}

/**
 * A sieve for patterns of at least four bytes, after Wu and Manber (1994): the last few bytes of a window as long as the
 * shortest pattern tell how far the window may leap before they could be part of one.
 */
export function createSieve(patterns: readonly Uint8Array[]): Sieve {
  const window = patterns.reduce((least, { length }) => Math.min(least, length), MAX_WINDOW);
  const isWide = patterns.length > MANY_PATTERNS && window > 4;
  const block = isWide ? 4 : 3;
  const most = window - block + 1;
  const bits = Math.min(MAX_BITS, Math.max(MIN_BITS, Math.ceil(Math.log2(patterns.length * most * 16))));
  const down = 32 - bits;
  const leaps = new Uint8Array(2 ** bits).fill(most);
  const beginnings = createHashSet(patterns.length);

  const slotAt = (bytes: Uint8Array, last: number): number => {
    let word = (bytes[last] as number) | ((bytes[last - 1] as number) << 8) | ((bytes[last - 2] as number) << 16);
    if (isWide) word |= (bytes[last - 3] as number) << 24;
    return Math.imul(word, MULTIPLIER) >>> down;
  };
  const hashAt = (bytes: Uint8Array, start: number): number => {
    let hash = 0;
    for (let i = start; i < start + window; i += 1) hash = Math.imul(hash ^ (bytes[i] as number), FNV_PRIME);
    // Zero marks a free slot of the set.
    return hash === 0 ? 1 : hash;
  };

  for (const pattern of patterns) {
    beginnings.add(hashAt(pattern, 0));
    for (let last = block - 1; last < window; last += 1) {
      const slot = slotAt(pattern, last);
      leaps[slot] = Math.min(leaps[slot] as number, window - 1 - last);
    }
  }

  return {
    window,
    next(bytes, from, length) {
      for (let last = from + window - 1; last < length; ) {
        const leap = leaps[slotAt(bytes, last)] as number;
        if (leap > 0) last += leap;
        else if (beginnings.has(hashAt(bytes, last - window + 1))) return last - window + 1;
        else last += 1;
      }
      return -1;
    },
  };
}

/** A set of 32-bit numbers other than 0, open-addressed. */
function createHashSet(size: number) {
  const bits = Math.max(4, Math.ceil(Math.log2(size + 1)) + 2);
  const mask = 2 ** bits - 1;
  const slots = new Int32Array(2 ** bits);
  const slotOf = (hash: number): number => {
    let slot = (Math.imul(hash, MULTIPLIER) >>> (32 - bits)) & mask;
    while (slots[slot] !== hash && slots[slot] !== 0) slot = (slot + 1) & mask;
    return slot;
  };
  return {
    add(hash: number): void {
      slots[slotOf(hash)] = hash;
    },
    has: (hash: number): boolean => slots[slotOf(hash)] !== 0,
  };
}
