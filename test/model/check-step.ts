import { quiet } from "./sim.ts";
import type { World } from "./world.ts";

/** Looks after a step whether all is well. @throws Violation */
export async function checkStep(world: World): Promise<void> {
  const { invariants, places } = world;
  for (const job of invariants.takeEnded()) {
    if (world.setting.overlap) continue;
    for (const place of places) {
      for (const name of place.namesOf(job.jobId))
        if (await place.runs(name)) invariants.fail(`${job.jobId} is ${job.status} while ${name} runs`);
    }
  }
  const violation = invariants.violation();
  if (violation !== undefined) throw violation;
}

/** More happens without time passing only when something goes round in circles. */
const MAX_STEPS = 50_000;

/** Lets so many things happen, and looks after each whether all is well. */
export async function happen(world: World, steps: number): Promise<void> {
  // What was asked for a moment ago makes its first call only now.
  await quiet();
  for (let n = 0; n < steps; n++) {
    if (!(await world.sim.step())) return;
    await checkStep(world);
  }
}

/** Lets everything happen that can until then, ms since the epoch. */
export async function happenUntil(world: World, untilMs: number): Promise<void> {
  const { sim, invariants } = world;
  await quiet();
  for (let n = 0; sim.busy() || sim.nextTimerMs() <= untilMs; n++) {
    if (n > MAX_STEPS) invariants.fail("something goes round in circles");
    if (!(await sim.step())) break;
    await checkStep(world);
  }
  if (sim.nowMs() < untilMs) sim.advance(untilMs - sim.nowMs());
}
