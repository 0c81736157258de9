import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { CreateTableCommand, DynamoDBClient, type TransactWriteItem } from "@aws-sdk/client-dynamodb";
import { CreateEventBusCommand, EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { createEventbridgeBus } from "../../adapters/bus/eventbridge/index.ts";
import { createS3Objects } from "../../adapters/objects/s3/index.ts";
import { createAslOrchestrator } from "../../adapters/orchestrator/asl.ts";
import { createStubRuntime } from "../../adapters/runtime/stub/index.ts";
import { createKmsSealer } from "../../adapters/sealer/kms/index.ts";
import { decodeItem } from "../../adapters/table/dynamodb/attributes.ts";
import { createDynamodbTable } from "../../adapters/table/dynamodb/index.ts";
import type { EngineContext } from "../../engine/context.ts";
import { openHomeRecord } from "../../engine/ledger/home.ts";
import type { JobRecord } from "../../engine/ledger/records.ts";
import { cleanUpRuns } from "../../engine/operations/cleanup-runs.ts";
import type { Logger } from "../../engine/ports/logger.ts";
import type { Orchestrator } from "../../engine/ports/orchestrator.ts";
import type { RuntimeAdapter, RuntimeStatus } from "../../engine/ports/runtime.ts";
import type { Sealer } from "../../engine/ports/sealer.ts";
import { feed } from "../../functions/aws/feed.ts";
import { invocable } from "../../functions/aws/serve.ts";
import { readAwsSettings } from "../../functions/aws/settings.ts";
import { createWork } from "../../functions/aws/work.ts";
import { makeHandler as changeFeed } from "../../functions/change-feed.ts";
import { makeHandler as dispatch } from "../../functions/dispatch.ts";
import { makeHandler as finalize } from "../../functions/finalize.ts";
import { makeHandler as publish, RECORDED } from "../../functions/publish.ts";
import { makeHandler as reconcile } from "../../functions/reconcile.ts";
import { makeHandler as runtimeEvents } from "../../functions/runtime-events.ts";
import { makeHandler as submit } from "../../functions/submit.ts";
import type { Properties, Synthesized } from "../infra/template.ts";
import { createPump, mappingOf, type Pump } from "./mappings.ts";
import { type Bill, emptyBill, meter, meterTable } from "./meter.ts";
import type { IndexShape } from "./write-units.ts";

/** As long as those of Step Functions, which the local interpreter's are not. */
const TOKEN_CHARS = 800;
/** As long as a task's of ECS. */
const refOf = (name: string) =>
  `arn:aws:ecs:us-east-1:123456789012:task/longshore-prod/${name.padEnd(32, "0").slice(-60)}`;
const CALLER = "arn:aws:sts::123456789012:assumed-role/data-platform/etl";
const RUNTIME = "stub";

/** A job such as people submit, with what makes its items large. */
const TYPICAL_JOB = {
  runtime: RUNTIME,
  name: "nightly-report",
  image: "123456789012.dkr.ecr.us-east-1.amazonaws.com/reports/nightly:1.42.0",
  command: ["python", "-m", "reports.nightly"],
  args: ["--date", "2026-11-22"],
  env: { LOG_LEVEL: "info", STUB_DURATION_MS: "forever", STUB_STDOUT: "a line of its log" },
  labels: { team: "data", project: "reports" },
  resources: { cpu: 0.5, memoryMiB: 512 },
};

/** What lives of jobs cost. */
export interface Count extends Bill {
  jobs: number;
  /** Invocations, by function. */
  invocations: Record<string, number>;
  /** States entered, over all executions; AWS bills each. */
  transitions: number;
}

export interface CountedHome extends AsyncDisposable {
  /**
   * Runs jobs through their whole lives, all at once, and counts. Their commands run for this long on a clock of the
   * test's own.
   * @param lives.apart the runtime's first report is recorded before its start, as where that takes a while; for one job.
   * @param lives.units whether write units are counted, which takes a read for each write; default true.
   */
  count(lives: { jobs: number; runSeconds: number; apart: boolean; units?: boolean }): Promise<Count>;
  /** One sweep while so many jobs run. */
  sweep(jobs: number): Promise<Bill>;
  /** The erasure of everything that has ended so far, and how many runs that were. */
  erase(): Promise<Count>;
}

export interface CountedHomeOptions {
  /** Where DynamoDB Local and moto answer. */
  endpoints: { dynamodb: string; aws: string };
  /** The deployed template: its table, its mappings. */
  made: Synthesized;
}

/**
 * The deployed functions' handlers and drivers in one process, with a meter on every client. DynamoDB is DynamoDB Local, S3,
 * KMS and EventBridge are moto's; the lifecycle's own definition is interpreted here, and the stream reaches its functions
 * through the deployed mappings on a clock of the test's own. Of a cold start (the home's record, a client) nothing counts.
 */
export async function openCountedHome({ endpoints, made }: CountedHomeOptions): Promise<CountedHome> {
  await using opened = new AsyncDisposableStack();
  let nowMs = Date.parse("2026-11-22T12:00:00.000Z");
  let count = emptyCount(0);
  const clients = clientsOf(endpoints);
  for (const client of Object.values(clients)) opened.defer(() => client.destroy());
  const table = await makeTable(clients.dynamodb, made);
  const parts = await makeParts(clients);
  let sequence = 0;
  const onCommit = (parts: readonly TransactWriteItem[]) => {
    for (const { Put } of parts) {
      if (Put?.Item?.sk?.S === "JOB") jobs.set(Put.Item.jobId?.S ?? "", decodeItem(Put.Item) as unknown as JobRecord);
      if (Put?.Item?.sk?.S?.startsWith("EVENT#") !== true) continue;
      const Keys = { pk: Put.Item.pk, sk: Put.Item.sk };
      const dynamodb = { SequenceNumber: String(++sequence), Keys, NewImage: Put.Item } as never;
      for (const pump of Object.values(pumps)) pump.add({ eventName: "INSERT", dynamodb }, nowMs);
    }
  };
  const bill = () => count;
  meterTable(clients.dynamodb, {
    bill,
    indexes: indexesOf(made),
    aside: clients.aside,
    isMeasured: () => measured,
    onCommit,
  });
  for (const name of ["s3", "kms", "events"] as const) meter(clients[name], bill);

  const work = createWork(silent);
  /** Jobs as they were committed last: nothing is asked for them. */
  const jobs = new Map<string, JobRecord>();
  const isIn = (jobId: string, phase: string) => jobs.get(jobId)?.phase === phase;
  let waits = false;
  let measured = true;
  const runtime = pushing(
    createStubRuntime({ homeId: "home", clock: () => nowMs, maxConcurrent: 1000 }),
    async (jobId) => {
      if (waits) await until(() => isIn(jobId, "pulling"));
      waits = false;
    },
  );
  const asl = createAslOrchestrator({
    definition: JSON.parse(await readFile(new URL("../../functions/lifecycle.asl.json", import.meta.url), "utf8")),
    handlers: {
      DispatchFunction: (payload) => invoke("Dispatch", padded(payload)),
      FinalizeFunction: (payload) => invoke("Finalize", payload),
    },
    logger: silent,
    onEnd: (_name, states) => {
      count.transitions += states.length;
      ended++;
    },
  });
  opened.defer(() => asl.close());
  let ended = 0;
  const settings = readAwsSettings({ LONGSHORE_TABLE: table });
  const dynamodb = createDynamodbTable({ table, client: clients.dynamodb });
  const ledger = {
    table: dynamodb,
    clock: () => nowMs,
    limits: {
      maxQueued: settings.LONGSHORE_MAX_QUEUED,
      maxConcurrent: () => 1000,
      maxPerKey: () => 1,
      shards: settings.LONGSHORE_SHARDS,
      sealedRetentionSeconds: 30 * 24 * 3600,
    },
  };
  const ctx: EngineContext = {
    home: await openHomeRecord(ledger),
    ledger,
    objects: createS3Objects({ bucket: parts.bucket, client: clients.s3 }),
    sealer: asLong(createKmsSealer({ keyId: parts.specKey, macKeyId: parts.digestKey, client: clients.kms })),
    secrets: new Map(),
    orchestrator: unpadded(asl),
    runtimes: { all: () => [runtime], offered: () => [runtime], get: () => runtime },
    inflight: work.inflight,
    // The end is pushed.
    watch: () => undefined,
    background: work.background,
    // A start is quicker than that, however slow this machine is; or it takes longer, and waits for the commit.
    get progressDelayMs() {
      return waits ? 0 : 600_000;
    },
    clock: () => nowMs,
    random: Math.random,
    logger: silent,
  };
  const bus = createEventbridgeBus({ bus: parts.bus, client: clients.events, logger: silent });
  const readers = new Map([["test.runtime", async (event: { detail: unknown }) => event.detail as never]]);
  const functions: Record<string, unknown> = {
    Submit: submit(ctx),
    ChangeFeed: feed(silent, invocable(changeFeed(ctx))),
    Publish: feed(silent, invocable(publish(ctx, { bus }, RECORDED))),
    Dispatch: dispatch(ctx),
    Finalize: finalize(ctx),
    RuntimeEvents: runtimeEvents(ctx, readers),
    Reconcile: reconcile(ctx),
  };
  async function invoke<R>(name: string, event: unknown): Promise<R> {
    count.invocations[name] = (count.invocations[name] ?? 0) + 1;
    const answer = await invocable<unknown, R>(functions[name])(event, {} as never);
    if (name !== "Dispatch" && name !== "Finalize") await work.settled();
    return answer;
  }
  const pumps: Record<"ChangeFeed" | "Publish", Pump> = {
    ChangeFeed: createPump(mappingOf(made, "ChangeFeed"), (Records) => invoke("ChangeFeed", { Records })),
    Publish: createPump(mappingOf(made, "Publish"), (Records) => invoke("Publish", { Records })),
  };

  /** Lets everything happen that happens by itself until a time. */
  async function passUntil(ms: number): Promise<void> {
    for (;;) {
      for (const pump of Object.values(pumps)) await pump.tick(nowMs);
      const due = Object.values(pumps).flatMap((pump) => pump.dueMs() ?? []);
      const next = Math.min(ms, ...due);
      if (next <= nowMs && due.every((at) => at > nowMs)) return;
      nowMs = Math.max(nowMs, next);
    }
  }

  async function submitOne(): Promise<string> {
    const answer = await invoke<{ statusCode: number; body: string }>("Submit", submission());
    if (answer.statusCode !== 202) throw new Error(`not accepted: ${answer.body}`);
    return (JSON.parse(answer.body) as { jobId: string }).jobId;
  }

  async function begin(n: number): Promise<string[]> {
    const jobIds: string[] = [];
    while (jobIds.length < n) jobIds.push(await submitOne());
    await passUntil(nowMs);
    await until(() => jobIds.every((jobId) => isIn(jobId, "running")));
    return jobIds;
  }

  async function end(jobIds: string[]): Promise<void> {
    ended = 0;
    for (const jobId of jobIds) {
      const status: RuntimeStatus = await runtime.finish(jobId);
      const detail = { jobId, attempt: 1, externalRef: runtime.refOf(jobId), status };
      await invoke("RuntimeEvents", { id: randomUUID(), source: "test.runtime", "detail-type": "Stopped", detail });
    }
    await until(() => ended === jobIds.length);
    await passUntil(nowMs + 60_000);
    for (const jobId of jobIds) {
      const { status, cleanupPending } = jobs.get(jobId) ?? {};
      if (status !== "SUCCEEDED" || cleanupPending !== false) throw new Error(`${jobId} is ${status}`);
    }
  }

  async function counting(jobs: number, lives: () => Promise<void>): Promise<Count> {
    count = emptyCount(jobs);
    await lives();
    return structuredClone(count);
  }

  const owned = opened.move();
  return {
    async count(lives) {
      waits = lives.apart;
      measured = lives.units ?? true;
      return await counting(lives.jobs, async () => {
        const jobIds = await begin(lives.jobs);
        await passUntil(nowMs + lives.runSeconds * 1000);
        await end(jobIds);
      });
    },
    async sweep(n) {
      waits = false;
      measured = true;
      const jobIds = await begin(n);
      await passUntil(nowMs + 120_000);
      const counted = await counting(n, async () => {
        const report = await invoke<{ looked: number; failures: unknown[] }>("Reconcile", {
          touchedBefore: nowMs - 30_000,
          recount: "never",
        });
        if (report.looked !== n || report.failures.length > 0) throw new Error(JSON.stringify(report));
      });
      await end(jobIds);
      return counted;
    },
    async erase() {
      measured = true;
      return await counting(0, async () => {
        const { removed } = await cleanUpRuns(ctx, { endedBeforeMs: nowMs + 1, dryRun: false });
        count.jobs = removed;
        const left = await Array.fromAsync(ctx.objects.list(""));
        if (left.length > 0) throw new Error(`${left.length} objects are left of ${removed} runs`);
      });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function emptyCount(jobs: number): Count {
  return { ...emptyBill(), jobs, invocations: {}, transitions: 0 };
}

/** What API Gateway makes of `POST /jobs`. */
function submission() {
  const path = "/v1/jobs";
  const requestContext = { path: `/api${path}`, stage: "api", identity: { userArn: CALLER } };
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(TYPICAL_JOB);
  return { httpMethod: "POST", path, resource: path, headers, requestContext, pathParameters: null, body };
}

/** A runtime of which ends are told by events, such as ECS: its commands run until `finish`. */
function pushing(stub: RuntimeAdapter, beforeStart: (jobId: string) => Promise<void>) {
  const names = new Map<string, string>();
  const byJob = new Map<string, string>();
  const nameOf = (ref: string) => names.get(ref) ?? "";
  return {
    ...stub,
    async submit(launch: Parameters<RuntimeAdapter["submit"]>[0], signal: AbortSignal) {
      launch.report({ phase: "pulling", data: { image: launch.spec.image ?? "", present: false } });
      await beforeStart(launch.jobId);
      const name = await stub.submit(launch, signal);
      names.set(refOf(name), name);
      byJob.set(launch.jobId, refOf(name));
      return refOf(name);
    },
    status: (ref: string) => stub.status(nameOf(ref)),
    cancel: (ref: string, seconds: number) => stub.cancel(nameOf(ref), seconds),
    logs: (ref: string, options: Parameters<RuntimeAdapter["logs"]>[1]) => stub.logs(nameOf(ref), options),
    cleanup: (ref: string) => stub.cleanup(nameOf(ref)),
    find: async (name: string) => (names.has(refOf(name)) ? refOf(name) : undefined),
    async *list() {
      for await (const owned of stub.list()) yield { ...owned, ref: refOf(owned.ref) };
    },
    refOf: (jobId: string) => byJob.get(jobId) ?? "",
    /** Ends a job's command well. */
    async finish(jobId: string): Promise<RuntimeStatus> {
      const ref = byJob.get(jobId) ?? "";
      await stub.cancel(nameOf(ref), 0);
      return { ...(await stub.status(nameOf(ref))), exitCode: 0, failure: null };
    },
  };
}

const nothing = (): void => undefined;
const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** Waits for what goes on beside; there is no event of it. @throws Error after a minute. */
async function until(done: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; await delay(5)) if (done()) return;
  throw new Error("what was waited for has not come");
}

function padded(payload: unknown): unknown {
  const task = payload as { token: string };
  return { ...task, token: task.token.padEnd(TOKEN_CHARS, ".") };
}

/** As long as with a data key that KMS has encrypted: 184 bytes, where moto's has 96. */
function asLong(sealer: Sealer): Sealer {
  const more = 184 - 96;
  return {
    ...sealer,
    seal: async (plain, context) => Buffer.concat([await sealer.seal(plain, context), Buffer.alloc(more)]),
    open: async (sealed, context) => sealer.open(sealed.subarray(0, -more), context),
  };
}

function unpadded(asl: Orchestrator): Orchestrator {
  return { ...asl, complete: (token) => asl.complete(token.replace(/\.+$/, "")) };
}

function clientsOf(endpoints: { dynamodb: string; aws: string }) {
  const credentials = { accessKeyId: "123456789012", secretAccessKey: "lab" };
  const common = { region: "us-east-1", credentials, requestHandler: { requestTimeout: 60_000 } };
  const moto = { ...common, endpoint: endpoints.aws };
  return {
    dynamodb: new DynamoDBClient({ ...common, endpoint: endpoints.dynamodb }),
    aside: new DynamoDBClient({ ...common, endpoint: endpoints.dynamodb }),
    s3: new S3Client({ ...moto, forcePathStyle: true }),
    kms: new KMSClient(moto),
    events: new EventBridgeClient(moto),
  };
}

/** Makes the table that the template has. */
async function makeTable(client: DynamoDBClient, made: Synthesized): Promise<string> {
  const [deployed = {}] = made.of("AWS::DynamoDB::Table").values();
  const { AttributeDefinitions, KeySchema, GlobalSecondaryIndexes, BillingMode } = deployed;
  const TableName = `longshore-${randomUUID()}`;
  const schema = { AttributeDefinitions, KeySchema, GlobalSecondaryIndexes, BillingMode };
  await client.send(new CreateTableCommand({ TableName, ...schema }));
  return TableName;
}

function indexesOf(made: Synthesized): IndexShape[] {
  const [deployed = {}] = made.of("AWS::DynamoDB::Table").values();
  return deployed.GlobalSecondaryIndexes.map(({ IndexName, KeySchema, Projection }: Properties) => ({
    name: IndexName,
    pk: KeySchema[0].AttributeName,
    sk: KeySchema[1].AttributeName,
    projection: Projection.ProjectionType,
  }));
}

async function makeParts({ s3, kms, events }: ReturnType<typeof clientsOf>) {
  const bucket = `longshore-${randomUUID()}`;
  const bus = `longshore-${randomUUID()}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  await events.send(new CreateEventBusCommand({ Name: bus }));
  const specKey = await kms.send(new CreateKeyCommand({}));
  const digestKey = await kms.send(new CreateKeyCommand({ KeySpec: "HMAC_256", KeyUsage: "GENERATE_VERIFY_MAC" }));
  return {
    bucket,
    bus,
    specKey: specKey.KeyMetadata?.KeyId ?? "",
    digestKey: digestKey.KeyMetadata?.KeyId ?? "",
  };
}
