import { jobKey } from "../../engine/ledger/keys.ts";
import type { JobRecord } from "../../engine/ledger/records.ts";
import { isTerminal } from "../../engine/states.ts";
import { checkStep, happen, happenUntil } from "./check-step.ts";
import { QUIET_MS } from "./model-command.ts";
import { NO_FAULTS } from "./ports.ts";
import type { World } from "./world.ts";

/** Between two sweeps: as the home on one machine has it. */
const SWEEP_MS = 15_000;
/** So many sweeps in a row are as far apart as in life; the longer nothing ends, the further apart they are. */
const PATIENT_SWEEPS = 8;
/** Together days: more than all timeouts and retries of a run take, one after the other. */
const MAX_SWEEPS = 400;
/** A cancel takes no longer than this once nothing fails: the grace, a few sweeps, the waits between retries. */
const CANCEL_MS = 600_000;

/** Nothing fails any more: lets everything come to its end, with a sweep every so often. */
export async function settle(world: World): Promise<void> {
  const { sim } = world;
  world.ports.faults = { ...NO_FAULTS };
  const cancelled = cancelRequested(world);
  const begunMs = sim.nowMs();
  if (world.boot()) world.sweep(0).catch(() => undefined);
  for (let sweeps = 1; sweeps <= MAX_SWEEPS; sweeps++) {
    await happenUntil(world, sim.nowMs() + SWEEP_MS * Math.ceil(sweeps / PATIENT_SWEEPS));
    const done = isDone(world);
    world.sweep(QUIET_MS).catch(() => undefined);
    await happenUntil(world, sim.nowMs());
    if (done) return;
    if (sim.nowMs() - begunMs > CANCEL_MS) checkCancelled(world, cancelled);
  }
}

const STEPS_A_LOOK = 20;

/** Where nothing was lost nobody has to sweep: lets everything come to its end by itself. */
export async function settleUnswept(world: World): Promise<void> {
  while (!isDone(world)) {
    const { sim, invariants } = world;
    if (!sim.busy() && sim.nextTimerMs() === Number.POSITIVE_INFINITY) {
      const left = [...invariants.jobs.values()].filter(({ jobId }) => !isOver(world, jobId));
      const said = left.map(({ jobId, types }) => `${jobId}: ${types.join(" ")}`).join("; ");
      invariants.fail(`without a sweep nothing goes on: ${said}`);
      await checkStep(world);
    }
    await happen(world, STEPS_A_LOOK);
  }
}

function cancelRequested({ invariants }: World): string[] {
  return [...invariants.jobs.values()]
    .filter(({ types }) => types.includes("CANCEL_REQUESTED"))
    .map(({ jobId }) => jobId);
}

function checkCancelled({ invariants }: World, cancelled: readonly string[]): void {
  for (const jobId of cancelled)
    if (invariants.jobs.get(jobId)?.terminalEvents === 0) invariants.fail(`${jobId} was cancelled and goes on`);
}

function isDone(world: World): boolean {
  for (const jobId of world.invariants.jobs.keys()) if (!isOver(world, jobId)) return false;
  return true;
}

function isOver({ table }: World, jobId: string): boolean {
  const job = table.peek(jobKey(jobId)) as unknown as JobRecord | undefined;
  return job !== undefined && isTerminal(job.status) && !job.cleanupPending;
}
