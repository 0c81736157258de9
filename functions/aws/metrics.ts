import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import { METRICS, type Metric, type Sample, samplesOf } from "../../engine/metrics.ts";
import type { EventTaken } from "../../engine/operations/publish.ts";
import type { ReconcileReport } from "../../engine/operations/reconcile.ts";

/** Numbers about the home, written as lines of the log that CloudWatch reads as metrics (EMF). */
export interface HomeMetrics {
  /** Counts an event that has left for the bus. One that leaves twice is counted twice. */
  taken: EventTaken;
  /** Writes what was counted. */
  flush(): void;
  /** A sweep that found another one at work has seen nothing itself: of it only how long jobs wait is told. */
  swept(report: ReconcileReport, oldestWaitingSeconds: number): void;
}

const UNITS = {
  seconds: MetricUnit.Seconds,
  bytes: MetricUnit.Bytes,
  usd: MetricUnit.NoUnit,
  none: MetricUnit.Count,
} as const satisfies Record<Metric["unit"], string>;

/** Metrics of the namespace `Longshore`, of a stage: those of the one table that have dimensions for CloudWatch. */
export function createMetrics(stage: string): HomeMetrics {
  const metrics = new Metrics({ namespace: "Longshore", serviceName: stage });
  let told: Sample[] = [];

  function flush(): void {
    // All metrics of a line have the same dimensions.
    const lines = Map.groupBy(told, (sample) => JSON.stringify(dimensionsOf(sample)));
    told = [];
    for (const samples of lines.values()) {
      for (const [name, value] of samples[0] === undefined ? [] : dimensionsOf(samples[0]))
        metrics.addDimension(name, value);
      for (const { name, value } of samples) metrics.addMetric(name, UNITS[METRICS[name].unit], value);
      metrics.publishStoredMetrics();
    }
  }

  return {
    taken(event, job) {
      told.push(...samplesOf(event, job).filter(isForCloudwatch));
    },
    flush,
    swept(report, oldestWaitingSeconds) {
      const one = (name: Sample["name"], value: number) => told.push({ name, labels: {}, value });
      one("longshore_queue_oldest_seconds", oldestWaitingSeconds);
      if (report.active !== null) one("longshore_active_jobs", report.active);
      if (report.stopped !== "lease") {
        one("longshore_sweep_repairs_total", report.repaired);
        one("longshore_sweep_orphans_total", report.orphans);
        one("longshore_sweep_failures_total", report.failed);
      }
      flush();
    },
  };
}

function isForCloudwatch({ name }: Sample): boolean {
  return "cloudwatch" in METRICS[name];
}

function dimensionsOf({ name, labels }: Sample): [string, string][] {
  const { cloudwatch = [] }: Metric = METRICS[name];
  return cloudwatch.map((label) => [label, labels[label] ?? ""]);
}
