import type { Sim } from "../model/sim.ts";

type Timers = Pick<Sim, "outside" | "sleep" | "setTimer" | "clearTimer">;
type Timer = ReturnType<Sim["setTimer"]>;

/** Time that passes only when nothing else is left to be done. */
export interface VirtualClock extends Timers {
  nowMs(): number;
  /** Goes on to the next timer and runs it; false: there is none before that time, ms since the epoch. */
  next(beforeMs: number): boolean;
  /** Goes on to this time, ms since the epoch. */
  goTo(ms: number): void;
}

export function createVirtualClock(startMs: number): VirtualClock {
  const outside = { dead: false };
  let nowMs = startMs;
  let timers: Timer[] = [];
  let order = 0;
  const clock: VirtualClock = {
    outside,
    nowMs: () => nowMs,
    goTo(ms) {
      nowMs = Math.max(nowMs, ms);
    },
    setTimer(owner, delayMs, run) {
      const timer: Timer = { owner, atMs: nowMs + Math.max(0, delayMs), order: order++, cancelled: false, run };
      timers.push(timer);
      return timer;
    },
    clearTimer(timer) {
      timer.cancelled = true;
      timers = timers.filter((one) => one !== timer);
    },
    sleep: (ms) => new Promise((resolve) => clock.setTimer(outside, ms, resolve)),
    next(beforeMs) {
      const [first] = timers.toSorted((a, b) => a.atMs - b.atMs || a.order - b.order);
      if (first === undefined || first.atMs >= beforeMs) return false;
      clock.clearTimer(first);
      clock.goTo(first.atMs);
      first.run();
      return true;
    },
  };
  return clock;
}
