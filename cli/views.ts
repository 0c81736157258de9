import ms from "ms";
import type { Cost, DeadLetter, Event, Job, JobSummary, Run } from "../sdk/types.ts";
import type { Style } from "./context.ts";
import { plain, table } from "./table.ts";

/** Jobs as a table, one a line. */
export function jobTable(jobs: readonly JobSummary[]): string {
  const rows = jobs.map((job) => [
    job.jobId,
    job.name,
    job.status,
    job.phase ?? "-",
    job.runtime,
    job.createdAt,
    job.durationMs === null ? "-" : ms(job.durationMs),
    job.exitCode === null ? "-" : String(job.exitCode),
  ]);
  return table(rows, ["JOB", "NAME", "STATUS", "PHASE", "RUNTIME", "CREATED", "DURATION", "EXIT"]);
}

/** One job as a list of what is known of it. */
export function jobDetails(job: Job): string {
  const rows: [string, string | null][] = [
    ["Job", job.jobId],
    ["Name", job.name],
    ["Status", job.phase ? `${job.status} (${job.phase})` : job.status],
    ["Waits for", job.waitReason && `${job.waitReason.code}: ${job.waitReason.message}`],
    ["Image", job.image],
    ["Runtime", job.externalName ? `${job.runtime} (${job.externalName})` : job.runtime],
    ["Attempt", `${job.attempt} of ${job.maxAttempts}`],
    ["Created", job.createdAt],
    ["Started", job.startedAt],
    ["Finished", job.finishedAt],
    ["Duration", job.durationMs === null ? null : ms(job.durationMs)],
    ["Exit code", job.exitCode === null ? null : String(job.exitCode)],
    ["Error", job.error && `${job.error.category}: ${job.error.message}`],
    ["Cost", job.cost && costText(job.cost)],
    [
      "Labels",
      Object.entries(job.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(", ") || null,
    ],
    ["Retry of", job.retryOf],
  ];
  return table(rows.flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
}

/** Runs as a table, one a line. */
export function runTable(runs: readonly Run[]): string {
  const rows = runs.map((run) => [
    run.jobId,
    run.name,
    run.status,
    run.runtime,
    run.finishedAt,
    run.durationMs === null ? "-" : ms(run.durationMs),
    run.exitCode === null ? "-" : String(run.exitCode),
  ]);
  return table(rows, ["JOB", "NAME", "STATUS", "RUNTIME", "FINISHED", "DURATION", "EXIT"]);
}

/** Dead letters as a table, one a line. */
export function deadLetterTable(letters: readonly DeadLetter[]): string {
  const rows = letters.map((letter) => [
    letter.id,
    letter.name,
    letter.createdAt,
    String(letter.attempts),
    letter.error?.category ?? "-",
    letter.replayedAs ?? "-",
  ]);
  return table(rows, ["DEAD LETTER", "NAME", "CREATED", "ATTEMPTS", "ERROR", "REPLAYED AS"]);
}

/** One dead letter as a list of what is known of it. */
export function deadLetterDetails(letter: DeadLetter): string {
  const rows: [string, string | null][] = [
    ["Dead letter", letter.id],
    ["Job", letter.jobId],
    ["Name", letter.name],
    ["Attempts", String(letter.attempts)],
    ["Created", letter.createdAt],
    ["Error", letter.error && `${letter.error.category}: ${letter.error.message}`],
    ["Replayed as", letter.replayedAs],
  ];
  return table(rows.flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
}

export function costText({ amountUsd, basis }: Cost): string {
  return amountUsd === null ? basis : `${amountUsd} USD (${basis})`;
}

/** One event on one line. */
export function eventLine({ seq, at, type, attempt, data }: Event): string {
  const facts = Object.keys(data).length > 0 ? ` ${JSON.stringify(data)}` : "";
  return plain(`${String(seq).padStart(3)}  ${at}  attempt ${attempt}  ${type}${facts}`);
}

/** How a job ended, on one line. */
export function outcomeLine(job: Job): string {
  const exit = job.exitCode === null ? "" : `, exit code ${job.exitCode}`;
  const duration = job.durationMs === null ? "" : `, ${ms(job.durationMs)}`;
  const error = job.error ? `: ${job.error.category}: ${job.error.message}` : "";
  return plain(`${job.jobId} ${job.status}${exit}${duration}${error}`);
}

export function outcomeStyle(job: Pick<Job, "status">): Style {
  return job.status === "SUCCEEDED" ? "green" : job.status === "CANCELLED" ? "yellow" : "red";
}
