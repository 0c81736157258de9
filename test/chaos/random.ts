/** Numbers that look random and come again from the same seed. */
export interface Random {
  /** 0 ≤ x < 1. */
  next(): number;
  /** A whole number from `least` to `most`, both included. */
  int(least: number, most: number): number;
  pick<T>(all: readonly T[]): T;
  /** True with this probability. */
  chance(probability: number): boolean;
}

/** A generator (mulberry32) from a seed of 32 bits. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1));
  return {
    next,
    int,
    pick: (all) => {
      if (all.length === 0) throw new Error("there is nothing to pick from");
      return all[int(0, all.length - 1)] as (typeof all)[number];
    },
    chance: (probability) => next() < probability,
  };
}
