import { createRandom, type Random } from "./random.ts";

/** Whatever can die with all that it has under way. */
export interface Owner {
  dead: boolean;
}

interface Task {
  owner: Owner;
  run: () => void;
}

interface Timer extends Task {
  atMs: number;
  /** Among timers of one moment the one that was set first comes first. */
  order: number;
  cancelled: boolean;
}

/** Virtual time, and one thing at a time: which of those that could happen next does, a seed decides. */
export interface Sim {
  readonly random: Random;
  /** What runs outside of any process of Longshore's and never dies. */
  readonly outside: Owner;
  nowMs(): number;
  /** Something that can happen from now on, in any order with the others. */
  enqueue(owner: Owner, run: () => void): void;
  setTimer(owner: Owner, delayMs: number, run: () => void): Timer;
  clearTimer(timer: Timer): void;
  /** Resolves after so much virtual time, outside of any process. */
  sleep(ms: number): Promise<void>;
  /** Forgets all that a dead owner had under way. */
  forget(owner: Owner): void;
  /** Lets time pass; what is due can happen from now on. */
  advance(ms: number): void;
  /** Lets one thing happen; where nothing can, time goes on to the next timer. False: nothing is left, not even a timer. */
  step(): Promise<boolean>;
  /** Whether anything can happen without time passing. */
  busy(): boolean;
  /** When the next timer is due, ms since the epoch; Infinity without one that anybody would wait for. */
  nextTimerMs(): number;
  steps(): number;
}

/** Nothing is waited for longer than this: what is due later will not happen in a run of the model. */
const MAX_JUMP_MS = 12 * 3600 * 1000;
/** Time goes on a little between what happens, now and then. */
const TICK_MS = 7;

export function createSim(seed: number, startMs: number): Sim {
  const random = createRandom(seed);
  const outside: Owner = { dead: false };
  let nowMs = startMs;
  let runnable: Task[] = [];
  let timers: Timer[] = [];
  let order = 0;
  let steps = 0;

  function release(): void {
    for (;;) {
      const next = earliest();
      if (next === undefined || next.atMs > nowMs) return;
      timers.splice(timers.indexOf(next), 1);
      runnable.push(next);
    }
  }

  function earliest(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (first === undefined || timer.atMs < first.atMs || (timer.atMs === first.atMs && timer.order < first.order))
        first = timer;
    }
    return first;
  }

  /** The next timer, unless it is too far away. */
  function awaited(): Timer | undefined {
    const next = earliest();
    return next === undefined || next.atMs > nowMs + MAX_JUMP_MS ? undefined : next;
  }

  function setTimer(owner: Owner, delayMs: number, run: () => void): Timer {
    const atMs = nowMs + Math.max(0, delayMs);
    const timer: Timer = { owner, atMs, order: order++, cancelled: false, run: () => timer.cancelled || run() };
    if (!owner.dead) timers.push(timer);
    release();
    return timer;
  }

  return {
    random,
    outside,
    nowMs: () => nowMs,
    enqueue(owner, run) {
      if (!owner.dead) runnable.push({ owner, run });
    },
    setTimer,
    clearTimer(timer) {
      timer.cancelled = true;
      const at = timers.indexOf(timer);
      if (at >= 0) timers.splice(at, 1);
    },
    sleep: (ms) => new Promise((resolve) => setTimer(outside, ms, resolve)),
    forget(owner) {
      owner.dead = true;
      runnable = runnable.filter((task) => task.owner !== owner);
      timers = timers.filter((timer) => timer.owner !== owner);
    },
    advance(ms) {
      nowMs += ms;
      release();
    },
    async step() {
      if (runnable.length === 0) {
        const next = awaited();
        if (next === undefined) return false;
        nowMs = Math.max(nowMs, next.atMs);
        release();
      }
      const at = random.below(runnable.length);
      const task = runnable[at] as Task;
      const last = runnable.pop() as Task;
      if (last !== task) runnable[at] = last;
      steps++;
      if (random.chance(0.1)) {
        nowMs += random.below(TICK_MS);
        release();
      }
      task.run();
      await quiet();
      return true;
    },
    busy: () => runnable.length > 0,
    nextTimerMs: () => awaited()?.atMs ?? Number.POSITIVE_INFINITY,
    steps: () => steps,
  };
}

/** Resolves when everything that follows from the last happening without waiting has been done: a tick comes after all microtasks. */
export function quiet(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
