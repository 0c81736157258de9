import { createBlows } from "./blows.ts";
import { type Check, judgeFindings } from "./checks.ts";
import { closeDown, openField, untilEnded, untilSettled } from "./field.ts";
import { accountsOf } from "./gather.ts";
import { createPlans } from "./jobs.ts";
import type { Census } from "./ledger.ts";
import { type ChaosOptions, RUNTIMES } from "./options.ts";
import { createRandom } from "./random.ts";
import { rage } from "./storm.ts";
import { createSubmitter } from "./submitter.ts";

/** A container takes about a third of a second to start. */
const PACES = { docker: 3, process: 1, stub: 1 };
/** Commands at once: enough that several jobs are at every stage, few enough that some wait. */
const MAX_CONCURRENT = 12;
/** Files are searched for secret values after every so many blows, while the home is dead. */
const SEARCH_EVERY = 10;

/** What a run of chaos came to. */
export interface ChaosReport {
  checks: Check[];
  kills: number;
  /** Where the jobs stood when the home died, summed over all blows. */
  phases: Census;
  /** How the jobs ended, by kind and status. */
  ends: Census;
}

/**
 * Runs jobs of every kind through a home that is killed and started again, and looks at everything from outside when
 * all have ended and a sweep has passed.
 * @param say gets a line of progress.
 * @throws Error when the run itself cannot be made, such as a home that does not start.
 */
export async function runChaos(options: ChaosOptions, say: (line: string) => void): Promise<ChaosReport> {
  const { jobs, kills, runtime, seed } = options;
  const maxConcurrent = RUNTIMES.map((name) => `${name}=${MAX_CONCURRENT}`).join();
  await using field = await openField(runtime, {
    LONGSHORE_RECONCILE_SECONDS: "1",
    LONGSHORE_MAX_CONCURRENT: maxConcurrent,
  });
  const { home, ground } = field;
  const random = createRandom(seed);
  const submitter = createSubmitter(home, createPlans(jobs, random, ground), random);
  const allow = (blows: number) => submitter.allow(kills === 0 ? jobs : Math.ceil(((blows + 1) * jobs) / kills));
  allow(0);
  const storm = await rage(home, {
    blows: createBlows(kills, random, PACES[runtime]),
    submitter,
    async after(blows) {
      allow(blows);
      if (blows % SEARCH_EVERY !== 0) return;
      await field.search();
      say(`${blows} of ${kills} kills, ${submitter.accepted.length} of ${jobs} jobs accepted`);
    },
  });
  await submitter.done;
  say(`waiting for the last of ${submitter.accepted.length} jobs`);
  await untilEnded(field);
  const jobIds = submitter.accepted.map(({ jobId }) => jobId);
  await untilSettled(field, jobIds);
  const accounts = await accountsOf(home, jobIds);
  const found = submitter.accepted.map((one, index) => ({ ...one, account: accounts[index] }));
  const remains = await closeDown(field, jobIds);
  const checks = judgeFindings({
    ...remains,
    jobs: found,
    forgetful: runtime === "stub",
    misanswered: submitter.misanswered,
    leaks: field.leaks,
    misbehaved: [...storm.misbehaved, ...remains.misbehaved],
  });
  const ends: Census = {};
  for (const { plan, account } of found) {
    const end = `${plan.kind} ${account?.job.status}`;
    ends[end] = (ends[end] ?? 0) + 1;
  }
  return { checks, kills: storm.kills, phases: storm.phases, ends };
}
