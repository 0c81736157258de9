import { Queue, Worker } from "bullmq";
import type { Peer, Tuning } from "./peer.ts";
import { serveWorker } from "./processes.ts";

const QUEUE = "bench";

/** BullMQ as its guide shows it: one queue object in the submitting process, a worker in another. */
export function bullmqOn(address: string): Peer {
  return {
    name: "BullMQ on Redis, appendfsync always",
    keeps: "the completed job",
    tunings: [{ concurrency: 16 }, { concurrency: 64 }, { concurrency: 256 }],
    async start(tuning) {
      const worker = await serveWorker("bullmq", address, tuning);
      const queue = new Queue(QUEUE, { connection: { path: address } });
      return {
        async submit() {
          await queue.add("no-op", {});
        },
        async left() {
          // Redis answers this, too, only when what was written before is synced.
          const { failed = 0, ...others } = await queue.getJobCounts("waiting", "active", "delayed", "failed");
          if (failed > 0) throw new Error(`BullMQ failed ${failed} jobs`);
          return Object.values(others).reduce((sum, count) => sum + count, 0);
        },
        async [Symbol.asyncDispose]() {
          await queue.close();
          await worker[Symbol.asyncDispose]();
        },
      };
    },
  };
}

/** Its worker, in this process. */
export async function workBullmq(address: string, { concurrency = 1 }: Tuning): Promise<void> {
  const worker = new Worker(QUEUE, async () => undefined, { connection: { path: address }, concurrency });
  await worker.waitUntilReady();
}
