// The supervisor of a plain process loads the parts of masking by themselves: they import nothing else of Longshore's.
import type { Buffer } from "node:buffer";

/**
 * An Aho-Corasick automaton over bytes: one pass tells, for each place, the longest pattern that ends there. The
 * edges live in one open-addressed table, so that thousands of values cost megabytes and not gigabytes.
 */
export function createFinder(patterns: readonly Buffer[]) {
  const encoded = patterns.toSorted((a, b) => b.length - a.length);
  const capacity = encoded.reduce((sum, { length }) => sum + length, 1);
  const bits = Math.ceil(Math.log2(capacity + 1)) + 1;
  const mask = 2 ** bits - 1;
  const keys = new Int32Array(2 ** bits).fill(-1);
  const targets = new Int32Array(2 ** bits);
  const fail = new Int32Array(capacity);
  const longest = new Int32Array(capacity);
  const root = new Int32Array(256);

  /** The slot of an edge, or the free slot where it belongs. */
  const slotOf = (key: number) => {
    let slot = (Math.imul(key, 0x9e3779b1) >>> (32 - bits)) & mask;
    while (keys[slot] !== key && keys[slot] !== -1) slot = (slot + 1) & mask;
    return slot;
  };
  const step = (state: number, byte: number) => {
    let from = state;
    while (from !== 0) {
      const slot = slotOf((from * 256 + byte) | 0);
      if (keys[slot] !== -1) return targets[slot] as number;
      from = fail[from] as number;
    }
    return root[byte] as number;
  };

  // All patterns, longest first, grow by one byte a round: a state's failure leads to a state of an earlier round,
  // which is complete.
  let states = 1;
  const current = new Int32Array(encoded.length);
  let growing = encoded.length;
  for (let at = 0; growing > 0; at += 1) {
    for (let index = 0; index < growing; index += 1) {
      const pattern = encoded[index] as Buffer;
      const byte = pattern[at] as number;
      const parent = current[index] as number;
      const slot = slotOf((parent * 256 + byte) | 0);
      let state = parent === 0 ? (root[byte] as number) : keys[slot] === -1 ? 0 : (targets[slot] as number);
      if (state === 0) {
        state = states;
        states += 1;
        fail[state] = parent === 0 ? 0 : step(fail[parent] as number, byte);
        longest[state] = longest[fail[state] as number] as number;
        if (parent === 0) root[byte] = state;
        else {
          keys[slot] = (parent * 256 + byte) | 0;
          targets[slot] = state;
        }
      }
      if (at === pattern.length - 1) longest[state] = pattern.length;
      current[index] = state;
    }
    while (growing > 0 && (encoded[growing - 1] as Buffer).length === at + 1) growing -= 1;
  }

  return (bytes: Uint8Array, found: (end: number, length: number) => void): void => {
    let state = 0;
    for (let i = 0; i < bytes.length; i += 1) {
      state = step(state, bytes[i] as number);
      const length = longest[state] as number;
      if (length > 0) found(i + 1, length);
    }
  };
}
