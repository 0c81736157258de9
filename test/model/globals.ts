import type { Random } from "./random.ts";
import type { Owner, Sim } from "./sim.ts";

const REPLACED = ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate"] as const;
type Timer = ReturnType<Sim["setTimer"]>;

/** Whose timers are being set: what the adapters and the engine call is a global function, which knows no owner. */
export interface Ownership {
  current: Owner;
}

/**
 * Puts the timers of the machine under a simulation's clock, and the randomness of ids under its seed, until the function
 * that is given back is called.
 */
export function replaceGlobals(sim: Sim, ownership: Ownership): () => void {
  const before = REPLACED.map((name) => [name, globalThis[name]] as const);
  const handle = (timer: Timer) => Object.assign(timer, { unref: () => timer, ref: () => timer });
  const set = (run: () => void, delayMs = 0) => handle(sim.setTimer(ownership.current, delayMs, run));
  const clear = (timer: Timer | undefined) => {
    if (timer !== undefined) sim.clearTimer(timer);
  };
  const immediate = (run: () => void) => set(run, 0);
  Object.assign(globalThis, {
    setTimeout: set,
    clearTimeout: clear,
    setImmediate: immediate,
    clearImmediate: clear,
  });
  const restoreIds = seedIds(sim.random);
  return () => {
    restoreIds();
    for (const [name, original] of before) Object.assign(globalThis, { [name]: original });
  };
}

/** The ids' random part comes from here: where it decides something, such as a shard, a replay must decide alike. */
function seedIds(random: Random): () => void {
  Object.defineProperty(globalThis.crypto, "getRandomValues", {
    configurable: true,
    value: (bytes: Uint8Array) => {
      for (let at = 0; at < bytes.length; at++) bytes[at] = random.below(256);
      return bytes;
    },
  });
  return () => void Reflect.deleteProperty(globalThis.crypto, "getRandomValues");
}
