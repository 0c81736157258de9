import { Pool } from "pg";
import { PgBoss } from "pg-boss";
import type { Peer, Tuning } from "./peer.ts";
import { serveWorker } from "./processes.ts";
import { CLIENTS } from "./round.ts";
import { DATABASE } from "./servers.ts";

const QUEUE = "bench";

/**
 * pg-boss with what its manual offers for throughput: LISTEN/NOTIFY, batches, and fetching on without a pause while they
 * come back full. A connection for each submitter.
 */
export function pgBossOn(address: string): Peer {
  return {
    name: "pg-boss on PostgreSQL, synchronous_commit on",
    keeps: "the completed job",
    tunings: [
      { workers: 2, batch: 100 },
      { workers: 4, batch: 25 },
      { workers: 16, batch: 5 },
    ],
    async start(tuning) {
      const boss = await open(address, CLIENTS);
      await boss.createQueue(QUEUE, { notify: true });
      const worker = await serveWorker("pg-boss", address, tuning);
      const pool = new Pool({ host: address, ...DATABASE, max: 1 });
      return {
        async submit() {
          if ((await boss.send(QUEUE, {})) === null) throw new Error("pg-boss took a job for a duplicate");
        },
        async left() {
          const { rows } = await pool.query(`SELECT count(*) FILTER (WHERE state < 'completed') AS left,
            count(*) FILTER (WHERE state > 'completed') AS failed FROM pgboss.job`);
          if (Number(rows[0]?.failed) > 0) throw new Error(`pg-boss failed ${rows[0]?.failed} jobs`);
          return Number(rows[0]?.left);
        },
        async [Symbol.asyncDispose]() {
          await worker[Symbol.asyncDispose]();
          await boss.stop({ graceful: false });
          await pool.end();
        },
      };
    },
  };
}

/** Its workers, in this process. */
export async function workPgBoss(address: string, { workers = 1, batch = 1 }: Tuning): Promise<void> {
  const boss = await open(address, 10);
  const options = {
    localConcurrency: workers,
    batchSize: batch,
    burstWhenBatchFull: true,
    pollingIntervalSeconds: 0.5,
  };
  await boss.work(QUEUE, { ...options, notifyPollingIntervalSeconds: 0.5 }, async () => undefined);
}

async function open(address: string, connections: number): Promise<PgBoss> {
  // Its own upkeep is off: it is rare, and would only disturb a round now and then.
  const upkeep = { supervise: false, schedule: false };
  const boss = new PgBoss({ host: address, ...DATABASE, max: connections, useListenNotify: true, ...upkeep });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  return boss;
}
