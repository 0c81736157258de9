import { type Job, type JobEvent, type LogLine, TERMINAL } from "../scenarios/contract.ts";
import type { Plan } from "./jobs.ts";

/** What came of asking for a cancel. `unsure`: an answer was lost, and a later one said that the job had ended. */
export type CancelOutcome = "accepted" | "refused" | "unsure" | null;

/** What the API tells of one job at the end. */
export interface Account {
  job: Job;
  events: JobEvent[];
  lines: LogLine[];
}

/** An accepted job, and all that was found of it. */
export interface Finding {
  plan: Plan;
  jobId: string;
  cancel: CancelOutcome;
  /** Undefined: the API does not know the job. */
  account: Account | undefined;
}

/** Everything that was found at the end of a run. The texts are for people. */
export interface Findings {
  jobs: Finding[];
  /** Every job that the API lists. */
  listed: string[];
  /** The jobs of the dead letters that the API lists. */
  deadLetters: string[];
  /** Every start of a command as seen from outside; null where nothing outside can see one. */
  starts: { jobId: string; attempt: number }[] | null;
  /** A home that dies forgets what runs: such a job may have failed as lost, and its log may be cut off. */
  forgetful: boolean;
  /** A key that was accepted twice as two jobs, a spec that was refused. */
  misanswered: string[];
  /** Containers, processes, networks and directories that were still there. */
  left: string[];
  /** Files and answers with a secret value in them. */
  leaks: string[];
  /** The ledger's counters that are not zero. */
  counters: string[];
  /** A death of the home that nobody caused, a stop that took too long, a start that failed. */
  misbehaved: string[];
}

/** One thing that must hold, and where it did not. */
export interface Check {
  name: string;
  /** What was looked at. */
  looked: number;
  faults: string[];
}

/** Judges what was found: every check has no faults when the promises were kept. */
export function judgeFindings(found: Findings): Check[] {
  const each = (name: string, faultsOf: (one: Finding, account: Account) => string[]): Check => {
    const known = found.jobs.flatMap((one) => (one.account === undefined ? [] : [{ one, account: one.account }]));
    const faults = known.flatMap(({ one, account }) => faultsOf(one, account).map((text) => `${label(one)}: ${text}`));
    return { name, looked: known.length, faults };
  };
  const whole = (name: string, faults: string[], looked = 1): Check => ({ name, looked, faults });
  return [
    lost(found),
    whole("jobs that nobody submitted", strangers(found), found.listed.length),
    whole("submissions answered wrongly", found.misanswered, found.jobs.length),
    each("jobs that did not end", (_, { job }) => (TERMINAL.includes(job.status) ? [] : [`is ${job.status}`])),
    each("wrong verdicts", (one, account) => verdictFaults(one, account.job, found.forgetful)),
    ...startChecks(found),
    each("gaps and slips in the events", (_, account) => eventFaults(account)),
    each("jobs without exactly one end", (_, account) => endFaults(account)),
    each("logs that are not whole", (one, account) => logFaults(one.plan, account, found.forgetful)),
    whole("dead letters missing or too many", deadLetterFaults(found), found.jobs.length),
    keyOverlaps(found),
    whole("resources left behind", found.left),
    whole("secret values found", found.leaks),
    whole("counters of the ledger not zero", found.counters),
    whole("misbehaviour of the home", found.misbehaved),
  ];
}

const label = ({ plan, jobId }: Pick<Finding, "plan" | "jobId">): string => `${plan.kind} ${jobId}`;

function lost({ jobs }: Findings): Check {
  const faults = jobs.filter(({ account }) => account === undefined).map((one) => `${label(one)}: is not known`);
  return { name: "accepted jobs lost", looked: jobs.length, faults };
}

function strangers({ jobs, listed }: Findings): string[] {
  const accepted = new Set(jobs.map(({ jobId }) => jobId));
  const times = Map.groupBy(listed, (jobId) => jobId);
  const unknown = [...times.keys()].filter((jobId) => !accepted.has(jobId));
  const twice = [...times].filter(([, all]) => all.length > 1).map(([jobId]) => `${jobId} is listed twice`);
  const missing = [...accepted].filter((jobId) => !times.has(jobId)).map((jobId) => `${jobId} is not listed`);
  return [...unknown, ...twice, ...missing];
}

/** Whether a job that has ended ended as it must: one sentence when it did not. */
export function verdictFaults(
  { plan: { verdict }, cancel }: Pick<Finding, "plan" | "cancel">,
  job: Job,
  forgetful: boolean,
): string[] {
  const wasCancelled = job.status === "CANCELLED";
  if (wasCancelled && (cancel === "accepted" || cancel === "unsure")) {
    return job.error === null ? [] : ["is CANCELLED with an error"];
  }
  if (wasCancelled) return ["is CANCELLED, which nobody asked for"];
  if (cancel === "accepted") return [`is ${job.status} although its cancel was accepted`];
  if (forgetful && isLost(job)) return [];
  if (verdict === null) return [`is ${job.status} (${job.error?.message}) although it never ends by itself`];
  const wanted = [verdict.status, verdict.category, verdict.exitCode ?? job.exitCode];
  // After a lost attempt the next may begin with what the first was to do.
  if (!forgetful) wanted.push(verdict.attempt);
  const got = [job.status, job.error?.category ?? null, job.exitCode];
  if (!forgetful) got.push(job.attempt);
  if (wanted.join() === got.join()) return [];
  return [`is ${got.join(" ")} and not ${wanted.join(" ")} (${job.error?.message ?? "no error"})`];
}

function isLost(job: Job): boolean {
  return job.status === "FAILED" && job.error?.category === "RUNTIME_UNAVAILABLE" && job.error.providerCode === "LOST";
}

function startChecks({ starts, jobs }: Findings): Check[] {
  if (starts === null) return [];
  const seen = new Map<string, number>();
  for (const { jobId, attempt } of starts) {
    const key = `${jobId} attempt ${attempt}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  }
  const double = [...seen].filter(([, count]) => count > 1).map(([key, count]) => `${key} was started ${count} times`);
  // What nobody saw start, nobody would have seen start twice: the witness itself is checked.
  const recorded = jobs.flatMap(({ jobId, account }) =>
    (account?.events ?? [])
      .filter(({ type }) => type === "STARTED")
      .map(({ attempt }) => `${jobId} attempt ${attempt}`),
  );
  const unseen = recorded.filter((key) => !seen.has(key)).map((key) => `${key} is STARTED and nobody saw it`);
  return [
    { name: "double starts in one attempt", looked: starts.length, faults: double },
    { name: "recorded starts that nobody saw", looked: recorded.length, faults: unseen },
  ];
}

/** Events that an attempt has at most once. */
const ONCE = ["ADMITTED", "VALIDATED", "CONTAINER_CREATING", "STARTED", "EXITED", "LOGS_COLLECTED", "COST_RECORDED"];

function eventFaults({ job, events }: Account): string[] {
  const faults: string[] = [];
  const gap = events.findIndex(({ seq }, index) => seq !== index + 1);
  if (gap !== -1) faults.push(`event ${gap + 1} has the number ${events[gap]?.seq}`);
  for (let attempt = 1; attempt <= job.attempt; attempt++) {
    for (const type of ONCE) {
      const count = events.filter((one) => one.type === type && one.attempt === attempt).length;
      if (count > 1) faults.push(`attempt ${attempt} has ${type} ${count} times`);
    }
  }
  const backwards = events.find(({ attempt }, index) => attempt < (events[index - 1]?.attempt ?? 1));
  if (backwards !== undefined) faults.push(`event ${backwards.seq} goes back to attempt ${backwards.attempt}`);
  const ended = events.findIndex(({ type }) => TERMINAL.includes(type));
  const after = ended === -1 ? [] : events.slice(ended + 1).filter(({ type }) => type !== "CLEANED_UP");
  for (const { type } of after) faults.push(`${type} comes after the end`);
  return faults;
}

function endFaults({ job, events }: Account): string[] {
  const ends = events.filter(({ type }) => TERMINAL.includes(type)).map(({ type }) => type);
  const faults = ends.length === 1 ? [] : [`has ${ends.length} ends (${ends.join(", ")})`];
  if (ends.length === 1 && ends[0] !== job.status) faults.push(`is ${job.status} and its event says ${ends[0]}`);
  // A job that never got as far as a resource has none to clean up.
  if (job.externalName !== null && events.at(-1)?.type !== "CLEANED_UP") faults.push("was not cleaned up");
  return faults;
}

function logFaults(plan: Plan, { job, events, lines }: Account, forgetful: boolean): string[] {
  const faults: string[] = [];
  const slip = lines.findIndex(({ seq }, index) => seq !== index + 1);
  if (slip !== -1) faults.push(`line ${slip + 1} has the number ${lines[slip]?.seq}`);
  for (const { text } of lines.filter(({ stream }) => stream === "system")) faults.push(`the log says: ${text}`);
  for (let attempt = 1; attempt <= job.attempt; attempt++) {
    const own = lines.filter((line) => line.attempt === attempt);
    const whole = !forgetful && endedByItself(job, events, attempt);
    for (const name of ["out", "err"] as const) {
      const stream = name === "out" ? "stdout" : "stderr";
      const fault = countFault(own, { name, stream, upTo: whole ? plan.lines[name] : null });
      if (fault !== null) faults.push(`attempt ${attempt}: ${fault}`);
    }
  }
  return faults;
}

/** Whether an attempt went to the end of its script, so that everything that it writes must be there. */
function endedByItself(job: Job, events: JobEvent[], attempt: number): boolean {
  if (attempt === job.attempt && !["SUCCEEDED", "FAILED"].includes(job.status)) return false;
  const exited = events.find((event) => event.type === "EXITED" && event.attempt === attempt);
  return exited !== undefined && exited.data.failure !== "RUNTIME_UNAVAILABLE" && exited.data.exitCode !== null;
}

/** Whether a stream's lines count from 1 without a gap, a doublet or a swap, and as far as they must. */
function countFault(
  lines: LogLine[],
  { name, stream, upTo }: { name: string; stream: string; upTo: number | null },
): string | null {
  const numbers = lines
    .filter((line) => line.stream === stream)
    .flatMap(({ text }) => {
      const number = new RegExp(`^${name} (\\d+)\\b`).exec(text)?.[1];
      return number === undefined ? [] : [Number(number)];
    });
  const wrong = numbers.findIndex((number, index) => number !== index + 1);
  if (wrong !== -1) return `${name} ${wrong + 1} is missing or out of its place: there stands ${numbers[wrong]}`;
  if (upTo !== null && numbers.length !== upTo) return `${name} has ${numbers.length} lines of ${upTo}`;
  return null;
}

function deadLetterFaults({ jobs, deadLetters }: Findings): string[] {
  const times = Map.groupBy(deadLetters, (jobId) => jobId);
  return jobs.flatMap(({ plan, jobId, account }) => {
    if (account === undefined) return [];
    const wanted = ["FAILED", "TIMED_OUT"].includes(account.job.status) ? 1 : 0;
    const listed = times.get(jobId)?.length ?? 0;
    const told = account.events.filter(({ type }) => type === "DEAD_LETTERED").length;
    if (listed === wanted && told === wanted) return [];
    return [`${plan.kind} ${jobId}: ${listed} listed and ${told} events, not ${wanted}`];
  });
}

/** By their own times jobs with one concurrency key must have run one after the other. */
function keyOverlaps({ jobs }: Findings): Check {
  const spans = jobs.flatMap(({ plan, jobId, account }) => {
    const key = plan.spec.concurrencyKey as string | undefined;
    if (key === undefined || account === undefined) return [];
    return account.job.attempts.flatMap(({ startedAt, finishedAt }) =>
      startedAt === null || finishedAt === null ? [] : [{ key, jobId, startedAt, finishedAt }],
    );
  });
  const faults: string[] = [];
  for (const ofKey of Map.groupBy(spans, ({ key }) => key).values()) {
    const inOrder = ofKey.toSorted((one, other) => one.startedAt.localeCompare(other.startedAt));
    for (const [index, { jobId, startedAt }] of inOrder.entries()) {
      const before = inOrder[index - 1];
      if (before === undefined || before.finishedAt <= startedAt) continue;
      faults.push(`${jobId} began at ${startedAt}, before ${before.jobId} ended at ${before.finishedAt}`);
    }
  }
  return { name: "concurrency keys held twice", looked: spans.length, faults };
}
