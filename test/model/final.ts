import { jobKey, masksKey, sealedKey } from "../../engine/ledger/keys.ts";
import type { AttemptRecord, JobRecord } from "../../engine/ledger/records.ts";
import { isTerminal } from "../../engine/states.ts";
import type { Asked, Submit } from "./asked.ts";
import type { Seen } from "./invariants.ts";
import { expectedOf, type JobPlan } from "./jobs.ts";
import type { World } from "./world.ts";

/** What holds when everything has come to its end. @throws Violation */
export function checkEnd(world: World, asked: Asked): void {
  const { invariants, table } = world;
  const jobs = [...invariants.jobs.values()];
  const records = new Map<string, JobRecord>();
  for (const seen of jobs) {
    const job = table.peek(jobKey(seen.jobId)) as unknown as JobRecord | undefined;
    if (job === undefined) invariants.fail(`${seen.jobId} was accepted and is not there any more`);
    else {
      records.set(seen.jobId, job);
      checkJob(world, seen, job);
    }
  }
  for (const name of leftBehind(world)) invariants.fail(`${name} was left on the runtime`);
  for (const submit of asked.submits.values()) {
    checkSubmit(
      world,
      submit,
      jobs.filter(({ label, retryOf }) => label === submit.label && retryOf === null),
    );
  }
  checkKeys(world, asked, jobs);
  for (const { jobId } of jobs) {
    const replays = jobs.filter(({ retryOf }) => retryOf === jobId).length;
    if (replays > 1 + (asked.again.get(jobId) ?? 0)) invariants.fail(`${jobId} was replayed ${replays} times`);
  }
  if (!asked.disturbed) checkCalm(world, asked, records);
  const violation = invariants.violation();
  if (violation !== undefined) throw violation;
}

function checkJob(world: World, seen: Seen, job: JobRecord): void {
  const { invariants, table } = world;
  const fail = (text: string) => invariants.fail(`${job.jobId} (${job.status}/${job.phase}#${job.attempt}) ${text}`);
  if (!isTerminal(job.status)) return fail(`has not ended: ${seen.types.join(" ")}`);
  if (seen.terminalEvents !== 1) fail(`has ${seen.terminalEvents} last events`);
  if (job.cleanupPending) fail("has yet to be cleaned up");
  if (job.seq !== seen.types.length) fail(`has ${seen.types.length} events, its record says ${job.seq}`);
  if (table.peek(sealedKey(job.jobId))?.ttl === undefined) fail("has a sealed spec for ever");
  for (let attempt = 1; attempt <= job.attempt; attempt++) checkAttempt(world, job, attempt);
  const ends = seen.types.filter((type) => type === "EXITED").length;
  const collected = seen.types.filter((type) => type === "LOGS_COLLECTED").length;
  if (ends !== collected) fail(`has ${ends} ends and ${collected} collections`);
}

function checkAttempt({ table, invariants, places }: World, job: JobRecord, attempt: number): void {
  const record = table.peek({ pk: `JOB#${job.jobId}`, sk: `ATTEMPT#${String(attempt).padStart(4, "0")}` }) as unknown as
    | AttemptRecord
    | undefined;
  // A job that was cancelled before its attempt began has no record of it.
  if (record === undefined) return;
  const fail = (text: string) => invariants.fail(`${job.jobId}#${attempt} ${text}`);
  // One that waits again has given its token back: a cancel then ends the job alone.
  const deferred = record.token === null && record.startedAt === null && job.status === "CANCELLED";
  if (record.exit === null && deferred) return;
  if (record.exit === null) return fail("has no end on record");
  if (record.token !== null) fail("still has a token");
  if (!(attempt === job.attempt && isKept(job)) && table.peek(masksKey(job.jobId, attempt)) !== undefined)
    fail("still has the values to mask");
  const truth = places.map((place) => place.truth(record.externalName)).find((status) => status !== undefined);
  if (truth !== undefined && record.exit.failure === null && record.exit.exitCode !== truth.exitCode)
    fail(`ended with ${truth.exitCode}, its record says ${record.exit.exitCode}`);
}

/** What is on the runtimes and is not kept on purpose. */
export function leftBehind({ places, invariants, table }: World): string[] {
  const jobs = [...invariants.jobs.keys()].map(
    (jobId) => table.peek(jobKey(jobId)) as unknown as JobRecord | undefined,
  );
  const kept = new Set(jobs.filter((job) => job !== undefined && isKept(job)).map((job) => job?.externalName));
  return places.flatMap((place) => place.names()).filter((name) => !kept.has(name));
}

function isKept({ cleanup, status }: JobRecord): boolean {
  return cleanup === "never" || (cleanup === "onSuccess" && status !== "SUCCEEDED");
}

function checkSubmit({ invariants }: World, { label, plans, key, answer }: Submit, accepted: Seen[]): void {
  const n = accepted.length;
  if (n !== 0 && n !== plans.length) invariants.fail(`${label}: ${n} of ${plans.length} jobs were accepted`);
  if (answer === "refused" && n > 0) invariants.fail(`${label} was refused and has left ${n} jobs`);
  if (answer === "accepted" && n === 0 && key === null)
    invariants.fail(`${label} was accepted and there is nothing of it`);
}

function checkKeys({ invariants }: World, { submits }: Asked, jobs: Seen[]): void {
  const labels = new Map<string, Set<string>>();
  for (const { label, retryOf } of jobs) {
    const key = submits.get(label)?.key;
    if (key == null || retryOf !== null) continue;
    labels.set(key, (labels.get(key) ?? new Set()).add(label));
  }
  for (const [key, of] of labels)
    if (of.size > 1) invariants.fail(`${[...of].join(" and ")} were accepted under ${key}`);
}

/** From the end of a command to the record of its output, ms, where nothing was disturbed. */
const MAX_COLLECTING_MS = 600_000;

function checkCalmJob({ invariants }: World, { jobId, events }: Seen, plan: JobPlan): void {
  for (const [n, { type, at, data }] of events.entries()) {
    if (type !== "LOGS_COLLECTED") continue;
    const before = events.findLast((event, m) => m < n && event.type === "EXITED");
    const ms = Date.parse(at) - Date.parse(before?.at ?? at);
    if (ms > MAX_COLLECTING_MS) invariants.fail(`${jobId} was collected ${ms} ms after its end`);
    const started = events.some(({ type: of, attempt }, m) => m < n && of === "STARTED" && attempt === before?.attempt);
    // A command that is asked to end may say one line more.
    if (started && Number(data.lines) < plan.lines)
      invariants.fail(`${jobId} wrote ${plan.lines} lines, ${data.lines} were kept`);
  }
}

/** Where nothing was disturbed every job ends as its plan says. */
function checkCalm(world: World, { submits, cancelled }: Asked, records: ReadonlyMap<string, JobRecord>): void {
  const { invariants, failures, setting } = world;
  if (failures.length > 0) invariants.fail(`something failed though nothing was disturbed: ${failures[0]}`);
  for (const submit of submits.values()) {
    const jobs = [...records.values()].filter(({ labels }) => labels.submit === submit.label);
    for (const job of jobs) {
      const plan = submit.plans.length === 1 ? submit.plans[0] : undefined;
      if (plan === undefined || cancelled.has(job.jobId)) continue;
      const seen = invariants.jobs.get(job.jobId);
      if (seen !== undefined) checkCalmJob(world, seen, plan);
      // Where answers take very long a deadline begins late: the verdict is open.
      if (setting.faults.held > 0) continue;
      const expected = expectedOf(plan);
      const found = { status: job.status, attempts: job.attempt, category: job.error?.category ?? null };
      if (JSON.stringify(found) !== JSON.stringify(expected))
        invariants.fail(`${job.jobId} ended as ${JSON.stringify(found)}, its plan says ${JSON.stringify(expected)}`);
    }
  }
}
