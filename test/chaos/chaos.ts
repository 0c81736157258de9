import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Job } from "../scenarios/contract.ts";
import { type LocalHome, startLocalHome, temporaryFolder } from "../scenarios/local-home.ts";
import { filesWith, formsOf } from "../scenarios/needles.ts";
import { createBlows } from "./blows.ts";
import { type Check, type Findings, judgeFindings } from "./checks.ts";
import { insist } from "./client.ts";
import { accountsOf, everyPage } from "./gather.ts";
import { lookAt, type Outside } from "./grounds.ts";
import { createNeedles, createPlans, NEEDLE_VARIABLE, type Needles } from "./jobs.ts";
import { type Census, leftCounters, takeCensus } from "./ledger.ts";
import type { ChaosOptions } from "./options.ts";
import { createRandom } from "./random.ts";
import { rage } from "./storm.ts";
import { createSubmitter, type Submitted } from "./submitter.ts";

/** A container takes about a third of a second to start. */
const PACES = { docker: 3, process: 1, stub: 1 };
/** Commands at once: enough that several jobs are at every stage, few enough that some wait. */
const MAX_CONCURRENT = 12;
/** Files are searched for secret values after every so many blows, while the home is dead. */
const SEARCH_EVERY = 10;
/** Without any job that ends in this time, no more will: the longest wait inside is a retry of a minute. */
const STANDSTILL_MS = 150_000;
/** In this time a sweep has passed that looks at whatever was touched last. */
const SETTLE_MS = 45_000;
const LOOK_MS = 250;

/** What a run of chaos came to. */
export interface ChaosReport {
  checks: Check[];
  kills: number;
  /** Where the jobs stood when the home died, summed over all blows. */
  phases: Census;
  /** How the jobs ended, by kind and status. */
  ends: Census;
  seconds: number;
}

/**
 * Runs jobs of every kind through a home that is killed and started again, and looks at everything from outside when
 * all have ended and a sweep has passed.
 * @param say gets a line of progress.
 * @throws Error when the run itself cannot be made, such as a home that does not start.
 */
export async function runChaos(options: ChaosOptions, say: (line: string) => void): Promise<ChaosReport> {
  const begun = performance.now();
  const { jobs, kills, runtime, seed } = options;
  const needles = createNeedles();
  const leaks: string[] = [];
  const forms = Object.values(needles).flatMap((needle) => formsOf(needle).map((form) => form.toString("latin1")));
  const record = (text: string) => {
    if (forms.some((form) => text.includes(form))) leaks.push(`an answer: ${text.slice(0, 200)}`);
  };
  await using rest = new AsyncDisposableStack();
  const folder = await temporaryFolder();
  rest.defer(folder.remove);
  const shared = join(folder.path, "shared");
  await mkdir(shared);
  const home = await startLocalHome({ env: settings(shared, needles), record });
  rest.defer(() => home.dispose());
  const outside = rest.use(await lookAt(runtime, home, shared));

  const random = createRandom(seed);
  const plans = createPlans(jobs, random, { runtime, shared, needles });
  const submitter = createSubmitter(home, plans, random);
  const allow = (blows: number) => submitter.allow(kills === 0 ? jobs : Math.ceil(((blows + 1) * jobs) / kills));
  allow(0);
  const storm = await rage(home, {
    blows: createBlows(kills, random, PACES[runtime]),
    submitter,
    async after(blows) {
      allow(blows);
      if (blows % SEARCH_EVERY !== 0) return;
      leaks.push(...(await search(home, needles)));
      say(`${blows} of ${kills} kills, ${submitter.accepted.length} of ${jobs} jobs accepted`);
    },
  });
  await submitter.done;
  say(`${storm.kills} kills; waiting for the last of ${submitter.accepted.length} jobs`);
  await untilEnded(home);
  const jobIds = submitter.accepted.map(({ jobId }) => jobId);
  await untilSettled(home, outside, jobIds);
  const found = await gather(home, { outside, submitted: submitter.accepted });
  const stopped = await home.end("SIGTERM");
  const misbehaved = [...storm.misbehaved, outside.blindness()].filter((fault) => fault !== null);
  if (stopped.code !== 0) misbehaved.push(`the last stop ended with code ${stopped.code}, signal ${stopped.signal}`);
  leaks.push(...(await search(home, needles)));
  const checks = judgeFindings({
    ...found,
    forgetful: runtime === "stub",
    misanswered: submitter.misanswered,
    left: [...new Set([...found.left, ...(await outside.left(jobIds, true))])],
    leaks,
    counters: [...found.counters, ...leftCounters(home.data)],
    misbehaved,
  });
  const ends: Census = {};
  for (const { plan, account } of found.jobs) {
    const end = `${plan.kind} ${account?.job.status}`;
    ends[end] = (ends[end] ?? 0) + 1;
  }
  const seconds = Math.round((performance.now() - begun) / 1000);
  return { checks, kills: storm.kills, phases: storm.phases, ends, seconds };
}

function settings(shared: string, { inEnvironment }: Needles): Record<string, string> {
  return {
    LONGSHORE_ALLOWED_MOUNTS: shared,
    LONGSHORE_RECONCILE_SECONDS: "1",
    LONGSHORE_MAX_CONCURRENT: ["docker", "process", "stub"].map((name) => `${name}=${MAX_CONCURRENT}`).join(),
    [NEEDLE_VARIABLE]: inEnvironment,
  };
}

/** The files of the home that hold a secret value, and whether what it wrote to its own log does. */
async function search(home: LocalHome, needles: Needles): Promise<string[]> {
  const found: string[] = [];
  for (const needle of Object.values(needles)) {
    for (const file of await filesWith(home.data, needle)) found.push(`the file ${file}`);
    const output = Buffer.from(home.output());
    if (formsOf(needle).some((form) => output.includes(form))) found.push("the output of the home");
  }
  return found;
}

/** Resolves when every job has ended, or none does any more: then the checks say which. */
async function untilEnded(home: LocalHome): Promise<void> {
  let left = Number.POSITIVE_INFINITY;
  for (let movedAt = Date.now(); Date.now() - movedAt < STANDSTILL_MS; await delay(LOOK_MS)) {
    const now = Object.entries(takeCensus(home.data)).filter(([place]) => place !== "cleaning up");
    const count = now.reduce((sum, [, jobs]) => sum + jobs, 0);
    if (count === 0) return;
    if (count < left) movedAt = Date.now();
    left = Math.min(left, count);
  }
}

/** Resolves when nothing is left to do or to remove, or a sweep must have passed that sees to everything. */
async function untilSettled(home: LocalHome, outside: Outside, jobIds: readonly string[]): Promise<void> {
  for (const until = Date.now() + SETTLE_MS; Date.now() < until; await delay(LOOK_MS)) {
    const isIdle = Object.keys(takeCensus(home.data)).length === 0;
    if (isIdle && (await outside.left(jobIds)).length === 0) return;
  }
}

type Gathered = Pick<Findings, "jobs" | "listed" | "deadLetters" | "starts" | "left" | "counters">;

async function gather(
  home: LocalHome,
  { outside, submitted }: { outside: Outside; submitted: readonly Submitted[] },
): Promise<Gathered> {
  const jobIds = submitted.map(({ jobId }) => jobId);
  const left = await outside.left(jobIds);
  const accounts = await accountsOf(home, jobIds);
  const listed = await everyPage<Job>(home, "/jobs?limit=200");
  const letters = await everyPage<{ jobId: string }>(home, "/dead-letters?limit=200");
  const { body } = await insist<{ items: { name: string; running: number }[] }>(home, "/runtimes");
  return {
    jobs: submitted.map((one, index) => ({ ...one, account: accounts[index] })),
    listed: listed.map(({ jobId }) => jobId),
    deadLetters: letters.map(({ jobId }) => jobId),
    starts: await outside.starts(),
    left,
    counters: body.items.filter(({ running }) => running !== 0).map((one) => `${one.name}: ${one.running} running`),
  };
}
