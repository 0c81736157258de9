import fc from "fast-check";
import { ConflictError } from "../../engine/ports/table.ts";
import { LongshoreError } from "../../engine/errors.ts";
import type { JobId } from "../../engine/ids.ts";
import { readJob } from "../../engine/ledger/read.ts";
import { admitWaiting } from "../../engine/operations/admit.ts";
import { cancelJob, retryJob } from "../../engine/operations/control.ts";
import { observeExit } from "../../engine/operations/observe.ts";
import { replayDeadLetter } from "../../engine/operations/replay.ts";
import { submitBatch, submitJob } from "../../engine/operations/submit.ts";
import type { Seen } from "./invariants.ts";
import { type JobPlan, jobPlan, planText, specOf } from "./jobs.ts";
import { NO_FAULTS } from "./ports.ts";
import { happen, happenUntil } from "./check-step.ts";
import { RUNTIMES, type World } from "./world.ts";

/** What the model knows of what was asked for: fast-check's model. */
export interface Asked {
  /** By label: what was submitted under it. */
  submits: Map<string, Submit>;
  /** Jobs that somebody asked to cancel. */
  cancelled: Set<string>;
  /** How often somebody asked for a job to be retried by hand or replayed, by the job. */
  again: Map<string, number>;
  /** Something was done that disturbs jobs beyond what their plans say. */
  disturbed: boolean;
}

export interface Submit {
  label: string;
  plans: JobPlan[];
  /** The idempotency key it came with. */
  key: string | null;
  /** How it was answered; null as long as it was not. */
  answer: "accepted" | "refused" | "unknown" | null;
}

/** As the home on one machine has it: a job that was touched later is left to whoever touched it. */
export const QUIET_MS = 30_000;

export type ModelCommand = fc.AsyncCommand<Asked, World>;

/** A command: something is asked for, then a number of things happen. */
function command(text: string, steps: number, act: (asked: Asked, world: World) => void): ModelCommand {
  return {
    check: () => true,
    async run(asked, world) {
      world.ports.trace?.(`> ${text}`);
      act(asked, world);
      await happen(world, steps);
    },
    toString: () => `${text}, ${steps} steps`,
  };
}

/** Nobody waits for it: an answer that is an error is part of the game. */
function begin(work: Promise<unknown>): void {
  work.catch(() => undefined);
}

function submitAll(asked: Asked, world: World, plans: JobPlan[], key: string | null): void {
  const label = `s${asked.submits.size + 1}`;
  const submit: Submit = { label, plans, key, answer: null };
  asked.submits.set(label, submit);
  begin(send(world, submit));
}

async function send(world: World, submit: Submit): Promise<void> {
  const { plans, label, key } = submit;
  const options = { caller: "model", ...(key === null ? {} : { idempotencyKey: key }) };
  const specs = plans.map((plan) => specOf(plan, label));
  try {
    const jobs = await world.run((ctx) =>
      specs.length === 1 ? submitJob(ctx, specs[0], options).then((job) => [job]) : submitBatch(ctx, specs, options),
    );
    if (jobs.length !== specs.length) world.invariants.fail(`${label}: ${jobs.length} of ${specs.length} jobs were answered`);
    for (const { jobId } of jobs)
      if (!world.invariants.jobs.has(jobId)) world.invariants.fail(`${label}: ${jobId} was answered but not accepted`);
    submit.answer = "accepted";
  } catch (error) {
    // Refused is what was decided; anything else leaves open what became of it.
    const refused = error instanceof LongshoreError && (error.code === "QUEUE_FULL" || error.code === "CONFLICT");
    submit.answer = refused && submit.answer === null ? "refused" : "unknown";
  }
}

/** One of the accepted jobs, by a number that was drawn before there were any. */
function pick(world: World, at: number, fits: (seen: Seen) => boolean = () => true): JobId | undefined {
  const found = [...world.invariants.jobs.values()].filter(fits);
  return found[at % Math.max(1, found.length)]?.jobId as JobId | undefined;
}

const steps = fc.nat(40);
const at = fc.nat(50);
const key = fc.constantFrom(null, null, "i1", "i2");

const submitCommands: fc.Arbitrary<ModelCommand>[] = [
  fc.tuple(jobPlan, key, steps).map(([plan, k, n]) => command(`submit ${planText(plan)} key ${k}`, n, (asked, world) => submitAll(asked, world, [plan], k))),
  fc.tuple(jobPlan, steps).map(([plan, n]) => command(`submit ${planText(plan)}`, n, (asked, world) => submitAll(asked, world, [plan], null))),
  fc.tuple(fc.array(jobPlan, { minLength: 2, maxLength: 6 }), key, steps).map(([plans, k, n]) =>
    command(`submit ${plans.map(planText).join("; ")} key ${k}`, n, (asked, world) => submitAll(asked, world, plans, k)),
  ),
];

/** More jobs than one commit can hold: such a batch is staged. */
const STAGED = 26;

const calmCommands: fc.Arbitrary<ModelCommand>[] = [
  fc.tuple(fc.array(jobPlan, { minLength: 2, maxLength: 4 }), key, steps).map(([plans, k, n]) =>
    command(`submit ${STAGED} of ${plans.map(planText).join("; ")} key ${k}`, n, (asked, world) =>
      submitAll(asked, world, Array.from({ length: STAGED }, (_, i) => plans[i % plans.length] as JobPlan), k),
    ),
  ),
  fc.tuple(at, steps).map(([a, n]) => command(`send submit ${a} again`, n, (asked, world) => {
    const submit = [...asked.submits.values()].filter(({ key: k }) => k !== null)[a % 3];
    if (submit !== undefined) begin(send(world, submit));
  })),
  fc.tuple(at, steps).map(([a, n]) => command(`cancel job ${a}`, n, (asked, world) => {
    const jobId = pick(world, a);
    if (jobId === undefined) return;
    asked.cancelled.add(jobId);
    begin(world.run((ctx) => cancelJob(ctx, jobId, "model")));
  })),
  fc.tuple(at, fc.boolean(), steps).map(([a, byHand, n]) =>
    command(`${byHand ? "retry" : "replay twice"} failed job ${a}`, n, (asked, world) => {
      const jobId = pick(world, a, ({ types }) => types.includes("DEAD_LETTERED"));
      if (jobId === undefined) return;
      const options = { caller: "model" };
      if (byHand) {
        asked.again.set(jobId, (asked.again.get(jobId) ?? 0) + 1);
        return begin(world.run((ctx) => retryJob(ctx, jobId, options)));
      }
      begin(world.run((ctx) => replayDeadLetter(ctx, jobId, options)));
      begin(world.run((ctx) => replayDeadLetter(ctx, jobId, options)));
    }),
  ),
  fc.constantFrom(10, 1000, 5000, 60_000).map((ms) => ({
    ...command(`${ms} ms pass`, 0, () => undefined),
    run: (_asked, world) => happenUntil(world, world.sim.nowMs() + ms),
  })),
  fc.nat(200).map((n) => command("time goes on", n, () => undefined)),
  fc.tuple(fc.boolean(), steps).map(([twice, n]) => command(twice ? "two sweeps" : "sweep", n, (_, world) => {
    begin(world.sweep(QUIET_MS));
    if (twice) begin(world.sweep(QUIET_MS));
  })),
  fc.tuple(fc.constantFrom(...RUNTIMES), steps).map(([runtime, n]) => command(`admit to ${runtime}`, n, (_, world) => begin(world.run((ctx) => admitWaiting(ctx, runtime))))),
];

const harshCommands: fc.Arbitrary<ModelCommand>[] = [
  fc.tuple(at, fc.integer({ min: 1, max: 3 }), steps).map(([a, attempt, n]) =>
    command(`requeue attempt ${attempt} of job ${a} out of turn`, n, (_, world) => {
      const jobId = pick(world, a, ({ types }) => types.includes("RETRY_SCHEDULED"));
      if (jobId !== undefined) begin(world.task("${FinalizeFunction}", { step: "requeue", input: { jobId, attempt } }));
    }),
  ),
  fc.tuple(fc.constantFrom(0, 0, 2000, 100_000), steps).map(([ms, n]) => command(`crash, ${ms} ms down`, n, (_, world) => down(world, ms, () => world.crash()))),
  fc.tuple(fc.nat(20), steps).map(([between, n]) => ({
    ...command(`stop, ${between} steps, then die`, n, () => undefined),
    async run(asked, world) {
      asked.disturbed = true;
      world.stop();
      await happen(world, between);
      down(world, 0, () => world.crash());
      await happen(world, n);
    },
  })),
  fc.tuple(at, steps).map(([a, n]) => command(`task ${a} comes again`, n, (_, world) => {
    const { history } = world.machine;
    const again = history[a % Math.max(1, history.length)];
    // Two launches of one attempt at once are only played where that is expected of the orchestrator.
    if (again?.functionName.includes("Dispatch") && !world.setting.overlap) return;
    if (again !== undefined) begin(world.task(again.functionName, again.payload));
  })),
  fc.tuple(at, fc.integer({ min: 1, max: 3 }), steps).map(([a, attempt, n]) => command(`news of attempt ${attempt} of job ${a}`, n, (_, world) => {
    const jobId = pick(world, a);
    if (jobId !== undefined) begin(world.run((ctx) => observeExit(ctx, { jobId, attempt })));
  })),
  fc.tuple(at, fc.boolean(), steps).map(([a, all, n]) => command(`the resource of job ${a} ${all ? "vanishes" : "is killed"}`, n, (_, world) => {
    const jobId = pick(world, a);
    if (jobId !== undefined) begin(takeAway(world, jobId, all));
  })),
  steps.map((n) => command("the feed loses what it holds", n, (_, world) => {
    for (const feed of world.feeds) feed.lose();
    world.bus.forgive();
  })),
  fc.tuple(fc.constantFrom(0, 0.1, 0.5), fc.constantFrom(0, 0.1, 0.5), fc.constantFrom(0, 0.1, 0.5), steps).map(([table, runtime, others, n]) =>
    command(`faults ${table} ${runtime} ${others}`, n, (_, world) => {
      world.ports.faults = { ...world.ports.faults, table, runtime, others };
    }),
  ),
  fc.tuple(fc.constantFrom(1000, 60_000, 7_200_000, 100_000_000), steps).map(([ms, n]) => command(`nothing happens for ${ms} ms`, n, (_, world) => world.sim.advance(ms))),
];

function down(world: World, ms: number, die: () => void): void {
  die();
  const boot = () => {
    if (!world.boot()) return;
    begin(world.sweep(0));
    // Two instances that are started at once.
    if (world.sim.random.chance(0.3)) begin(world.sweep(0));
  };
  if (ms === 0) boot();
  else world.sim.setTimer(world.sim.outside, ms, boot);
}

async function takeAway(world: World, jobId: JobId, gone: boolean): Promise<void> {
  for (const place of world.places) {
    for (const name of place.namesOf(jobId)) {
      const job = await readJob({ table: world.table, limits: world.limits, clock: world.sim.nowMs }, jobId);
      // What vanishes before its start is on record cannot be told from what was never started.
      if (gone && job?.externalRef === name) await place.vanish(name);
      if (!gone) await place.kill(name);
    }
  }
}

/** A run of the model: commands that disturb nothing, or all of them. */
export function commandsOf(calm: boolean) {
  const weighted = [...submitCommands, ...submitCommands, ...submitCommands, ...calmCommands];
  const all = (calm ? weighted : [...weighted, ...submitCommands, ...harshCommands]).map((one) =>
    calm ? one : one.map((c) => ({ ...c, run: (asked: Asked, world: World) => ((asked.disturbed = true), c.run(asked, world)), toString: c.toString })),
  );
  return fc.commands(all, { maxCommands: 40, size: "max" });
}

export function nothingAsked(): Asked {
  return { submits: new Map(), cancelled: new Set(), again: new Map(), disturbed: false };
}

export { ConflictError, NO_FAULTS };
