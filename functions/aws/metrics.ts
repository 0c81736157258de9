import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import type { ReconcileReport } from "../../engine/operations/reconcile.ts";
import type { Bus } from "../../engine/ports/bus.ts";
import type { EventType } from "../../engine/states.ts";

/** Numbers about the home, written as lines of the log that CloudWatch reads as metrics (EMF). */
export interface HomeMetrics {
  /** The same bus; what leaves by it is counted. */
  counting(bus: Bus): Bus;
  /** A sweep that found another one at work has seen nothing itself: of it only how long jobs wait is told. */
  swept(report: ReconcileReport, oldestWaitingSeconds: number): void;
}

/** What is counted, by the type of the event; the alarms and the dashboard know these names. */
const COUNTED: Partial<Record<EventType, string>> = {
  SUBMITTED: "JobsSubmitted",
  STARTED: "AttemptsStarted",
  RETRY_SCHEDULED: "RetriesScheduled",
  SUCCEEDED: "JobsSucceeded",
  FAILED: "JobsFailed",
  TIMED_OUT: "JobsTimedOut",
  CANCELLED: "JobsCancelled",
  DEAD_LETTERED: "DeadLetters",
};

/** Metrics of the namespace `Longshore`, of a stage. An event that is published twice is counted twice. */
export function createMetrics(stage: string): HomeMetrics {
  const metrics = new Metrics({ namespace: "Longshore", serviceName: stage });
  return {
    counting: (bus) => ({
      async publish(entries) {
        const answer = await bus.publish(entries);
        const failed = new Set(answer.failed);
        for (const { id, detail } of entries) {
          const name = COUNTED[detail.type as EventType];
          if (name !== undefined && !failed.has(id)) metrics.addMetric(name, MetricUnit.Count, 1);
        }
        if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
        return answer;
      },
    }),
    swept(report, oldestWaitingSeconds) {
      metrics.addMetric("OldestWaitingSeconds", MetricUnit.Seconds, oldestWaitingSeconds);
      if (report.active !== null) metrics.addMetric("ActiveJobs", MetricUnit.Count, report.active);
      if (report.stopped !== "lease") {
        metrics.addMetric("Repairs", MetricUnit.Count, report.repaired);
        metrics.addMetric("Orphans", MetricUnit.Count, report.orphans);
        metrics.addMetric("SweepFailures", MetricUnit.Count, report.failed);
      }
      metrics.publishStoredMetrics();
    },
  };
}
