import { randomUUID } from "node:crypto";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { inspect } from "node:util";
import type { DynamoDBBatchResponse } from "aws-lambda";
import { decodeItem } from "../../adapters/table/dynamodb/attributes.ts";
import type { EngineContext } from "../../engine/context.ts";

import { eventsOf } from "../../engine/ledger/items.ts";
import type { ReconcileOptions, ReconcileReport } from "../../engine/operations/reconcile.ts";
import type { Logger } from "../../engine/ports/logger.ts";
import type { JobSpecInput } from "../../engine/spec/schema.ts";
import { DRIVING, type EventType, TERMINAL_STATUSES } from "../../engine/states.ts";
import { createWork } from "../../functions/aws/work.ts";
import type { ApiResult } from "../../functions/http.ts";
import type { Account } from "./account.ts";
import { type Calls, createCalls, type Done, type Strike, strikable } from "./calls.ts";
import { createVirtualClock } from "./clock.ts";
import { createMapping, eventsPut, idsTaken, type StreamRecord } from "./deliveries.ts";
import { contextOf, type FunctionName, invoke, RUNTIME_SOURCE, type Surroundings } from "./functions.ts";
import type { WatchedRuntime } from "./runtime.ts";
import { createStepFunctions, type StepFunctions } from "./step-functions.ts";

/** A way that a job can go. */
export interface Path {
  spec: JobSpecInput;
  /** Whether its runtime tells of ends by events. */
  pushes: boolean;
  /** What happens to it when its command has run for a while. */
  afterStart: "nothing" | "it ends" | "cancel";
}

/** What has become of a job, and of everything around it. */
export interface Life {
  jobId: string;
  calls: Calls;
  /** For looking at what is left; its calls are neither counted nor struck. */
  ctx: EngineContext;
  runtime: WatchedRuntime;
  stepFunctions: StepFunctions;
  /** The types of the events that were committed, in order. */
  types: string[];
  /** The ids of the events that were committed, in order, and of those that the bus took, with repetitions. */
  committed: string[];
  published: string[];
  reports: ReconcileReport[];
  /** Longshore's own log. */
  log: string[];
  /** From the submission to the end of all that followed, by the virtual clock, ms. */
  lastedMs: number;
}

const MINUTE_MS = 60_000;
/** How long the command runs before anything else happens to it: a sweep sees it running. */
const RUNS_MS = 90_000;
/** No fault may hold a job up for longer. */
const PATIENCE_MS = 3 * 3_600_000;
/** How long a caller of the API waits before it asks again, and how often. */
const CALLER_PAUSE_MS = 1_000;
const CALLER_TRIES = 5;
/** What Lambda waits before it delivers an event again: twice. */
const ASYNC_PAUSES_MS = [60_000, 120_000];

/** Between two looks at what ends in the machine's own time, ms. */
const REAL_PAUSE_MS = 20;

const CALLER = "arn:aws:iam::123456789012:user/alice";

/** Lets one job live from its submission to its end, with at most one fault, and everything be delivered that AWS would. */
export async function live(account: Account, path: Path, strike: Strike | null): Promise<Life> {
  const clock = createVirtualClock(account.nowMs + 3_600_000);
  const beganMs = clock.nowMs();
  const tasks: (() => Promise<void>)[] = [];
  const types: string[] = [];
  const committed: string[] = [];
  const published: string[] = [];
  const reports: ReconcileReport[] = [];
  const log: string[] = [];
  const told = new Set<string>();
  let sweptAfterEnd = 0;
  let hasStarted = false;
  const key = randomUUID();
  let jobId = "";

  const calls = createCalls(strike, (done) => onDone(done));
  const runtime = account.runtime(path.spec.runtime === "ecs" ? "ecs" : "stub", clock.nowMs);
  const stepFunctions = createStepFunctions(clock, (functionName, payload) => {
    const name = functionName.includes("Dispatch") ? "dispatch" : "finalize";
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    tasks.push(() => run(name, payload).then(resolve, reject));
    return promise;
  });
  strikable(stepFunctions.client);
  const around: Surroundings = {
    account,
    calls,
    clock,
    runtime,
    stepFunctions: () => stepFunctions,
    logger: loggerTo(log),
    pushes: path.pushes,
  };
  const run = (name: FunctionName, event: unknown) => invoke(around, name, event);

  const mapping = (name: "change-feed" | "publish", wants: (record: StreamRecord) => boolean) =>
    createMapping({
      clock,
      windowMs: name === "publish" ? 2_000 : 0,
      wants,
      enqueue: (work) => void tasks.push(work),
      handle: async (event) => (await run(name, event)) as DynamoDBBatchResponse,
    });
  const mappings = [
    mapping("change-feed", ({ dynamodb }) => DRIVING.has(dynamodb.NewImage.type?.S as EventType)),
    mapping("publish", () => true),
  ];

  function onDone(done: Done): void {
    hasStarted ||= done.command === "RunTaskCommand";
    published.push(...idsTaken(done));
    for (const NewImage of eventsPut(done)) {
      const events = eventsOf(decodeItem(NewImage));
      const ids = events.map(({ jobId, seq }) => `${jobId}#${seq}`);
      // The same commit, done once and answered twice.
      if (ids.some((id) => committed.includes(id))) continue;
      committed.push(...ids);
      types.push(...events.map(({ type }) => type));
      const record: StreamRecord = { eventName: "INSERT", dynamodb: { SequenceNumber: ids.at(-1) ?? "", NewImage } };
      for (const one of mappings) one.add(record);
      const isStarted = events.some(({ type }) => type === "STARTED");
      if (isStarted && path.afterStart !== "nothing") clock.setTimer(clock.outside, RUNS_MS, goOn);
    }
  }

  function goOn(): void {
    tasks.push(async () => {
      if (path.afterStart === "cancel") return await asCaller(`/v1/jobs/${jobId}/cancel`, null, [202, 409]);
      const { adapter, close } = runtime.open();
      for (const { ref } of await runtime.all()) await adapter.cancel(ref, 10);
      await close();
    });
  }

  /** Asks the API until it answers as it should. */
  async function asCaller(path: string, body: unknown, wanted: number[]): Promise<void> {
    for (let tries = 1; ; tries++) {
      const answer = await run("submit", requestOf(path, body, key)).catch(() => undefined);
      const { statusCode, body: text } = (answer as ApiResult | undefined) ?? { statusCode: 500, body: "{}" };
      if (wanted.includes(statusCode)) {
        jobId ||= String(JSON.parse(text).jobId);
        return;
      }
      if (statusCode < 500 || tries === CALLER_TRIES) throw new Error(`${path} was answered ${statusCode}: ${text}`);
      clock.goTo(clock.nowMs() + CALLER_PAUSE_MS);
    }
  }

  /** The runtime tells of what has ended, twice each, as EventBridge may; what ends by itself is waited for. */
  async function tellEnds(): Promise<void> {
    if (!path.pushes || (runtime.inRealTime && !hasStarted)) return;
    const all = await runtime.all();
    if (runtime.inRealTime && all.some(({ status }) => status.phase !== "exited")) {
      await delay(REAL_PAUSE_MS);
      return await tellEnds();
    }
    hasStarted = false;
    for (const { ref, jobId, attempt, status } of all) {
      if (status.phase !== "exited" || told.has(ref)) continue;
      told.add(ref);
      const detail = { jobId, attempt, externalRef: ref, status };
      const event = { id: ref, source: RUNTIME_SOURCE, "detail-type": "Ended", detail };
      for (let times = 0; times < 2; times++) deliver(event, 0);
    }
  }

  /** An asynchronous invocation, which Lambda repeats. */
  function deliver(event: unknown, tries: number): void {
    tasks.push(async () => {
      const failed = await run("runtime-events", event).then(
        () => false,
        () => true,
      );
      const pauseMs = failed ? ASYNC_PAUSES_MS[tries] : undefined;
      if (pauseMs !== undefined) clock.setTimer(clock.outside, pauseMs, () => deliver(event, tries + 1));
    });
  }

  function sweepEveryMinute(): void {
    clock.setTimer(clock.outside, MINUTE_MS, () => {
      tasks.push(async () => {
        const wasOver = isOver();
        const struck = calls.struck();
        const now = clock.nowMs();
        // As `functions/aws/entries/reconcile.ts` asks for it.
        const options: ReconcileOptions = {
          touchedBefore: now - 30_000,
          until: now + 870_000,
          closely: "few",
          recount: "never",
        };
        const report = await run("reconcile", options).catch(() => undefined);
        if (report === undefined) return;
        reports.push(report as ReconcileReport);
        // One that a fault met may have left something for the next one.
        if (wasOver && calls.struck() === struck) sweptAfterEnd++;
      });
      sweepEveryMinute();
    });
  }

  /** Its record has ended, its resource is gone, its events are out, and nothing waits any more. */
  function isOver(): boolean {
    const end = types.findIndex((type) => (TERMINAL_STATUSES as readonly string[]).includes(type));
    return (
      end >= 0 &&
      types.includes("CLEANED_UP", end) &&
      new Set(published).size >= committed.length &&
      stepFunctions.started().every((name) => !stepFunctions.machine.isRunning(name))
    );
  }

  await asCaller("/v1/jobs", path.spec, [202]);
  sweepEveryMinute();
  for (;;) {
    await tasks.shift()?.();
    await turn();
    await tellEnds();
    if (tasks.length > 0) continue;
    if (sweptAfterEnd > 0 && isOver()) break;
    if (!clock.next(beganMs + PATIENCE_MS)) throw new Error(`the job has not ended: ${types.join(" ")}`);
    await turn();
  }
  account.nowMs = clock.nowMs();
  const { adapter } = runtime.open();
  const ctx = contextOf(around, { name: "finalize", work: createWork(around.logger), adapter });
  const lastedMs = clock.nowMs() - beganMs;
  return { jobId, calls, ctx, runtime, stepFunctions, types, committed, published, reports, log, lastedMs };
}

/** A call of the API as API Gateway hands it over. */
function requestOf(path: string, body: unknown, idempotencyKey: string): unknown {
  const headers = { "content-type": "application/json", "idempotency-key": idempotencyKey };
  return {
    httpMethod: "POST",
    path,
    headers,
    queryStringParameters: null,
    pathParameters: { id: path.split("/")[3] ?? "" },
    body: body === null ? null : JSON.stringify(body),
    isBase64Encoded: false,
    requestContext: { path: `/api${path}`, stage: "api", identity: { userArn: CALLER } },
  };
}

function loggerTo(lines: string[]): Logger {
  const write = (fields: object, message: string) => void lines.push(`${message} ${inspect(fields, { depth: 6 })}`);
  return { debug: write, info: write, warn: write, error: write };
}
