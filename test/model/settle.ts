import { jobKey } from "../../engine/ledger/keys.ts";
import type { JobRecord } from "../../engine/ledger/records.ts";
import { isTerminal } from "../../engine/states.ts";
import { checkStep } from "./check-step.ts";
import { NO_FAULTS } from "./ports.ts";
import type { World } from "./world.ts";

/** Between two sweeps, and how long a job is left to whoever touched it last: as the home on one machine has it. */
const SWEEP_MS = 15_000;
const QUIET_MS = 30_000;
/** So many sweeps in a row are as far apart as in life; the longer nothing ends, the further apart they are. */
const PATIENT_SWEEPS = 8;
/** Together days: more than all timeouts and retries of a run take, one after the other. */
const MAX_SWEEPS = 400;
/** More happens only when something goes round in circles. */
const MAX_STEPS_BETWEEN = 50_000;

/** Nothing fails any more: lets everything come to its end, with a sweep every so often. */
export async function settle(world: World): Promise<void> {
  const { sim } = world;
  world.ports.faults = { ...NO_FAULTS };
  if (world.boot()) world.sweep(0).catch(() => undefined);
  for (let sweeps = 1; sweeps <= MAX_SWEEPS; sweeps++) {
    await until(world, sim.nowMs() + SWEEP_MS * Math.ceil(sweeps / PATIENT_SWEEPS));
    const done = isDone(world);
    world.sweep(QUIET_MS).catch(() => undefined);
    await until(world, sim.nowMs());
    if (done) return;
  }
}

/** Lets everything happen that can until then. */
async function until(world: World, untilMs: number): Promise<void> {
  const { sim, invariants } = world;
  for (let n = 0; sim.busy() || sim.nextTimerMs() <= untilMs; n++) {
    if (!(await sim.step())) break;
    await checkStep(world);
    if (n > MAX_STEPS_BETWEEN) {
      invariants.fail("something goes round in circles");
      await checkStep(world);
    }
  }
  if (sim.nowMs() < untilMs) sim.advance(untilMs - sim.nowMs());
}

function isDone({ invariants, table }: World): boolean {
  for (const jobId of invariants.jobs.keys()) {
    const job = table.peek(jobKey(jobId)) as unknown as JobRecord | undefined;
    if (job === undefined || !isTerminal(job.status) || job.cleanupPending) return false;
  }
  return true;
}
