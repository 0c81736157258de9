import { setTimeout as delay } from "node:timers/promises";
import { follow } from "../scenarios/client.ts";
import type { JobEvent } from "../scenarios/contract.ts";
import type { LocalHome } from "../scenarios/local-home.ts";
import type { Blow } from "./blows.ts";
import { type Census, takeCensus } from "./ledger.ts";
import type { Submitter } from "./submitter.ts";

/** The contract's own number for a clean stop. */
const STOP_LIMIT_MS = 10_000;
/** How long a job is waited for that comes to what is aimed at. */
const AIM_LIMIT_MS = 1500;
const NEXT_JOB_MS = 500;

export interface Storm {
  kills: number;
  /** How many jobs stood where, summed over all moments at which the home died. */
  phases: Census;
  misbehaved: string[];
}

/**
 * Ends the home and starts it again, blow by blow; afterwards it runs.
 * @param after called with the number of blows so far, while the home is down.
 * @throws Error when the home does not start any more.
 */
export async function rage(
  home: LocalHome,
  { blows, submitter, after }: { blows: readonly Blow[]; submitter: Submitter; after(blows: number): Promise<void> },
): Promise<Storm> {
  const storm: Storm = { kills: 0, phases: {}, misbehaved: [] };
  for (const blow of blows) {
    await strike(home, { blow, submitter, storm });
    storm.kills += 1;
    for (const [place, count] of Object.entries(takeCensus(home.data))) {
      storm.phases[place] = (storm.phases[place] ?? 0) + count;
    }
    await after(storm.kills);
    if (blow !== blows.at(-1) && !isAtStart(blows[storm.kills])) await home.start();
  }
  if (blows.length > 0) await home.start();
  return storm;
}

const isAtStart = (blow: Blow | undefined): boolean => blow?.at.kind === "start";

async function strike(
  home: LocalHome,
  { blow, submitter, storm }: { blow: Blow; submitter: Submitter; storm: Storm },
): Promise<void> {
  const { at, signal } = blow;
  // The first blow finds a home that runs already.
  const starting = at.kind === "start" && storm.kills > 0 ? home.start().catch(() => undefined) : undefined;
  if (at.kind === "event") await seen(home, at.type, submitter);
  await delay(at.ms);
  const begun = performance.now();
  const end = await home.end(signal);
  await starting;
  const tookMs = performance.now() - begun;
  if (signal === "SIGKILL" && end.signal !== "SIGKILL") {
    storm.misbehaved.push(`the home had ended by itself (code ${end.code}, signal ${end.signal})`);
  }
  if (signal === "SIGTERM" && (end.code !== 0 || tookMs > STOP_LIMIT_MS)) {
    storm.misbehaved.push(`a stop took ${Math.round(tookMs)} ms and ended with code ${end.code}, signal ${end.signal}`);
  }
}

/** Resolves when some job has come to this event, or none does in a while. */
async function seen(home: LocalHome, type: string, submitter: Submitter): Promise<void> {
  const fresh = await Promise.race([submitter.next(), delay(NEXT_JOB_MS)]);
  const job = fresh ?? submitter.accepted.at(-1);
  if (job === undefined) return;
  await Promise.race([comes(home, job.jobId, type), delay(AIM_LIMIT_MS)]);
}

async function comes(home: LocalHome, jobId: string, type: string): Promise<void> {
  try {
    for await (const { data } of follow(home, `/jobs/${jobId}/events`)) if ((data as JobEvent).type === type) return;
  } catch {
    // The home was ended meanwhile: what was aimed at did not come in time.
  }
}
