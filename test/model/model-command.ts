import type fc from "fast-check";
import type { Asked } from "./asked.ts";
import { happen } from "./check-step.ts";
import type { World } from "./world.ts";

export type ModelCommand = fc.AsyncCommand<Asked, World>;

/** A command: something is asked for, then a number of things happen. */
export function command(text: string, steps: number, act: (asked: Asked, world: World) => unknown): ModelCommand {
  return {
    check: () => true,
    async run(asked, world) {
      world.ports.trace?.(`> ${text}`);
      await act(asked, world);
      await happen(world, steps);
    },
    toString: () => `${text}, ${steps} steps`,
  };
}

/** More jobs than one commit can hold: such a batch is staged. */
export const STAGED = 26;

/** As the home on one machine has it: a job that was touched later is left to whoever touched it. */
export const QUIET_MS = 30_000;
