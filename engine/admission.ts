/** A lane that wants slots. */
export interface Contender {
  /** Jobs that it could use a slot for. */
  waiting: number;
  running: number;
  /** When it got a slot last, ms since the epoch. */
  servedAtMs: number;
  /** Since when its jobs wait, in the mean. */
  waitingSinceSeconds: number;
}

/**
 * How many of the free slots each lane gets: one after the other to the lane that has the fewest, then to the one that
 * was not served for the longest time, then to the one that waits longest. A pure function; lanes that get none are left out.
 */
export function shareOut<L extends Contender>(lanes: readonly L[], slots: number): Map<L, number> {
  const [only] = lanes;
  // By far the commonest case.
  if (only !== undefined && lanes.length === 1)
    return new Map(slots > 0 && only.waiting > 0 ? [[only, Math.min(slots, only.waiting)]] : []);
  const shares = new Map<L, number>();
  const held = (lane: L) => lane.running + (shares.get(lane) ?? 0);
  for (let left = slots; left > 0; left--) {
    let next: L | undefined;
    for (const lane of lanes) {
      if ((shares.get(lane) ?? 0) >= lane.waiting) continue;
      if (next === undefined || compare(lane, next) < 0) next = lane;
    }
    if (next === undefined) break;
    shares.set(next, (shares.get(next) ?? 0) + 1);
  }
  return shares;

  function compare(a: L, b: L): number {
    return held(a) - held(b) || a.servedAtMs - b.servedAtMs || a.waitingSinceSeconds - b.waitingSinceSeconds;
  }
}
