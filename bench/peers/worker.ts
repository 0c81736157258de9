import type { Tuning } from "./peer.ts";

// The process of a peer's worker: name, address of the store, tuning.

const [name = "", address = "", tuning = "{}"] = process.argv.slice(2);

const WORKERS: Record<string, () => Promise<(address: string, tuning: Tuning) => Promise<void>>> = {
  bullmq: async () => (await import("./bullmq.ts")).workBullmq,
  "pg-boss": async () => (await import("./pg-boss.ts")).workPgBoss,
  "graphile-worker": async () => (await import("./graphile-worker.ts")).workGraphile,
};

const load = WORKERS[name];
if (load === undefined) throw new Error(`there is no worker for ${name}`);
const work = await load();
await work(address, JSON.parse(tuning) as Tuning);
// Whoever ends it has seen that no job is left.
process.on("SIGINT", () => process.exit(0));
console.log("ready");
