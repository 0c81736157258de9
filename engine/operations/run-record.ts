import type { EngineContext } from "../context.ts";
import { deadLetterIdOf, type JobId } from "../ids.ts";
import { readEvents, readJob } from "../ledger/read.ts";
import type { EventRecord, JobRecord } from "../ledger/records.ts";
import { RECEIPT_SCHEMA, type RunReceipt } from "../runs/receipt.ts";
import { isTerminal } from "../states.ts";
import { VERSION } from "../version.ts";
import { describeEvent, describeWholeJob } from "./describe.ts";
import { lastLines } from "./last-lines.ts";

/** The base path of the API, in paths that are handed out. */
const API = "/api/v1";
const EVENTS_PAGE = 1000;
/** Log lines in the record of a job that did not succeed. */
const TAIL_LINES = 20;

/** A finished job as `GET /runs` lists it; undefined for one that is not finished. */
export function describeRun(job: JobRecord) {
  const { jobId, name, status, runtime, startedAt, finishedAt, exitCode } = job;
  const durationMs = startedAt && finishedAt ? Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt)) : null;
  const at = (form: string) => `${API}/runs/${jobId}/${form}`;
  const run = { jobId, name, status, runtime, startedAt, finishedAt, durationMs, exitCode };
  return { ...run, receiptUrl: at("receipt"), summaryUrl: at("summary"), eventsUrl: at("events") };
}

/** A finished job that the ledger has; undefined when it is not finished, or erased. */
export async function readRun(ctx: EngineContext, jobId: JobId): Promise<JobRecord | undefined> {
  const job = await readJob(ctx.ledger, jobId);
  return job !== undefined && isTerminal(job.status) ? job : undefined;
}

/**
 * The receipt of a finished job, from the ledger as it is: the same job, not changed meanwhile, always gives the same.
 * @param job as `readRun` gives it.
 */
export async function receiptOf(ctx: EngineContext, job: JobRecord): Promise<RunReceipt> {
  const [whole, events] = await Promise.all([describeWholeJob(ctx, job), eventsUpTo(ctx, job)]);
  const { status } = job;
  if (!isTerminal(status)) throw new Error(`${job.jobId} is not finished`);
  const collected = events.filter(({ type }) => type === "LOGS_COLLECTED");
  const sum = (what: "lines" | "bytes") => collected.reduce((n, { data }) => n + Number(data[what] ?? 0), 0);
  return {
    schema: RECEIPT_SCHEMA,
    longshoreVersion: VERSION,
    jobId: job.jobId,
    name: job.name,
    status,
    exitCode: job.exitCode,
    error: job.error,
    runtime: job.runtime,
    image: job.image,
    labels: job.labels,
    lane: job.lane,
    priority: job.priority,
    submittedBy: job.submittedBy,
    retryOf: job.retryOf,
    createdAt: job.createdAt,
    startedAt: job.startedAt,
    finishedAt: job.finishedAt ?? job.createdAt,
    durationMs: whole.durationMs,
    cancelRequestedAt: job.cancelRequestedAt,
    spec: whole.spec as Record<string, unknown> | null,
    specHash: job.specHash,
    maxAttempts: job.maxAttempts,
    attempts: whole.attempts,
    artifacts: whole.artifacts,
    logs: {
      lines: sum("lines"),
      bytes: sum("bytes"),
      truncated: collected.some(({ data }) => data.truncated === true),
      path: `${API}/jobs/${job.jobId}/logs`,
      tail: status === "SUCCEEDED" ? [] : await lastLines(ctx, job, TAIL_LINES),
    },
    cost: job.cost,
    deadLetterId: events.some(({ type }) => type === "DEAD_LETTERED") ? deadLetterIdOf(job.jobId) : null,
    events: events.map(describeEvent),
  };
}

/** What was told of a job until it was read: what came since comes with its own record. */
async function eventsUpTo({ ledger }: EngineContext, { jobId, seq }: JobRecord): Promise<EventRecord[]> {
  const events: EventRecord[] = [];
  while (events.length < seq) {
    const page = await readEvents(ledger, jobId, { after: events.at(-1)?.seq ?? 0, limit: EVENTS_PAGE });
    // Erased meanwhile.
    if (page.length === 0) break;
    events.push(...page);
  }
  return events.filter((event) => event.seq <= seq);
}
