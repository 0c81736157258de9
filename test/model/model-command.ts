import type fc from "fast-check";
import type { Asked } from "./asked.ts";
import { happen } from "./check-step.ts";
import type { JobPlan } from "./jobs.ts";
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

/** Plans for a staged batch; where the queue is too short for one, which is soon seen, the few themselves. */
export function stagedOf(few: readonly JobPlan[], { setting }: World): JobPlan[] {
  if (setting.maxQueued < STAGED) return [...few];
  return Array.from({ length: STAGED }, (_, n) => few[n % few.length] as JobPlan);
}

/** As the home on one machine has it: a job that was touched later is left to whoever touched it. */
export const QUIET_MS = 30_000;
