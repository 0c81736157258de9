import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { Archive, EventBus, type EventPattern, Rule, type RuleProps, Schedule } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import type { Construct } from "constructs";
import { type InfraSettings, nameOf, retentionOf } from "../settings.ts";
import type { LongshoreFunction } from "./function.ts";

/** The bus of a home, with an archive of what the home itself says there: what others put on it may hold secrets. */
export function makeBus(scope: Construct, settings: InfraSettings): EventBus {
  const bus = new EventBus(scope, "Bus", {
    eventBusName: nameOf(settings, "bus"),
    description: "Longshore's job events",
  });
  // Without a name of ours: a home that was taken down leaves its archive, and the next one of its stage makes another.
  const archive = new Archive(scope, "Archive", {
    description: "Longshore's own events, to be replayed",
    sourceEventBus: bus,
    eventPattern: { source: ["longshore"] },
    retention: Duration.days(retentionOf(settings).days),
  });
  archive.applyRemovalPolicy(settings.data === "retain" ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY);
  return bus;
}

/** Events of the operator's sources submit jobs; without sources there is no such rule. */
export function submitFromBus(
  scope: Construct,
  bus: EventBus,
  options: {
    settings: InfraSettings;
    target: LongshoreFunction;
  },
): void {
  const { target, settings } = options;
  if (settings.inboundSources.length === 0) return;
  const eventPattern = { source: settings.inboundSources, detailType: ["Job Submission Requested"] };
  rule(scope, "Inbound", { props: { eventBus: bus, eventPattern }, target });
}

/** Jobs of Batch that Longshore started; all others start no function. */
const BATCH: EventPattern = {
  source: ["aws.batch"],
  detailType: ["Batch Job State Change"],
  detail: { jobName: [{ prefix: "longshore-" }], status: ["RUNNING", "SUCCEEDED", "FAILED"] },
};

/** Ends of the tasks of a cluster that Longshore started. Whoever starts one sees by itself that it runs. */
function endsOfTasks(clusterArn: string): EventPattern {
  const group = [{ prefix: "longshore:" }];
  return {
    source: ["aws.ecs"],
    detailType: ["ECS Task State Change"],
    detail: { clusterArn: [clusterArn], group, lastStatus: ["STOPPED"] },
  };
}

/**
 * The events of runtimes, which come on the account's own bus.
 * @param options.clusterArn the home's cluster; undefined where it has none.
 */
export function listenToRuntimes(
  scope: Construct,
  { target, clusterArn }: { target: LongshoreFunction; clusterArn: string | undefined },
): void {
  if (clusterArn !== undefined) {
    rule(scope, "EcsEvents", { props: { eventPattern: endsOfTasks(clusterArn) }, target });
  }
  rule(scope, "BatchEvents", { props: { eventPattern: BATCH }, target });
}

/** The sweep of every minute. One that could not be begun in time is left out: the next one does the same. */
export function sweepEveryMinute(scope: Construct, target: LongshoreFunction): void {
  const schedule = Schedule.rate(Duration.minutes(1));
  rule(scope, "Sweep", { props: { schedule }, target, maxAge: Duration.minutes(1) });
}

function rule(
  scope: Construct,
  id: string,
  { props, target, maxAge = Duration.hours(24) }: { props: RuleProps; target: LongshoreFunction; maxAge?: Duration },
): void {
  new Rule(scope, id, {
    ...props,
    targets: [
      new LambdaFunction(target.lambda, {
        maxEventAge: maxAge,
        retryAttempts: 185,
        ...(target.dlq === undefined ? {} : { deadLetterQueue: target.dlq }),
      }),
    ],
  });
}
