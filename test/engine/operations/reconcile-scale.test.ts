import { randomUUID } from "node:crypto";
import { BatchWriteItemCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { clientDefaults } from "../../../adapters/aws/client.ts";
import { encodeItem } from "../../../adapters/table/dynamodb/attributes.ts";
import { createDynamodbTable } from "../../../adapters/table/dynamodb/index.ts";
import type { EngineContext } from "../../../engine/context.ts";
import { type JobId, mintedAt, mintJobId } from "../../../engine/ids.ts";
import { jobItem } from "../../../engine/ledger/items.ts";
import { readActive } from "../../../engine/ledger/read.ts";
import { type ReconcileOptions, reconcile } from "../../../engine/operations/reconcile.ts";
import type { Owned, RuntimeAdapter, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import { makeTable } from "../../adapters/table/dynamodb/make-table.ts";
import { silentLogger } from "../../functions/aws/silent.ts";
import { labSettings } from "../../lab/aws.ts";
import { type AwsFaults, injectFaults } from "../../lab/aws-faults.ts";
import { describeWith } from "../../lab/counterparts.ts";
import { newJob } from "../lives.ts";

const MANY = 10_000;
const FEW = MANY / 10;
/** One of so many jobs has ended, and nobody was told. */
const ENDED_EVERY = 50;
/** What a call takes by the clock of the test, ms. */
const CALL_MS = 5;
/** The longest that Lambda has, less what a step that was begun may take. */
const LAMBDA_MS = 870_000;

describeWith("dynamodb", "a sweep on DynamoDB", () => {
  let client: DynamoDBClient;
  let faults: AwsFaults;
  beforeAll(async () => {
    client = new DynamoDBClient({ ...clientDefaults("dynamodb"), ...(await labSettings("dynamodb")) });
    faults = injectFaults(client);
  });
  afterAll(() => client.destroy());

  it(`of ${MANY} active jobs makes ten times the calls of ${FEW}, and goes on in the next one where its time is too short`, async () => {
    const [none, few, many] = [await homeWith(0), await homeWith(FEW), await homeWith(MANY)];
    // What every sweep does, however many jobs there are: lease, round, runtimes, lanes, circuit, batches.
    const constant = (await none.sweep()).calls;
    expect(constant).toBeLessThan(30);
    // Where all is well there is nothing but to read them, 250 keys at a time and 100 items, and to note each page first.
    const quiet = await many.sweep();
    expect(quiet.report).toMatchObject({ looked: MANY, active: MANY, repaired: 0, failures: [] });
    expect(quiet.calls - constant).toBeLessThanOrEqual(6 * (MANY / 250) + 2);

    for (const home of [few, many]) home.end(ENDED_EVERY);
    const [one, ten] = [await few.sweep(), await many.sweep()];
    expect(one.report).toMatchObject({ active: FEW, repaired: FEW / ENDED_EVERY, failures: [] });
    expect(ten.report).toMatchObject({ active: MANY, repaired: MANY / ENDED_EVERY, failures: [] });
    expect(ten.calls - constant).toBeLessThanOrEqual(10 * (one.calls - constant));
    expect(ten.tookMs).toBeLessThan(LAMBDA_MS);

    many.end(ENDED_EVERY / 2);
    const budgetMs = 3_000;
    const sweeps: Awaited<ReturnType<typeof many.sweep>>[] = [];
    do {
      sweeps.push(await many.sweep(budgetMs));
    } while (sweeps.at(-1)?.report.stopped === "time");
    expect(sweeps.length).toBeGreaterThan(3);
    for (const { tookMs } of sweeps) expect(tookMs).toBeLessThan(budgetMs);
    expect(sweeps.reduce((sum, { report }) => sum + report.looked, 0)).toBe(MANY);
    expect(sweeps.at(-1)?.report).toMatchObject({ active: MANY, stopped: null });
    expect(await many.unseen()).toEqual([]);
  }, 240_000);

  /** A home with so many jobs that run by their records. */
  async function homeWith(count: number) {
    const name = await makeTable(client, `longshore-${randomUUID()}`);
    const table = createDynamodbTable({ table: name, client });
    const beganMs = Date.parse("2026-03-04T05:06:07.000Z");
    let nowMs = beganMs;
    const jobs = new Map<string, Owned>();
    faults.strike({ fault: "error", nth: Number.POSITIVE_INFINITY });
    const clock = () => nowMs + faults.calls().length * CALL_MS;
    const limits = {
      maxQueued: 1,
      maxConcurrent: () => MANY,
      maxPerKey: () => 1,
      shards: 4,
      sealedRetentionSeconds: 1,
    };
    const runtime = {
      name: "stub",
      kind: "stub",
      async *list() {
        yield* jobs.values();
      },
      status: async (ref: string) => jobs.get(ref)?.status,
      health: async () => ({ ok: true, message: "" }),
    } as unknown as RuntimeAdapter;
    const ctx = {
      ledger: { table, clock, limits },
      // What has ended waits for its execution, which somebody else drives.
      orchestrator: { isRunning: async () => true, complete: async () => true },
      runtimes: { all: () => [runtime], get: () => runtime, offered: () => [runtime] },
      inflight: { isLaunching: () => false },
      background: (_name: string, work: () => Promise<void>) => void work(),
      watch: () => undefined,
      clock,
      random: () => 0.5,
      logger: silentLogger,
    } as unknown as EngineContext;
    await seed();

    async function seed(): Promise<void> {
      const startedAt = new Date(beganMs).toISOString();
      const puts = Array.from({ length: count }, () => {
        const jobId = mintJobId(beganMs);
        const ref = `ref-${jobId}`;
        jobs.set(ref, { ref, externalName: ref, jobId, attempt: 1, status: RUNNING, kept: false });
        const job = newJob({
          ...{ jobId, createdAt: mintedAt(jobId), status: "RUNNING", phase: "running", queueShard: null, slotShard: 0 },
          ...{ startedAt, lastHeartbeatAt: startedAt, timeoutSeconds: 86_400, externalRef: ref, externalName: ref },
        });
        // The list of jobs is none of a sweep's business, and an index that is not written is time that is not spent.
        const { index1: _index1, ...item } = jobItem(job);
        return { PutRequest: { Item: encodeItem(item) } };
      });
      const write = async () => {
        while (puts.length > 0) {
          await client.send(new BatchWriteItemCommand({ RequestItems: { [name]: puts.splice(0, 25) } }));
        }
      };
      await Promise.all(Array.from({ length: 8 }, write));
    }

    return {
      /** One sweep; how many calls it made of the table, and the time that it took by its clock. */
      async sweep(budgetMs = LAMBDA_MS) {
        nowMs = clock() + 60_000;
        faults.strike({ fault: "error", nth: Number.POSITIVE_INFINITY });
        const options: ReconcileOptions = { touchedBefore: nowMs - 30_000, until: nowMs + budgetMs, closely: "few" };
        const report = await reconcile(ctx, { ...options, recount: "never" });
        const calls = faults.calls().length;
        return { report, calls, tookMs: calls * CALL_MS };
      },
      /** One of so many jobs ends on the runtime. */
      end(every: number): void {
        for (const [at, [ref, one]] of [...jobs].entries())
          if (at % every === 0) jobs.set(ref, { ...one, status: EXITED });
      },
      /** Jobs that have ended on the runtime and run by their records. */
      async unseen(): Promise<JobId[]> {
        const active = (await Array.fromAsync(readActive(ctx.ledger))).flat();
        const hasEnded = (jobId: JobId) => jobs.get(`ref-${jobId}`)?.status.phase === "exited";
        return active.filter(({ jobId, phase }) => phase === "running" && hasEnded(jobId)).map(({ jobId }) => jobId);
      },
    };
  }
});

const AT = "2026-03-04T05:06:08.000Z";
const RUNNING: RuntimeStatus = {
  phase: "running",
  exitCode: null,
  oom: false,
  failure: null,
  startedAt: AT,
  finishedAt: null,
};
const EXITED: RuntimeStatus = { ...RUNNING, phase: "exited", exitCode: 0, finishedAt: AT };
