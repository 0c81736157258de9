import { join } from "node:path";
import { follow, type Target } from "../scenarios/client.ts";
import type { Job } from "../scenarios/contract.ts";
import { temporaryFolder } from "../scenarios/local-home.ts";
import { type Check, judgeFindings, verdictFaults } from "./checks.ts";
import { insist } from "./client.ts";
import { closeDown, type Field, openField, untilEnded, untilSettled } from "./field.ts";
import { accountsOf } from "./gather.ts";
import { type LoopDelay, loopDelayFrom, loopDelayInto, startIdleLoop, type Usage, usageOf } from "./gauges.ts";
import { createBriefPlan, type Plan } from "./jobs.ts";
import { endings, eventGaps } from "./ledger.ts";
import type { SoakOptions } from "./options.ts";
import { createRandom } from "./random.ts";

/** So many jobs are looked at in full at the end; of the others their end, and in the ledger their events. */
const SAMPLE = 1000;
const TENTHS = 10;

/** What a soak came to. */
export interface SoakReport {
  checks: Check[];
  jobsPerSecond: number;
  /** What the home took: before the first job, after each tenth of them, and at the end. */
  usage: { start: Usage; tenths: Usage[]; end: Usage };
  /** How late the event loop of the home was, and at the same time that of a process with nothing to do. */
  home: LoopDelay;
  idle: LoopDelay;
}

/**
 * Runs jobs through one home that nobody kills, so many at once, and looks at everything at the end.
 * @param say gets a line of progress.
 */
export async function runSoak(options: SoakOptions, say: (line: string) => void): Promise<SoakReport> {
  const { jobs, runtime } = options;
  await using rest = new AsyncDisposableStack();
  const folder = await temporaryFolder();
  rest.defer(folder.remove);
  const delayFile = join(folder.path, "home.json");
  const field = rest.use(await openField(runtime, loopDelayInto(delayFile)));
  const { home } = field;
  const idleLoop = rest.use(startIdleLoop(join(folder.path, "idle.json")));
  const start = await usageOf(home.pid());
  const tenths: Usage[] = [];
  const begun = performance.now();
  const pool = await pour(field, options, async (ended) => {
    if (ended % Math.ceil(jobs / TENTHS) !== 0) return;
    const usage = await usageOf(home.pid());
    const cpuMs = ((usage.cpuSeconds - (tenths.at(-1) ?? start).cpuSeconds) / Math.ceil(jobs / TENTHS)) * 1000;
    tenths.push(usage);
    say(`${ended} of ${jobs} jobs have ended: ${usage.nowMiB.toFixed(0)} MiB, ${cpuMs.toFixed(2)} ms of CPU a job`);
  });
  const jobsPerSecond = jobs / ((performance.now() - begun) / 1000);
  await untilEnded(field);
  await untilSettled(field, pool.jobIds);
  const end = await usageOf(home.pid());
  const checks = await judge(field, pool);
  const idle = await idleLoop.end();
  return { checks, jobsPerSecond, usage: { start, tenths, end }, home: await loopDelayFrom(delayFile), idle };
}

/** The jobs that were poured through a home. */
interface Pool {
  jobIds: string[];
  /** The jobs that are looked at in full. */
  sample: { plan: Plan; jobId: string }[];
  /** What the follower of a job saw at its end and must not be. */
  verdicts: string[];
  misanswered: string[];
}

/** Submits and follows jobs, so many at once; resolves when all that were accepted have ended. */
async function pour(
  { home, ground }: Field,
  { jobs, concurrent, seed }: SoakOptions,
  onEnd: (ended: number) => Promise<void>,
): Promise<Pool> {
  const random = createRandom(seed);
  const pool: Pool = { jobIds: [], sample: [], verdicts: [], misanswered: [] };
  // What comes back is searched for secret values in the sample only: here it would cost the home its share of the machine.
  const target: Target = { api: home.api };
  const every = Math.ceil(jobs / SAMPLE);
  let begun = 0;
  let ended = 0;

  async function live(plan: Plan, isSample: boolean): Promise<void> {
    const answer = await insist<Job>(target, "/jobs", {
      method: "POST",
      body: plan.spec,
      headers: { "Idempotency-Key": plan.id },
    });
    if (answer.status !== 202) {
      pool.misanswered.push(`${plan.kind} ${plan.id} was answered ${answer.status}: ${answer.text}`);
      return;
    }
    const { jobId } = answer.body;
    pool.jobIds.push(jobId);
    if (isSample) pool.sample.push({ plan, jobId });
    const faults = verdictFaults({ plan, cancel: null }, await endOf(target, jobId), false);
    pool.verdicts.push(...faults.map((fault) => `${plan.kind} ${jobId}: ${fault}`));
  }

  async function client(): Promise<void> {
    while (begun < jobs) {
      begun += 1;
      await live(createBriefPlan(begun, random, ground), begun % every === 0);
      ended += 1;
      await onEnd(ended);
    }
  }

  await Promise.all(Array.from({ length: concurrent }, client));
  return pool;
}

/** The job as the stream of its events tells it at the end. */
async function endOf(target: Target, jobId: string): Promise<Job> {
  for await (const { event, data } of follow(target, `/jobs/${jobId}/events`)) {
    if (event === "end") return data as Job;
  }
  throw new Error(`the events of ${jobId} broke off before the end`);
}

async function judge(field: Field, { jobIds, sample, verdicts, misanswered }: Pool): Promise<Check[]> {
  const accounts = await accountsOf(
    field.home,
    sample.map(({ jobId }) => jobId),
  );
  const { listed, deadLetters, ...remains } = await closeDown(field, jobIds);
  const sampled = new Set(sample.map(({ jobId }) => jobId));
  const accepted = new Set(jobIds);
  const ofSample = judgeFindings({
    ...remains,
    jobs: sample.map((one, index) => ({ ...one, cancel: null, account: accounts[index] })),
    // Strangers stay, so that they are found.
    listed: listed.filter((jobId) => sampled.has(jobId) || !accepted.has(jobId)),
    deadLetters: deadLetters.filter((jobId) => sampled.has(jobId)),
    forgetful: false,
    misanswered,
    leaks: field.leaks,
  });
  const gaps = eventGaps(field.home.data);
  const ends = endings(field.home.data);
  const endless = ends.filter(({ ends: count }) => count !== 1);
  const endsFaults = endless.map(({ status, ends: count, jobs }) => `${jobs} jobs are ${status} with ${count} ends`);
  const known = ends.reduce((sum, { jobs }) => sum + jobs, 0);
  const lost = known === jobIds.length ? [] : [`the ledger has ${known} jobs`];
  const missing = jobIds.length - listed.filter((jobId) => accepted.has(jobId)).length;
  if (missing !== 0) lost.push(`the API does not list ${missing} of them`);
  return [
    { name: "all jobs: lost", looked: jobIds.length, faults: lost },
    { name: "all jobs: wrong verdicts, as followed", looked: jobIds.length, faults: verdicts },
    { name: "all jobs: gaps in the events", looked: gaps.jobs, faults: gaps.faults },
    { name: "all jobs: without exactly one end", looked: known, faults: endsFaults },
    ...ofSample,
  ];
}
