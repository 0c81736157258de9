import fc from "fast-check";
import { type Asked, nothingAsked } from "./asked.ts";
import { commandsOf } from "./commands.ts";
import { checkEnd } from "./final.ts";
import type { ModelCommand } from "./model-command.ts";
import { NO_FAULTS } from "./ports.ts";
import { settle, settleUnswept } from "./settle.ts";
import { openWorld, type Setting, type World } from "./world.ts";

const setting = (calm: boolean): fc.Arbitrary<Setting> =>
  fc.record({
    schedule: fc.integer(),
    maxQueued: fc.constantFrom(3, 8, 30),
    maxConcurrent: fc.constantFrom(1, 2, 4),
    maxPerKey: fc.constantFrom(1, 1, 2),
    shards: fc.constantFrom(1, 1, 2, 3),
    durable: fc.boolean(),
    overlap: calm ? fc.constant(false) : fc.boolean(),
    streams: fc.constantFrom(1, 3),
    publishes: fc.constantFrom(false, false, false, true),
    patience: calm ? fc.constant(1) : fc.constantFrom(1, 1, 0.3, 0),
    faults: calm
      ? fc.record({ ...constants(NO_FAULTS), held: fc.constantFrom(0, 0.02), late: fc.constantFrom(0, 0.3) })
      : fc.record({
          table: fc.constantFrom(0, 0.02, 0.1),
          runtime: fc.constantFrom(0, 0.05, 0.2),
          others: fc.constantFrom(0, 0.02, 0.1),
          held: fc.constantFrom(0, 0, 0.02),
          late: fc.constantFrom(0, 0.3, 0.8),
        }),
  });

function constants<T extends object>(values: T): { [K in keyof T]: fc.Arbitrary<T[K]> } {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fc.constant(value)])) as never;
}

/** What was played. */
export interface Played {
  runs: number;
  /** Accepted jobs that came to their end. */
  lives: number;
  steps: number;
}

export interface PlayOptions {
  /** Gets every call to a port, for whoever wants to read what happened. */
  trace?: ((text: string) => void) | undefined;
  /** Once so many lives are over nothing more is played; default: no end. */
  enough?: number | undefined;
}

/** One in so many runs disturbs nothing, and expects every job to end as planned. */
const CALM_ONE_IN = 4;

/** The model: whatever is asked for and whatever goes wrong, all that must hold does. */
export function modelProperty(played: Played, { trace, enough = Number.POSITIVE_INFINITY }: PlayOptions = {}) {
  const run = (calm: boolean) =>
    fc.record({ calm: fc.constant(calm), setting: setting(calm), commands: commandsOf(calm) });
  const any = fc.oneof({ weight: 1, arbitrary: run(true) }, { weight: CALM_ONE_IN - 1, arbitrary: run(false) });
  return fc.asyncProperty(any, async ({ calm, setting, commands }) => {
    if (played.lives >= enough) return;
    const world = openWorld(setting);
    world.ports.trace = trace ?? null;
    try {
      await play(world, commands, { ...nothingAsked(), disturbed: !calm });
    } finally {
      played.runs++;
      played.lives += world.invariants.jobs.size;
      played.steps += world.sim.steps();
      world.close();
    }
  });
}

async function play(world: World, commands: Iterable<ModelCommand>, asked: Asked): Promise<void> {
  await fc.asyncModelRun(() => ({ model: asked, real: world }), commands);
  if (!asked.disturbed) await settleUnswept(world);
  await settle(world);
  checkEnd(world, asked);
}
