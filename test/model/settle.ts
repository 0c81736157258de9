import { jobKey } from "../../engine/ledger/keys.ts";
import type { JobRecord } from "../../engine/ledger/records.ts";
import { isTerminal } from "../../engine/states.ts";
import { checkStep, happen, happenUntil } from "./check-step.ts";
import { leftBehind } from "./final.ts";
import type { Seen } from "./invariants.ts";
import { QUIET_MS } from "./model-command.ts";
import { NO_FAULTS } from "./ports.ts";
import type { World } from "./world.ts";

/** Between two sweeps: as the home on one machine has it. */
const SWEEP_MS = 15_000;
/** So many sweeps in a row are as far apart as in life; the longer nothing ends, the further apart they are. */
const PATIENT_SWEEPS = 8;
/** Together days: more than all timeouts and retries of a run take, one after the other. */
const MAX_SWEEPS = 400;
/** Once nothing fails a cancel takes no longer, nor does the end of an attempt: the grace, a few sweeps, the waits between retries. */
const PROMPT_MS = 600_000;

/** Nothing fails any more: lets everything come to its end, with a sweep every so often. */
export async function settle(world: World): Promise<void> {
  const { sim } = world;
  world.ports.faults = { ...NO_FAULTS };
  // A task that comes twice may leave a token of an older try: then the end of the run's own time is waited for.
  const prompt = world.setting.overlap ? [] : jobsThat(world, isToEnd);
  const begunMs = sim.nowMs();
  if (world.boot()) world.sweep(0).catch(() => undefined);
  for (let sweeps = 1; sweeps <= MAX_SWEEPS; sweeps++) {
    await happenUntil(world, sim.nowMs() + SWEEP_MS * Math.ceil(sweeps / PATIENT_SWEEPS));
    const done = isDone(world);
    world.sweep(QUIET_MS).catch(() => undefined);
    await happenUntil(world, sim.nowMs());
    // A sweep may have left it to another one, which died: then its lease has to expire first.
    if (done && leftBehind(world).length === 0) return;
    if (sim.nowMs() - begunMs > PROMPT_MS) checkPrompt(world, prompt);
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

/** A job with what it has been through. */
interface Stand {
  seen: Seen;
  events: number;
}

function jobsThat({ invariants }: World, fits: (seen: Seen) => boolean): Stand[] {
  const found = [...invariants.jobs.values()].filter(fits);
  return found.map((seen) => ({ seen, events: seen.types.length }));
}

/** It was cancelled, or its attempt has ended: what follows does not depend on how long a command runs. */
function isToEnd({ types, terminalEvents }: Seen): boolean {
  if (terminalEvents > 0) return false;
  return types.includes("CANCEL_REQUESTED") || types.lastIndexOf("EXITED") > types.lastIndexOf("LOGS_COLLECTED");
}

function checkPrompt({ invariants }: World, prompt: readonly Stand[]): void {
  for (const { seen, events } of prompt) {
    const { jobId, types } = seen;
    const goesOn = types.slice(events).some((type) => type !== "RECONCILED");
    if (!goesOn) invariants.fail(`${jobId} was to end soon, and nobody sees to it: ${types.join(" ")}`);
  }
}

function isDone(world: World): boolean {
  for (const jobId of world.invariants.jobs.keys()) if (!isOver(world, jobId)) return false;
  return true;
}

function isOver({ table }: World, jobId: string): boolean {
  const job = table.peek(jobKey(jobId)) as unknown as JobRecord | undefined;
  return job !== undefined && isTerminal(job.status) && !job.cleanupPending;
}
