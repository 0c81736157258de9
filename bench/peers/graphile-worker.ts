import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { Pool } from "pg";
import type { Peer, Tuning } from "./peer.ts";
import { serveWorker } from "./processes.ts";
import { CLIENTS } from "./round.ts";
import { DATABASE } from "./servers.ts";

/** graphile-worker with and without what its manual offers for throughput: a local queue, and completions in batches. */
export function graphileWorkerOn(address: string): Peer {
  return {
    name: "graphile-worker on PostgreSQL, synchronous_commit on",
    keeps: "nothing: a job that is done is deleted",
    tunings: [{ jobs: 10 }, { jobs: 24 }, { jobs: 24, localQueue: 100, batchDelayMs: 0 }],
    async start(tuning) {
      const pool = poolOf(address, CLIENTS);
      const utils = await makeWorkerUtils({ pgPool: pool });
      await utils.migrate();
      const worker = await serveWorker("graphile-worker", address, tuning);
      return {
        async submit() {
          await utils.addJob("noop", {});
        },
        async left() {
          const { rows } = await pool.query(
            "SELECT count(*) AS left, max(last_error) AS failure FROM graphile_worker._private_jobs",
          );
          if (rows[0]?.failure) throw new Error(`graphile-worker failed a job: ${rows[0].failure}`);
          return Number(rows[0]?.left);
        },
        async [Symbol.asyncDispose]() {
          await worker[Symbol.asyncDispose]();
          await utils.release();
          await pool.end();
        },
      };
    },
  };
}

/** Its workers, in this process. */
export async function workGraphile(address: string, tuning: Tuning): Promise<void> {
  const { jobs = 1, localQueue = -1, batchDelayMs = -1 } = tuning;
  // One for each job at once, one that listens, one more.
  const pgPool = poolOf(address, jobs + 2);
  const preset = {
    worker: {
      concurrentJobs: jobs,
      localQueue: { size: localQueue },
      completeJobBatchDelay: batchDelayMs,
      logger: new Logger(() => () => undefined),
    },
  };
  await run({ preset, pgPool, taskList: { noop: async () => undefined }, noHandleSignals: true });
}

function poolOf(address: string, max: number): Pool {
  const pool = new Pool({ host: address, ...DATABASE, max });
  // A connection that breaks while nobody uses it; whoever needs one finds out by itself.
  pool.on("error", (error) => console.error(error));
  pool.on("connect", (client) => client.on("error", (error) => console.error(error)));
  return pool;
}
