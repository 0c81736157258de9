import type { EventRecord, JobRecord } from "./ledger/records.ts";
import { isTerminal } from "./states.ts";

/** What a metric may be told apart by. A job's id is none of them: their values must not grow with what is submitted. */
type Label = "runtime" | "lane" | "status" | "state" | "method" | "route" | "code" | "version";

export interface Metric {
  kind: "counter" | "gauge" | "histogram";
  /** In which the value is counted; of a name it is the last word, or the last but `total`. */
  unit: "seconds" | "bytes" | "usd" | "none";
  help: string;
  labels: readonly Label[];
  /** Upper bounds of a histogram's buckets. */
  buckets?: readonly number[];
  /** It is told to CloudWatch too, apart by these of its labels; absent: it is not. See docs/adr/0025. */
  cloudwatch?: readonly Label[];
}

const SECONDS = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400] as const;

/** Every metric that a home has. Names are as Prometheus wants them, and the same in CloudWatch. */
export const METRICS = {
  longshore_jobs_submitted_total: {
    kind: "counter",
    unit: "none",
    help: "Jobs that were accepted.",
    labels: ["runtime", "lane"],
    cloudwatch: ["runtime"],
  },
  longshore_jobs_finished_total: {
    kind: "counter",
    unit: "none",
    help: "Jobs that have ended, by how they ended.",
    labels: ["runtime", "lane", "status"],
    cloudwatch: ["runtime", "status"],
  },
  longshore_job_duration_seconds: {
    kind: "histogram",
    unit: "seconds",
    help: "From the first start of a job to its end.",
    labels: ["runtime", "lane", "status"],
    buckets: SECONDS,
    cloudwatch: ["runtime"],
  },
  longshore_job_wait_seconds: {
    kind: "histogram",
    unit: "seconds",
    help: "From the submission of a job to its first start.",
    labels: ["runtime", "lane"],
    buckets: SECONDS,
    cloudwatch: ["runtime"],
  },
  longshore_attempts_started_total: {
    kind: "counter",
    unit: "none",
    help: "Attempts whose command was started.",
    labels: ["runtime"],
    cloudwatch: ["runtime"],
  },
  longshore_retries_scheduled_total: {
    kind: "counter",
    unit: "none",
    help: "Attempts that failed and are followed by another one.",
    labels: ["runtime"],
    cloudwatch: ["runtime"],
  },
  longshore_dead_letters_total: {
    kind: "counter",
    unit: "none",
    help: "Jobs that failed for good.",
    labels: ["runtime"],
    cloudwatch: ["runtime"],
  },
  longshore_cost_usd_total: {
    kind: "counter",
    unit: "usd",
    help: "What attempts cost, US dollars, as far as it is known.",
    labels: ["runtime"],
    cloudwatch: ["runtime"],
  },
  longshore_logs_stored_bytes_total: {
    kind: "counter",
    unit: "bytes",
    help: "Text of logs that was stored.",
    labels: ["runtime"],
  },
  longshore_artifacts_stored_bytes_total: {
    kind: "counter",
    unit: "bytes",
    help: "Artifacts that were stored.",
    labels: ["runtime"],
  },
  longshore_queue_oldest_seconds: {
    kind: "gauge",
    unit: "seconds",
    help: "For how long the oldest of the jobs has waited that wait for a slot.",
    labels: [],
    cloudwatch: [],
  },
  longshore_queue_jobs: {
    kind: "gauge",
    unit: "none",
    help: "Jobs that count against the bound of the queue.",
    labels: [],
  },
  longshore_queue_limit: {
    kind: "gauge",
    unit: "none",
    help: "Jobs that may wait at most.",
    labels: [],
  },
  longshore_lane_waiting_jobs: {
    kind: "gauge",
    unit: "none",
    help: "Jobs of a lane that wait for a slot.",
    labels: ["runtime", "lane"],
  },
  longshore_lane_running_jobs: {
    kind: "gauge",
    unit: "none",
    help: "Jobs of a lane that hold a slot.",
    labels: ["runtime", "lane"],
  },
  longshore_slots_in_use: {
    kind: "gauge",
    unit: "none",
    help: "Slots of a runtime that jobs hold.",
    labels: ["runtime"],
  },
  longshore_slots_limit: {
    kind: "gauge",
    unit: "none",
    help: "Jobs at once on a runtime, at most.",
    labels: ["runtime"],
  },
  longshore_circuit_state: {
    kind: "gauge",
    unit: "none",
    help: "1 for the state of a runtime's circuit, 0 for the others: closed, open or half-open.",
    labels: ["runtime", "state"],
  },
  longshore_runtime_up: {
    kind: "gauge",
    unit: "none",
    help: "Whether a runtime answers.",
    labels: ["runtime"],
  },
  longshore_ledger_up: {
    kind: "gauge",
    unit: "none",
    help: "Whether the ledger answers.",
    labels: [],
  },
  longshore_active_jobs: {
    kind: "gauge",
    unit: "none",
    help: "Jobs that the last whole round of sweeps found at work.",
    labels: [],
    cloudwatch: [],
  },
  longshore_sweep_repairs_total: {
    kind: "counter",
    unit: "none",
    help: "What sweeps repaired.",
    labels: [],
    cloudwatch: [],
  },
  longshore_sweep_orphans_total: {
    kind: "counter",
    unit: "none",
    help: "Containers that no job owned and that sweeps removed.",
    labels: [],
    cloudwatch: [],
  },
  longshore_sweep_failures_total: {
    kind: "counter",
    unit: "none",
    help: "What sweeps could not repair.",
    labels: [],
    cloudwatch: [],
  },
  longshore_sweep_last_timestamp_seconds: {
    kind: "gauge",
    unit: "seconds",
    help: "When the last sweep of this process ended, since the epoch.",
    labels: [],
  },
  longshore_http_requests_total: {
    kind: "counter",
    unit: "none",
    help: "Requests that were answered, by the route that takes them.",
    labels: ["method", "route", "code"],
  },
  longshore_containers_measured: {
    kind: "gauge",
    unit: "none",
    help: "Running attempts whose usage the runtime told.",
    labels: ["runtime"],
  },
  longshore_containers_not_measured: {
    kind: "gauge",
    unit: "none",
    help: "Running attempts whose usage is not known: too many, or the runtime did not tell.",
    labels: [],
  },
  longshore_containers_memory_bytes: {
    kind: "gauge",
    unit: "bytes",
    help: "Memory that the measured attempts use.",
    labels: ["runtime"],
  },
  longshore_containers_cpu_seconds_total: {
    kind: "counter",
    unit: "seconds",
    help: "CPU time of attempts, as far as it was seen by scrapes.",
    labels: ["runtime"],
  },
  longshore_containers_network_received_bytes_total: {
    kind: "counter",
    unit: "bytes",
    help: "What attempts received from their networks, as far as it was seen by scrapes.",
    labels: ["runtime"],
  },
  longshore_containers_network_sent_bytes_total: {
    kind: "counter",
    unit: "bytes",
    help: "What attempts sent to their networks, as far as it was seen by scrapes.",
    labels: ["runtime"],
  },
  longshore_containers_disk_read_bytes_total: {
    kind: "counter",
    unit: "bytes",
    help: "What attempts read from disks, as far as it was seen by scrapes.",
    labels: ["runtime"],
  },
  longshore_containers_disk_written_bytes_total: {
    kind: "counter",
    unit: "bytes",
    help: "What attempts wrote to disks, as far as it was seen by scrapes.",
    labels: ["runtime"],
  },
  longshore_data_free_bytes: {
    kind: "gauge",
    unit: "bytes",
    help: "Free space on the disk of the data directory.",
    labels: [],
  },
  longshore_build_info: {
    kind: "gauge",
    unit: "none",
    help: "The version of Longshore; always 1.",
    labels: ["version"],
  },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;

/** One number: what a counter grows by, what a gauge says, or what a histogram observes. */
export interface Sample {
  name: MetricName;
  labels: Partial<Record<Label, string>>;
  value: number;
}

/** What an event says to those who count. The job is as it was read after the event. */
export function samplesOf(event: EventRecord, job: JobRecord): Sample[] {
  const { type, data, runtime } = event;
  const { lane } = job;
  const one = (name: MetricName): Sample => ({ name, labels: { runtime }, value: 1 });
  if (isTerminalType(type)) {
    const labels = { runtime, lane, status: type };
    const finished: Sample = { name: "longshore_jobs_finished_total", labels, value: 1 };
    return [finished, ...span("longshore_job_duration_seconds", labels, [job.startedAt, job.finishedAt])];
  }
  switch (type) {
    case "SUBMITTED":
      return [{ name: "longshore_jobs_submitted_total", labels: { runtime, lane }, value: 1 }];
    case "STARTED": {
      const wait = [job.createdAt, typeof data.startedAt === "string" ? data.startedAt : null] as const;
      const first = event.attempt === 1 ? span("longshore_job_wait_seconds", { runtime, lane }, wait) : [];
      return [one("longshore_attempts_started_total"), ...first];
    }
    case "RETRY_SCHEDULED":
      return [one("longshore_retries_scheduled_total")];
    case "DEAD_LETTERED":
      return [one("longshore_dead_letters_total")];
    case "COST_RECORDED":
      return amount("longshore_cost_usd_total", runtime, data.amountUsd);
    case "LOGS_COLLECTED":
      return amount("longshore_logs_stored_bytes_total", runtime, data.bytes);
    case "ARTIFACT_READY":
      return amount("longshore_artifacts_stored_bytes_total", runtime, data.sizeBytes);
    default:
      return [];
  }
}

function isTerminalType(type: string): boolean {
  return isTerminal(type as JobRecord["status"]);
}

function span(
  name: MetricName,
  labels: Sample["labels"],
  [from, to]: readonly [string | null, string | null],
): Sample[] {
  if (from === null || to === null) return [];
  // A runtime has a clock of its own.
  return [{ name, labels, value: Math.max(0, Date.parse(to) - Date.parse(from)) / 1000 }];
}

function amount(name: MetricName, runtime: string, value: unknown): Sample[] {
  return typeof value === "number" && value >= 0 ? [{ name, labels: { runtime }, value }] : [];
}
