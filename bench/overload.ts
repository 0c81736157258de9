import { Agent } from "node:http";
import { join } from "node:path";
import { type Committed, history, mostWaiting } from "../test/lab/history.ts";
import { post } from "./load.ts";
import { type Answer, offer } from "./offer.ts";
import { startHome } from "./server.ts";
import { median, printFigure, quantile } from "./stats.ts";

// A home that can serve ten jobs a second is offered a hundred times as many for a minute. What the bound of its queue
// did is read from the event history afterwards, in commit order: exact, and nothing disturbs the home meanwhile.

const SLOTS = 10;
const JOB_MS = 1_000;
const CAPACITY_PER_SECOND = (SLOTS * 1_000) / JOB_MS;
const MAX_QUEUED = 100;
const OFFERED_PER_SECOND = 100 * CAPACITY_PER_SECOND;
const OVERLOAD_SECONDS = 60;
/** Without overload: as many waiting as running, so that a slot never waits for a job. */
const CALM_CLIENTS = 2 * SLOTS;
const CALM_SECONDS = 30;

const LEAST_RATE = 0.95;
const MOST_REFUSAL_MS = 5;
const MOST_RETRY_AFTER_SECONDS = 60;

const SPEC = { runtime: "stub", env: { STUB_DURATION_MS: String(JOB_MS) } };
const SETTINGS = {
  LONGSHORE_RUNTIMES: "stub",
  LONGSHORE_MAX_CONCURRENT: `stub=${SLOTS}`,
  LONGSHORE_MAX_QUEUED: String(MAX_QUEUED),
};

const calmPerSecond = await calm();
const { answers, sentPerSecond, events } = await overload();
report();

/** Jobs a second with no more offered than can be served. */
async function calm(): Promise<number> {
  await using home = await startHome(SETTINGS);
  const agent = new Agent({ keepAlive: true });
  const begin = performance.now();
  const client = async () => {
    while (performance.now() - begin < CALM_SECONDS * 1_000) {
      const { jobId } = await post<{ jobId: string }>(agent, `${home.url}/api/v1/jobs`, SPEC);
      await (await fetch(`${home.url}/api/v1/jobs/${jobId}/events?follow=true`)).text();
    }
  };
  await Promise.all(Array.from({ length: CALM_CLIENTS }, client));
  agent.destroy();
  return endsPerSecond(history(join(home.directory, "ledger.db")));
}

async function overload(): Promise<{ answers: Answer[]; sentPerSecond: number; events: Committed[] }> {
  await using home = await startHome(SETTINGS);
  const load = { perSecond: OFFERED_PER_SECOND, seconds: OVERLOAD_SECONDS, body: SPEC };
  const { answers, sentPerSecond } = await offer(`${home.url}/api/v1/jobs`, load);
  for (const { jobId } of answers) {
    if (jobId !== null) await (await fetch(`${home.url}/api/v1/jobs/${jobId}/events?follow=true`)).text();
  }
  return { answers, sentPerSecond, events: history(join(home.directory, "ledger.db")) };
}

/**
 * How fast jobs ended. From the end of the first ones on, as many as there are slots: those began together, and counting
 * from there leaves no error at the edges.
 */
function endsPerSecond(events: Committed[]): number {
  const ends = events.filter(({ type }) => type === "SUCCEEDED").map(({ atMs }) => atMs);
  const [first, last] = [ends[SLOTS - 1], ends.at(-1)];
  if (first === undefined || last === undefined || last <= first) throw new Error("too few jobs ended to tell a rate");
  return (ends.length - SLOTS) / ((last - first) / 1_000);
}

function report(): void {
  const accepted = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status === 429);
  const others = answers.length - accepted.length - refused.length;
  const ended = new Set(events.filter(({ type }) => type === "SUCCEEDED").map(({ jobId }) => jobId));
  const lost = accepted.filter(({ jobId }) => jobId === null || !ended.has(jobId)).length;
  const stored = events.filter(({ type }) => type === "SUBMITTED").length;
  const waits = refused.map(({ retryAfterSeconds }) => retryAfterSeconds ?? 0);
  const badWaits = waits.filter((s) => !Number.isInteger(s) || s < 1 || s > MOST_RETRY_AFTER_SECONDS).length;
  const most = mostWaiting(events);
  const overloadPerSecond = endsPerSecond(events);
  const ratio = overloadPerSecond / calmPerSecond;
  const refusals = refused.map(({ ms }) => ms);

  printFigure({
    figure: "most jobs that ever waited, by the event history",
    ratio: most / MAX_QUEUED,
    against: "LONGSHORE_MAX_QUEUED",
    most,
    bound: MAX_QUEUED,
  });
  printFigure({
    figure: "accepted jobs that end a second, with a hundred times the capacity offered",
    ratio,
    against: "the same home with just enough offered",
    perSecond: overloadPerSecond,
    calmPerSecond,
    accepted: accepted.length,
    lost,
  });
  printFigure({
    figure: "answer of a full queue, ms at the median",
    ratio: median(refusals) / MOST_REFUSAL_MS,
    against: `${MOST_REFUSAL_MS} ms`,
    p50Ms: median(refusals),
    p99Ms: quantile(refusals, 0.99),
    refused: refused.length,
    sentPerSecond,
    retryAfterP50Seconds: median(waits),
  });

  const broken = [
    most > MAX_QUEUED && `the queue held ${most} jobs, ${MAX_QUEUED} at most are allowed`,
    most < MAX_QUEUED && `the queue held ${most} jobs at most: it was never full`,
    ratio < LEAST_RATE && `the rate under overload is below ${LEAST_RATE} of the rate without`,
    !(median(refusals) < MOST_REFUSAL_MS) && `the median refusal took ${MOST_REFUSAL_MS} ms or longer`,
    sentPerSecond < LEAST_RATE * OFFERED_PER_SECOND && `only ${sentPerSecond.toFixed(0)} jobs a second were offered`,
    badWaits > 0 && `${badWaits} refusals had no sound Retry-After`,
    lost > 0 && `${lost} accepted jobs did not succeed`,
    stored !== accepted.length && `${stored} jobs are stored, ${accepted.length} were accepted`,
    others > 0 && `${others} answers were neither 202 nor 429`,
  ].filter((text) => text !== false);
  for (const text of broken) console.error(text);
  if (broken.length > 0) process.exitCode = 1;
}
