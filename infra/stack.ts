import { CfnOutput, Duration, Stack, Tags } from "aws-cdk-lib";
import type { Construct } from "constructs";
import { type Bundler, bundle } from "./bundle.ts";
import { makeAlarms, makeDashboard } from "./constructs/alarms.ts";
import { makeApi } from "./constructs/api.ts";
import { bindJobs, type JobsUse } from "./constructs/bind-jobs.ts";
import { listenToRuntimes, makeBus, submitFromBus, sweepEveryMinute } from "./constructs/bus.ts";
import { feedBus, feedLifecycle } from "./constructs/feeds.ts";
import { LongshoreFunction, type LongshoreFunctionProps } from "./constructs/function.ts";
import { Jobs } from "./constructs/jobs.ts";
import { lifecycleName, makeLifecycle } from "./constructs/lifecycle.ts";
import { makeLogStreams } from "./constructs/log-streams.ts";
import { makeStores, type Stores } from "./constructs/stores.ts";
import { type InfraSettings, nameOf } from "./settings.ts";

/** An answer through API Gateway that is not streamed takes at most 29 s. */
const API_TIMEOUT = Duration.seconds(29);
/** The longest that Lambda has. */
const LONGEST = Duration.minutes(15);

/**
 * A whole home in one stack: the API, the functions, the lifecycle, the data, the bus, and what watches over them.
 * @param bundler how the functions' code is made; default by esbuild.
 */
export function makeStack(scope: Construct, settings: InfraSettings, bundler: Bundler = bundle): Stack {
  const stack = new Stack(scope, "Longshore", {
    stackName: nameOf(settings, "home"),
    description: "Longshore: a control plane that runs container jobs on any runtime",
  });
  Tags.of(stack).add("longshore:stage", settings.stage);
  const stores = makeStores(stack, settings);
  const bus = makeBus(stack, settings);
  const functions = makeFunctions(stack, settings, bundler);
  const { Submit, Resubmit, Query, Stream, LogSocket, Dispatch, Finalize } = functions;
  const { ChangeFeed, Publish, RuntimeEvents, InboundEvents, Reconcile } = functions;
  const machine = lifecycleName(settings);

  Submit.bindTable(stores.table, "write").bindSealer(stores, ["seal", "digest"]).bindRuns(stores.bucket, "erase");
  // Only what runs a spec, or submits it again, opens a sealed one.
  Resubmit.bindTable(stores.table, "write").bindSealer(stores, ["seal", "open", "digest"]);
  InboundEvents.bindTable(stores.table, "write").bindSealer(stores, ["seal", "digest"]).bindBus(bus);
  Query.bindTable(stores.table, "read").bindRuns(stores.bucket, "show");
  Stream.bindTable(stores.table, "read").bindObjects(stores.bucket, "read").bindSealer(stores, ["open-masks"]);
  LogSocket.bindTable(stores.table, "read")
    .bindObjects(stores.bucket, "read-logs")
    .bindSealer(stores, ["open-masks"])
    .bindItself();
  Dispatch.bindTable(stores.table, "write")
    .bindSealer(stores, ["seal", "open"])
    // A runtime that answers again lets in who waited for it.
    .bindLifecycle(machine, ["start", "complete"])
    .bindSecrets(settings);
  Finalize.bindTable(stores.table, "write")
    .bindObjects(stores.bucket, "write")
    .bindSealer(stores, ["open-masks"])
    .bindLifecycle(machine, ["start", "complete"]);
  ChangeFeed.bindTable(stores.table, "write").bindLifecycle(machine, ["start", "complete"]);
  Publish.bindTable(stores.table, "read").bindBus(bus).bindRuns(stores.bucket, "record");
  RuntimeEvents.bindTable(stores.table, "write").bindLifecycle(machine, ["complete"]);
  Reconcile.bindTable(stores.table, "write")
    .bindLifecycle(machine, ["start", "complete", "look"])
    .bindRuns(stores.bucket, "erase");

  const lifecycle = makeLifecycle(stack, settings, { dispatch: Dispatch, finalize: Finalize });
  feedLifecycle(ChangeFeed, stores.table);
  feedBus(Publish, stores.table);
  submitFromBus(stack, bus, { settings, target: InboundEvents });
  const jobs = settings.runtimes.includes("ecs") ? makeJobs(stack, settings, { stores, functions }) : undefined;
  listenToRuntimes(stack, { target: RuntimeEvents, clusterArn: jobs?.cluster.attrArn });
  sweepEveryMinute(stack, Reconcile);
  const api = makeApi(stack, settings, { submit: Submit, resubmit: Resubmit, query: Query, stream: Stream });
  const logStreams = makeLogStreams(stack, settings, { target: LogSocket, rest: api });
  const watched = { settings, functions, stores, lifecycle, api };
  makeAlarms(stack, watched);
  makeDashboard(stack, watched);

  output(stack, "ApiUrl", { value: `${api.url}v1`, description: "base of every call; signed by IAM" });
  output(stack, "LogStreamUrl", { value: logStreams.url, description: "WebSockets of logs; signed by IAM" });
  output(stack, "BusName", { value: bus.eventBusName, description: "where job events leave, and submissions come in" });
  output(stack, "TableName", { value: stores.table.tableName, description: "the ledger" });
  if (jobs !== undefined) {
    output(stack, "ClusterName", { value: jobs.cluster.ref, description: "where ECS runs the jobs" });
  }
  return stack;
}

function makeFunctions(scope: Construct, settings: InfraSettings, bundler: Bundler) {
  const make = (id: string, props: Omit<LongshoreFunctionProps, "settings" | "bundle">) =>
    new LongshoreFunction(scope, id, { settings, bundle: bundler, ...props });
  const api = { timeout: API_TIMEOUT, memoryMiB: 1024 };
  const traced = true;
  return {
    Submit: make("Submit", { ...api, description: "takes jobs, cancels them, erases runs" }),
    Resubmit: make("Resubmit", { ...api, entry: "submit", description: "submits a job's spec again" }),
    Query: make("Query", { ...api, description: "answers questions" }),
    // A stream lasts until its job ends or Lambda's time is over; so many at once leave room for all that works.
    Stream: make("Stream", { timeout: LONGEST, reserved: 200, description: "streams events and logs" }),
    // A WebSocket's reader comes back by himself, and with him a process that knows how far he is: no try is repeated.
    LogSocket: make("LogSocket", {
      timeout: LONGEST,
      reserved: 100,
      retries: 0,
      description: "tells WebSockets of logs",
    }),
    // A pull of an image may take this long where the runtime does not do it by itself.
    Dispatch: make("Dispatch", { timeout: LONGEST, traced, description: "starts an attempt" }),
    Finalize: make("Finalize", {
      timeout: LONGEST,
      memoryMiB: 1024,
      traced,
      description: "judges and ends an attempt",
    }),
    ChangeFeed: make("ChangeFeed", { timeout: Duration.minutes(2), traced, description: "drives the lifecycle" }),
    Publish: make("Publish", {
      timeout: Duration.minutes(1),
      traced,
      description: "puts events on the bus, records runs",
    }),
    RuntimeEvents: make("RuntimeEvents", {
      timeout: Duration.minutes(1),
      // A thousand tasks may stop at once; what has to wait is kept by Lambda.
      reserved: 50,
      traced,
      description: "hears of ends of attempts",
    }),
    InboundEvents: make("InboundEvents", {
      timeout: Duration.minutes(1),
      reserved: 20,
      traced,
      keepsNoEvents: true,
      description: "takes jobs from events",
    }),
    // One sweeps; the next minute's finds the lease taken and goes. Alone, it would be throttled for as long as a long
    // sweep lasts, and Lambda would keep it, with those of the minutes after it, for hours.
    Reconcile: make("Reconcile", { timeout: LONGEST, reserved: 2, traced, description: "sweeps every minute" }),
  };
}

type Functions = ReturnType<typeof makeFunctions>;

/** What each function asks of ECS; a function that is not named here only knows what ECS can do. */
const JOBS_USES: { readonly [name in keyof Functions]?: readonly JobsUse[] } = {
  Query: ["health"],
  Stream: ["logs"],
  LogSocket: ["logs"],
  // A launch that was cancelled or lost meanwhile ends what it has started.
  Dispatch: ["start", "stop"],
  Finalize: ["stop", "logs"],
  // A cancel is driven by the change feed.
  ChangeFeed: ["stop"],
  Reconcile: ["stop", "list", "health"],
};

/** Where ECS runs the jobs, and the rights of the functions to it. */
function makeJobs(
  scope: Construct,
  settings: InfraSettings,
  { stores, functions }: { stores: Stores; functions: Functions },
): Jobs {
  const jobs = new Jobs(scope, "Jobs", { settings, key: stores.specKey });
  for (const [name, target] of Object.entries(functions)) {
    bindJobs(target, jobs, { settings, uses: JOBS_USES[name as keyof Functions] ?? [] });
  }
  return jobs;
}

function output(stack: Stack, name: string, { value, description }: { value: string; description: string }): void {
  new CfnOutput(stack, name, { value, description });
}
