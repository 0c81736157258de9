import { Duration } from "aws-cdk-lib";
import type { RestApi } from "aws-cdk-lib/aws-apigateway";
import {
  Alarm,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  MathExpression,
  Metric,
  SingleValueWidget,
  TreatMissingData,
} from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { Topic } from "aws-cdk-lib/aws-sns";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import { type InfraSettings, nameOf } from "../settings.ts";
import type { LongshoreFunction } from "./function.ts";
import type { Stores } from "./stores.ts";

/** What is watched. */
export interface Watched {
  settings: InfraSettings;
  functions: Readonly<
    Record<string, LongshoreFunction> & Record<"Dispatch" | "ChangeFeed" | "Publish", LongshoreFunction>
  >;
  stores: Stores;
  lifecycle: StateMachine;
  api: RestApi;
}

/** An alarm's expression has no more: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html */
const MAX_METRICS = 10;
const FIVE_MINUTES = Duration.minutes(5);
/** A feed of the table that is so late is not just busy, milliseconds. */
const LATE_MS = 5 * 60_000;

/** A metric that the functions write themselves; `engine/metrics.ts` has the names and their dimensions. */
function own(
  { stage }: InfraSettings,
  metricName: string,
  { statistic, ...dimensions }: { statistic: string; runtime?: string; status?: string },
): Metric {
  const dimensionsMap = { service: stage, ...dimensions };
  return new Metric({ namespace: "Longshore", metricName, dimensionsMap, statistic, period: FIVE_MINUTES });
}

/** Alarms for what a person has to look at. Without a topic they are only shown. */
export function makeAlarms(scope: Construct, watched: Watched): void {
  const { settings, functions, stores, lifecycle, api } = watched;
  const topic =
    settings.alarmTopicArn === undefined ? undefined : Topic.fromTopicArn(scope, "AlarmTopic", settings.alarmTopicArn);
  const alarm = (id: string, alarmDescription: string, rule: { metric: IMetric; above: number; periods?: number }) => {
    const made = new Alarm(scope, id, {
      alarmName: nameOf(settings, dashed(id)),
      alarmDescription,
      metric: rule.metric,
      threshold: rule.above,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: rule.periods ?? 1,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    if (topic !== undefined) made.addAlarmAction(new SnsAction(topic));
  };
  for (const [name, { dlq, lambda }] of Object.entries(functions)) {
    const failed = `an event of ${dashed(name)} failed for good`;
    if (dlq !== undefined) {
      alarm(`${name}Dlq`, failed, {
        metric: waiting(dlq),
        above: 0,
      });
    } else {
      alarm(`${name}Errors`, `${dashed(name)} fails`, {
        metric: lambda.metricErrors({ period: FIVE_MINUTES }),
        above: 0,
      });
    }
  }
  alarm("OldestWaiting", "a job has waited too long for a slot", {
    metric: own(settings, "longshore_queue_oldest_seconds", { statistic: "Maximum" }),
    above: settings.oldestWaitingAlarmSeconds,
  });
  alarm("SweepFailures", "the reconciler cannot repair something", {
    // Of all sweeps of a quarter of an hour: a long one is the only one in it.
    metric: own(settings, "longshore_sweep_failures_total", { statistic: "Minimum" }).with({
      period: Duration.minutes(15),
    }),
    above: 0,
  });
  alarm("FailedExecutions", "an execution of the lifecycle failed", {
    metric: lifecycle.metricFailed({ period: FIVE_MINUTES }),
    above: 0,
  });
  // Whoever calls these waits for the answer, so that no queue hears of what fails.
  const patient = { above: 0, periods: 3 };
  alarm("ApiFailures", "the API fails", { metric: api.metricServerError({ period: FIVE_MINUTES }), ...patient });
  alarm("DispatchErrors", "dispatch fails", {
    metric: functions.Dispatch.lambda.metricErrors({ period: FIVE_MINUTES }),
    ...patient,
  });
  for (const name of ["ChangeFeed", "Publish"] as const) {
    alarm(`${name}Late`, `${dashed(name)} is behind the table`, {
      metric: iteratorAge(functions[name]),
      above: LATE_MS,
    });
  }
  for (const [at, metric] of throttles(functions, stores).entries()) {
    alarm(at === 0 ? "Throttles" : `Throttles${at + 1}`, "functions or the table are throttled", {
      metric,
      above: 0,
      periods: 3,
    });
  }
}

/** How far a feed is behind the table, milliseconds. */
function iteratorAge({ lambda }: LongshoreFunction): Metric {
  return lambda.metric("IteratorAge", { statistic: "Maximum", period: FIVE_MINUTES });
}

function waiting(queue: IQueue): Metric {
  return queue.metricApproximateNumberOfMessagesVisible({ period: FIVE_MINUTES, statistic: "Maximum" });
}

/** Calls that were throttled where no limit of ours is meant to, as few sums as there can be. */
function throttles(functions: Watched["functions"], { table }: Stores): IMetric[] {
  const ofFunctions = Object.entries(functions)
    .filter(([, { reserved }]) => !reserved)
    .map(([name, { lambda }]) => [
      name.charAt(0).toLowerCase() + name.slice(1),
      lambda.metricThrottles({ period: FIVE_MINUTES }),
    ]) as [string, IMetric][];
  const all: [string, IMetric][] = [
    ["tableReads", table.metric("ReadThrottleEvents", { period: FIVE_MINUTES, statistic: "Sum" })],
    ["tableWrites", table.metric("WriteThrottleEvents", { period: FIVE_MINUTES, statistic: "Sum" })],
    ...ofFunctions,
  ];
  const sums = Array.from({ length: Math.ceil(all.length / MAX_METRICS) }, (_, at) =>
    all.slice(at * MAX_METRICS, (at + 1) * MAX_METRICS),
  );
  return sums.map((metrics) => {
    const expression = metrics.map(([id]) => `FILL(${id}, 0)`).join(" + ");
    const usingMetrics = Object.fromEntries(metrics);
    return new MathExpression({ expression, usingMetrics, label: "throttled calls", period: FIVE_MINUTES });
  });
}

/** `ChangeFeedDlq` → `change-feed-dlq`. */
function dashed(id: string): string {
  return id.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase();
}

/** How a job may end; `engine/states.ts` knows the same. */
const ENDS = ["SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED"] as const;

/** The one dashboard of a home. */
export function makeDashboard(scope: Construct, { settings, functions, stores, lifecycle, api }: Watched): void {
  const sum = (name: string) => own(settings, name, { statistic: "Sum" });
  const each = (name: string, status?: string) =>
    settings.runtimes.map((runtime) =>
      own(settings, name, { statistic: "Sum", runtime, ...(status === undefined ? {} : { status }) }),
    );
  const typical = (name: string) =>
    settings.runtimes.map((runtime) => own(settings, name, { statistic: "p50", runtime }));
  const perFunction = (metric: (one: LongshoreFunction) => IMetric) => Object.values(functions).map(metric);
  const { table } = stores;
  const consumed = (name: string) => table.metric(name, { statistic: "Sum", period: FIVE_MINUTES });
  const graph = (title: string, left: IMetric[]) => new GraphWidget({ title, left, width: 8 });
  new Dashboard(scope, "Dashboard", {
    dashboardName: nameOf(settings, "home"),
    widgets: [
      [
        new SingleValueWidget({
          title: "now",
          metrics: ["longshore_active_jobs", "longshore_queue_oldest_seconds"].map((name) =>
            own(settings, name, { statistic: "Maximum" }),
          ),
          width: 8,
        }),
        graph("jobs", [
          ...each("longshore_jobs_submitted_total"),
          ...ENDS.flatMap((status) => each("longshore_jobs_finished_total", status)),
        ]),
        graph("attempts", [
          ...each("longshore_attempts_started_total"),
          ...each("longshore_retries_scheduled_total"),
          ...each("longshore_dead_letters_total"),
        ]),
      ],
      [
        graph("jobs wait, s (median)", typical("longshore_job_wait_seconds")),
        graph("jobs take, s (median)", typical("longshore_job_duration_seconds")),
        graph("sweeps", [sum("longshore_sweep_repairs_total"), sum("longshore_sweep_orphans_total")]),
      ],
      [
        graph("API", [api.metricCount(), api.metricClientError(), api.metricServerError()]),
        graph("API, ms", [api.metricLatency({ statistic: "p50" }), api.metricLatency({ statistic: "p99" })]),
        graph("executions", [lifecycle.metricStarted(), lifecycle.metricSucceeded(), lifecycle.metricFailed()]),
      ],
      [
        graph(
          "invocations",
          perFunction(({ lambda }) => lambda.metricInvocations()),
        ),
        graph(
          "errors",
          perFunction(({ lambda }) => lambda.metricErrors()),
        ),
        graph("table, units", [consumed("ConsumedReadCapacityUnits"), consumed("ConsumedWriteCapacityUnits")]),
      ],
      [
        graph(
          "throttled",
          perFunction(({ lambda }) => lambda.metricThrottles()),
        ),
        graph("feeds, ms behind", [iteratorAge(functions.ChangeFeed), iteratorAge(functions.Publish)]),
        graph(
          "messages in dead-letter queues",
          Object.values(functions).flatMap(({ dlq }) => (dlq === undefined ? [] : [waiting(dlq)])),
        ),
      ],
    ],
  });
}
