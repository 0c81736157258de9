import { LongshoreError } from "../../engine/errors.ts";
import type { JobId } from "../../engine/ids.ts";
import { jobKey } from "../../engine/ledger/keys.ts";
import type { JobRecord } from "../../engine/ledger/records.ts";
import { submitBatch, submitJob } from "../../engine/operations/submit.ts";
import { happen } from "./check-step.ts";
import type { Seen } from "./invariants.ts";
import { type JobPlan, specOf } from "./jobs.ts";
import type { World } from "./world.ts";

/** What the model knows of what was asked for: fast-check's model. */
export interface Asked {
  /** By label: what was submitted under it. */
  submits: Map<string, Submit>;
  /** Jobs that somebody asked to cancel. */
  cancelled: Set<string>;
  /** How often somebody asked for a job to be retried by hand. */
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

export function nothingAsked(): Asked {
  return { submits: new Map(), cancelled: new Set(), again: new Map(), disturbed: false };
}

/** Nobody waits for it: an answer that is an error is part of the game. */
export function begin(work: Promise<unknown>): void {
  work.catch(() => undefined);
}

/** Submits plans under a new label: one alone, several as a batch. */
export function submit(asked: Asked, world: World, { plans, key }: { plans: JobPlan[]; key: string | null }): void {
  const label = `s${asked.submits.size + 1}`;
  // A runtime that does not answer disturbs all who wait for it, and it takes a sweep to see that it is back.
  const calm = plans.map((plan) => (plan.fail === "RUNTIME_UNAVAILABLE" ? { ...plan, fail: null } : plan));
  const one: Submit = { label, plans: asked.disturbed ? plans : calm, key, answer: null };
  asked.submits.set(label, one);
  begin(send(world, one));
}

/** Sends a submit, which may have been sent before. */
export async function send(world: World, submit: Submit): Promise<void> {
  const { plans, label, key } = submit;
  const options = { caller: "model", ...(key === null ? {} : { idempotencyKey: key }) };
  const specs = plans.map((plan) => specOf(plan, label));
  try {
    const jobs = await world.run((ctx) =>
      specs.length === 1 ? submitJob(ctx, specs[0], options).then((job) => [job]) : submitBatch(ctx, specs, options),
    );
    if (jobs.length !== specs.length)
      world.invariants.fail(`${label}: ${jobs.length} of ${specs.length} jobs were answered`);
    for (const { jobId } of jobs)
      if (!world.invariants.jobs.has(jobId)) world.invariants.fail(`${label}: ${jobId} was answered but not accepted`);
    submit.answer = "accepted";
  } catch (error) {
    if (error instanceof LongshoreError && error.message.includes("erased"))
      world.invariants.fail(`${label}: ${error.message}, though nothing is ever erased here`);
    // Refused is what was decided; anything else leaves open what became of it.
    const refused = error instanceof LongshoreError && (error.code === "QUEUE_FULL" || error.code === "CONFLICT");
    submit.answer = refused && submit.answer === null ? "refused" : "unknown";
  }
}

/** Lets things happen until a job is found that fits, for a few steps at most. */
export async function soon(
  world: World,
  fits: (job: JobRecord) => boolean,
  steps = SOON_STEPS,
): Promise<JobRecord | undefined> {
  for (let n = 0; n < steps; n++) {
    for (const jobId of world.invariants.jobs.keys()) {
      const job = recordIn(world, jobId);
      if (job !== undefined && fits(job)) return job;
    }
    await happen(world, 1);
  }
  return undefined;
}

/** The job's record as it is, from the table itself. */
export function recordIn({ table }: World, jobId: string): JobRecord | undefined {
  return table.peek(jobKey(jobId)) as unknown as JobRecord | undefined;
}

const SOON_STEPS = 60;

/** One of the accepted jobs, by a number that was drawn before there were any. */
export function pick(world: World, at: number, fits: (seen: Seen) => boolean = () => true): JobId | undefined {
  const found = [...world.invariants.jobs.values()].filter(fits);
  return found[at % Math.max(1, found.length)]?.jobId as JobId | undefined;
}
