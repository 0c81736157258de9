import type { World } from "./world.ts";

/** Looks after a step whether all is well. @throws Violation */
export async function checkStep(world: World): Promise<void> {
  const { invariants, places } = world;
  for (const job of invariants.takeEnded()) {
    for (const place of places) {
      for (const name of place.namesOf(job.jobId))
        if (await place.runs(name)) invariants.fail(`${job.jobId} is ${job.status} while ${name} runs`);
    }
  }
  const violation = invariants.violation();
  if (violation !== undefined) throw violation;
}
