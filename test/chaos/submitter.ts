import { setTimeout as delay } from "node:timers/promises";
import type { Target } from "../scenarios/client.ts";
import type { Job } from "../scenarios/contract.ts";
import type { CancelOutcome } from "./checks.ts";
import { insist } from "./client.ts";
import type { Plan } from "./jobs.ts";
import type { Random } from "./random.ts";

/** A job that was accepted. */
export interface Submitted {
  plan: Plan;
  jobId: string;
  cancel: CancelOutcome;
}

export interface Submitter {
  /** What was accepted so far. */
  accepted: readonly Submitted[];
  /** Jobs submitted together, at most so many plans; their turn comes in this order. */
  groups: readonly { plans: Plan[]; first: number }[];
  /** Answers that no home may give. */
  misanswered: string[];
  /** Lets the groups go whose first plan is below this number. */
  allow(upTo: number): void;
  /** Resolves when a job is accepted after the call. */
  next(): Promise<Submitted>;
  /** Resolves when everything was accepted, cancelled and asked again as planned. */
  done: Promise<void>;
}

const CLIENTS = 4;
const MAX_BATCH = 40;
const SHARE_OF_BATCHES = 0.1;
const SHARE_ASKED_AGAIN = 0.1;
const ASK_AGAIN_MS = 3000;

/** Submits plans as they are allowed, alone and in batches, through any number of deaths of the home. */
export function createSubmitter(target: Target, plans: readonly Plan[], random: Random): Submitter {
  const accepted: Submitted[] = [];
  const misanswered: string[] = [];
  const groups = grouped(plans, random);
  const again = new Set(plans.filter(() => random.chance(SHARE_ASKED_AGAIN)).map(({ id }) => id));
  let allowed = 0;
  let allowance = Promise.withResolvers<void>();
  let news = Promise.withResolvers<Submitted>();
  let at = 0;

  async function submit({ plans: together }: { plans: Plan[] }): Promise<void> {
    const ids = await post(together);
    const jobs = together.flatMap((plan, index): Submitted[] => {
      const jobId = ids[index];
      return jobId === undefined ? [] : [{ plan, jobId, cancel: null }];
    });
    accepted.push(...jobs);
    for (const job of jobs) {
      news.resolve(job);
      news = Promise.withResolvers();
    }
    await Promise.all([...jobs.map(cancelInTime), askAgain(together, ids)]);
  }

  /** The ids of the jobs; none when the submission was refused. */
  async function post(together: Plan[]): Promise<string[]> {
    const [first] = together as [Plan];
    const headers = { "Idempotency-Key": together.length === 1 ? first.id : `${first.id}-and-more` };
    const body = together.length === 1 ? first.spec : { jobs: together.map(({ spec }) => spec) };
    const path = together.length === 1 ? "/jobs" : "/jobs/batch";
    const answer = await insist<Job & { items?: Job[] }>(target, path, { method: "POST", body, headers });
    if (answer.status !== 202) {
      misanswered.push(`${first.kind} ${first.id} was answered ${answer.status}: ${answer.text}`);
      return [];
    }
    return (answer.body.items ?? [answer.body]).map(({ jobId }) => jobId);
  }

  async function askAgain(together: Plan[], ids: string[]): Promise<void> {
    const [first] = together as [Plan];
    if (!again.has(first.id)) return;
    await delay(random.int(0, ASK_AGAIN_MS));
    const now = await post(together);
    if (now.join() !== ids.join()) misanswered.push(`${first.id} was accepted as ${ids} and then as ${now}`);
  }

  async function cancelInTime(job: Submitted): Promise<void> {
    const { cancelAfterMs } = job.plan;
    if (cancelAfterMs === null) return;
    await delay(cancelAfterMs);
    const { status, text, broken } = await insist(target, `/jobs/${job.jobId}/cancel`, { method: "POST" });
    if (status === 202) job.cancel = "accepted";
    else if (status === 409) job.cancel = broken > 0 ? "unsure" : "refused";
    else misanswered.push(`the cancel of ${job.jobId} was answered ${status}: ${text}`);
  }

  async function client(pending: Set<Promise<void>>): Promise<void> {
    for (let group = groups[at++]; group !== undefined; group = groups[at++]) {
      while (group.first >= allowed) await allowance.promise;
      const begun = submit(group);
      pending.add(begun);
      // The next one does not wait for the cancels of this one.
      await Promise.race([begun, delay(random.int(0, 100))]);
    }
  }

  async function all(): Promise<void> {
    const pending = new Set<Promise<void>>();
    await Promise.all(Array.from({ length: CLIENTS }, () => client(pending)));
    await Promise.all(pending);
  }

  return {
    accepted,
    groups,
    misanswered,
    allow(upTo) {
      allowed = Math.max(allowed, upTo);
      allowance.resolve();
      allowance = Promise.withResolvers();
    },
    next: () => news.promise,
    done: all(),
  };
}

function grouped(plans: readonly Plan[], random: Random): { plans: Plan[]; first: number }[] {
  const groups: { plans: Plan[]; first: number }[] = [];
  const most = Math.min(MAX_BATCH, Math.ceil(plans.length / 10));
  for (let first = 0; first < plans.length; ) {
    const size = random.chance(SHARE_OF_BATCHES) ? random.int(1, most) : 1;
    groups.push({ plans: plans.slice(first, first + size), first });
    first += size;
  }
  return groups;
}
