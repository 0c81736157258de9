import { PLACE_PAGE, readActive } from "../../ledger/read.ts";
import type { JobRecord } from "../../ledger/records.ts";
import { noteRound, type Round, readRound } from "../../ledger/round.ts";
import { nextTurn } from "../../turn.ts";
import { repairJob } from "./repair-job.ts";
import { asOwner, each, type Sweep, SweepStopped, step } from "./sweep.ts";

/** Of its time a sweep spends so much on the jobs at most: what is done for the runtimes as a whole has its turn in each. */
const SHARE = 0.7;

/** The jobs that a sweep has come to, those that are not active any more with them. */
export interface Stretch {
  isIn(jobId: string): boolean;
  /**
   * The time, ms since the epoch, at which everything that ran on a runtime before it was still seen alive; undefined
   * when nothing ran, when not all of it was seen so, and as long as the round is not over.
   */
  seenAliveAtMs(runtime: string): number | undefined;
}

/**
 * Looks at the active jobs, from where the sweep before it had to stop, and repairs them. When its time is over it notes
 * how far it came, so that the next sweep goes on there, and a home with more to do than one sweep can still comes to
 * each of its jobs in turn. A home whose active jobs fit into one page writes nothing for it.
 *
 * A page is noted before it is begun: a sweep that dies in it, however often, does not keep the next ones from the jobs
 * behind it.
 * @throws SweepStopped when the lease is lost; when time is over it is only told in the report.
 */
export async function goRound(sweep: Sweep, beganAtMs: number): Promise<Stretch> {
  const { ctx, report, options, lease } = sweep;
  const { ledger } = ctx;
  const { until } = options;
  const pass =
    until === undefined ? sweep : { ...sweep, options: { ...options, until: beganAtMs + (until - beganAtMs) * SHARE } };
  const before = await readRound(ledger);
  const from = before?.after;
  let to = from;
  let noted = before !== undefined;
  const note = async (round: Round | null) => {
    if (round === null && !noted) return;
    await asOwner(() => noteRound(ledger, lease, round));
    noted = round !== null;
  };
  const roundAt = (after: string): Round => {
    const looked = (before?.looked ?? 0) + report.looked;
    return { after, looked, gap: before?.gap ?? false, looks: looksOf(sweep, before) };
  };

  for await (const jobs of readActive(ledger, from)) {
    const last = jobs.at(-1)?.jobId ?? to;
    if (last !== undefined && (noted || jobs.length === PLACE_PAGE)) await note({ ...roundAt(last), gap: true });
    const done = await repairPage(pass, jobs);
    report.looked += done;
    if (done < jobs.length) {
      to = jobs[done - 1]?.jobId ?? to;
      report.stopped = "time";
      await note(to === undefined ? null : roundAt(to));
      return { ...stretchOf(from, to ?? ""), seenAliveAtMs: () => undefined };
    }
    to = last;
    await nextTurn();
  }
  const round = roundAt(to ?? "");
  await note(null);
  if (!round.gap) report.active = round.looked;
  return { ...stretchOf(from, null), seenAliveAtMs: (runtime) => seenAliveAtMs(round, runtime) };
}

/** Behind `from`, when it is given, up to `to`, or to the end. */
function stretchOf(from: string | undefined, to: string | null): Pick<Stretch, "isIn"> {
  return { isIn: (jobId) => (from === undefined || jobId > from) && (to === null || jobId <= to) };
}

function looksOf({ looks }: Sweep, before: Round | undefined): Round["looks"] {
  const all = { ...before?.looks };
  for (const [name, { beganAtMs, complete, alive, doubtful }] of looks) {
    const earlier = before?.looks[name];
    // One that was not offered when the round began: of its jobs some were passed by.
    const whole = before === undefined || earlier?.complete === true;
    all[name] = {
      beganAtMs: earlier?.beganAtMs ?? beganAtMs,
      complete: complete && whole,
      alive: alive + (earlier?.alive ?? 0),
      doubtful: doubtful + (earlier?.doubtful ?? 0),
    };
  }
  return all;
}

/** Where nothing runs there is nothing to tell, and an idle home need not write. */
function seenAliveAtMs({ gap, looks }: Round, runtime: string): number | undefined {
  const look = looks[runtime];
  if (look === undefined || gap || !look.complete || look.alive === 0 || look.doubtful > 0) return undefined;
  return look.beganAtMs;
}

/** Repairs the jobs of a page. @returns how many of them, from the first on, are done with. */
async function repairPage(pass: Sweep, jobs: JobRecord[]): Promise<number> {
  const done = new Set<JobRecord>();
  const byRuntime = [...Map.groupBy(jobs, ({ runtime }) => runtime).values()];
  const repair = async (job: JobRecord) => {
    await repairOne(pass, job);
    done.add(job);
  };
  const outcomes = await Promise.allSettled(byRuntime.map((ofOne) => each(ofOne, repair)));
  const thrown = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
  const other = thrown.find((reason) => !(reason instanceof SweepStopped && reason.why === "time"));
  if (other !== undefined) throw other;
  const undone = jobs.findIndex((job) => !done.has(job));
  return undone < 0 ? jobs.length : undone;
}

async function repairOne(sweep: Sweep, job: JobRecord): Promise<void> {
  const done = await step(sweep, job.jobId, async () => {
    if (await repairJob(sweep, job)) sweep.report.repaired++;
  });
  const look = sweep.looks.get(job.runtime);
  if (!done && look !== undefined) look.doubtful++;
}
