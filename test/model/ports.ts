import { LongshoreError } from "../../engine/errors.ts";
import type { Owner, Sim } from "./sim.ts";

/** One run of Longshore's process. */
export interface Process extends Owner {
  readonly id: number;
}

/** How often calls go wrong: probabilities, by port. */
export interface Faults {
  table: number;
  runtime: number;
  /** The orchestrator, the object store, the sealer, the secrets, the bus. */
  others: number;
  /** How often an answer takes so long that retries and sweeps come in between. */
  held: number;
  /** How often an answer is late, so that other things happen between the effect of a call and its answer. */
  late: number;
}

export const NO_FAULTS: Faults = { table: 0, runtime: 0, others: 0, held: 0, late: 0 };

export type PortName = keyof Omit<Faults, "late" | "held">;

/** A call to a port: what it does, and what it is called in a trace. */
export interface Call<T> {
  port: PortName;
  name: () => string;
  effect: () => T | Promise<T>;
  /** Whether its answer may take very long. */
  mayHang?: boolean;
  /** Whether the call may still take effect after the process that made it has died. */
  outlives?: boolean;
}

export interface Ports {
  faults: Faults;
  /**
   * Makes a call for a process: at a moment of the simulation's choice it takes effect, and at another one it is
   * answered. It may fail before or after its effect; a process that has died hears nothing any more.
   */
  call<T>(process: Process, call: Call<T>): Promise<T>;
  /** The process dies: its calls are not answered; some that were on their way take effect all the same. */
  kill(process: Process): void;
  /** The next call of this name takes no effect before it is let go. */
  holdBack(name: string): { isTaken(): boolean; letGo(): void };
  /** What was called, when somebody wants to read it. */
  trace: ((text: string) => void) | null;
}

const OUTLIVES = 0.3;
const MAX_HELD_MS = 90_000;

export function createPorts(sim: Sim): Ports {
  const { random } = sim;
  /** Calls that have not taken effect yet and could do so without their process. */
  const underWay = new Map<Process, Set<() => void>>();
  /** Names of calls that are held back, and the first call of each that came. */
  const heldBack = new Map<string, { arrive: (() => void) | null }>();

  /** Lets a call arrive, now or when it is let go. */
  function arriveAs(name: () => string, arrive: () => void): void {
    const held = heldBack.size === 0 ? undefined : heldBack.get(name());
    if (held === undefined || held.arrive !== null) return arrive();
    ports.trace?.(`${name()} is held back`);
    held.arrive = arrive;
  }

  function failure(port: PortName, name: () => string): Error {
    if (port === "table") return new LongshoreError("UNAVAILABLE", "model: the table does not answer");
    if (port === "others") return new Error(`model: ${name()} was throttled`);
    return random.chance(0.8)
      ? new LongshoreError("RUNTIME_UNAVAILABLE", "model: the runtime does not answer")
      : new Error("model: socket hang up");
  }

  const ports: Ports = {
    faults: { ...NO_FAULTS },
    trace: null,
    call<T>(process: Process, { port, name, effect, mayHang = false, outlives = false }: Call<T>): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        const answer = (settle: () => void) => {
          if (process.dead) return;
          if (mayHang && random.chance(ports.faults.held)) sim.setTimer(process, 1 + random.below(MAX_HELD_MS), settle);
          else if (random.chance(ports.faults.late)) sim.enqueue(process, settle);
          else settle();
        };
        const pending = underWay.get(process) ?? new Set();
        underWay.set(process, pending);
        const takeEffect = () => void settled(effect).catch(() => undefined);
        if (outlives) pending.add(takeEffect);
        const happen = () => {
          pending.delete(takeEffect);
          const goesWrong = random.chance(ports.faults[port]);
          const error = goesWrong ? failure(port, name) : undefined;
          const before = goesWrong && random.chance(0.5);
          ports.trace?.(
            `#${process.id} ${name()}${error === undefined ? "" : ` fails ${before ? "before" : "after"}`}`,
          );
          if (error !== undefined && before) return answer(() => reject(error));
          settled(effect).then(
            (value) => answer(() => (error === undefined ? resolve(value) : reject(error))),
            (thrown: unknown) => answer(() => reject(thrown)),
          );
        };
        arriveAs(name, () => sim.enqueue(process, happen));
      });
    },
    holdBack(name) {
      const held: { arrive: (() => void) | null } = { arrive: null };
      heldBack.set(name, held);
      return {
        isTaken: () => held.arrive !== null,
        letGo() {
          if (heldBack.get(name) === held) heldBack.delete(name);
          held.arrive?.();
        },
      };
    },
    kill(process) {
      sim.forget(process);
      for (const takeEffect of underWay.get(process) ?? []) {
        if (!random.chance(OUTLIVES)) continue;
        sim.enqueue(sim.outside, () => {
          ports.trace?.(`#${process.id} is dead, but a call of it arrives`);
          takeEffect();
        });
      }
      underWay.delete(process);
    },
  };
  return ports;
}

async function settled<T>(effect: () => T | Promise<T>): Promise<T> {
  return await effect();
}
