import { jobKey } from "../../engine/ledger/keys.ts";
import type { JobRecord } from "../../engine/ledger/records.ts";
import { isTerminal } from "../../engine/states.ts";
import { happenUntil } from "./check-step.ts";
import { QUIET_MS } from "./commands.ts";
import { NO_FAULTS } from "./ports.ts";
import type { World } from "./world.ts";

/** Between two sweeps: as the home on one machine has it. */
const SWEEP_MS = 15_000;
/** So many sweeps in a row are as far apart as in life; the longer nothing ends, the further apart they are. */
const PATIENT_SWEEPS = 8;
/** Together days: more than all timeouts and retries of a run take, one after the other. */
const MAX_SWEEPS = 400;
/** Nothing fails any more: lets everything come to its end, with a sweep every so often. */
export async function settle(world: World): Promise<void> {
  const { sim } = world;
  world.ports.faults = { ...NO_FAULTS };
  if (world.boot()) world.sweep(0).catch(() => undefined);
  for (let sweeps = 1; sweeps <= MAX_SWEEPS; sweeps++) {
    await happenUntil(world, sim.nowMs() + SWEEP_MS * Math.ceil(sweeps / PATIENT_SWEEPS));
    const done = isDone(world);
    world.sweep(QUIET_MS).catch(() => undefined);
    await happenUntil(world, sim.nowMs());
    if (done) return;
  }
}

function isDone({ invariants, table }: World): boolean {
  for (const jobId of invariants.jobs.keys()) {
    const job = table.peek(jobKey(jobId)) as unknown as JobRecord | undefined;
    if (job === undefined || !isTerminal(job.status) || job.cleanupPending) return false;
  }
  return true;
}
