import { median, pairedRatio, printFigure } from "../stats.ts";
import { installPackages } from "./install.ts";
import { longshore } from "./longshore.ts";
import type { Peer, Running, Tuning } from "./peer.ts";
import { CLIENTS, jobsPerSecond } from "./round.ts";
import { startPostgres, startRedis } from "./servers.ts";

// No-op jobs a second, submit to done, next to queues that many people run: one JSON line for each of them. All are as
// durable as Longshore (every commit is synced before it is acknowledged), have their data on the same disk, their
// store, worker and submitters in processes of their own, and run with the best of a few settings of their worker.
// Rounds take turns, so that a machine's drift meets all of them.

const ROUNDS = 3;
const ROUND_MS = 3_000;
const TRIAL_MS = 2_000;

interface Entry {
  peer: Peer;
  tuning: Tuning;
  rates: number[];
}

// Interrupted, it ends by an error, so that all that it started is ended and removed.
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());

await installPackages();
await using redis = await startRedis();
await using postgres = await startPostgres();
const { bullmqOn } = await import("./bullmq.ts");
const { pgBossOn } = await import("./pg-boss.ts");
const { graphileWorkerOn } = await import("./graphile-worker.ts");

const ours: Entry = await tuned(longshore);
const others: Entry[] = [];
for (const peer of [bullmqOn(redis.address), pgBossOn(postgres.address), graphileWorkerOn(postgres.address)]) {
  others.push(await tuned(peer));
}
await using running = new AsyncDisposableStack();
const lanes: { entry: Entry; system: Running }[] = [];
for (const entry of [ours, ...others]) {
  const system = running.use(await entry.peer.start(entry.tuning));
  await jobsPerSecond(system, TRIAL_MS, interrupted.signal);
  lanes.push({ entry, system });
}
for (let round = 0; round < ROUNDS; round++) {
  for (const { entry, system } of lanes) entry.rates.push(await jobsPerSecond(system, ROUND_MS, interrupted.signal));
}
for (const { peer, tuning, rates } of others) {
  printFigure({
    figure: `no-op jobs a second, submit to done, ${CLIENTS} submitters`,
    ratio: pairedRatio(ours.rates, rates),
    against: peer.name,
    perSecond: median(ours.rates),
    peerPerSecond: median(rates),
    keeps: ours.peer.keeps,
    peerKeeps: peer.keeps,
    tuning: ours.tuning,
    peerTuning: tuning,
    roundMs: ROUND_MS,
    rounds: ROUNDS,
  });
}

/** Tries the settings of a system's worker and takes the one with which it is fastest. */
async function tuned(peer: Peer): Promise<Entry> {
  let best: { tuning: Tuning; rate: number } | undefined;
  for (const tuning of peer.tunings) {
    await using system = await peer.start(tuning);
    await jobsPerSecond(system, TRIAL_MS / 2, interrupted.signal);
    const rate = await jobsPerSecond(system, TRIAL_MS, interrupted.signal);
    console.error(`${peer.name} with ${JSON.stringify(tuning)}: ${Math.round(rate)} a second`);
    if (best === undefined || rate > best.rate) best = { tuning, rate };
  }
  if (best === undefined) throw new Error(`${peer.name} has no settings to try`);
  return { peer, tuning: best.tuning, rates: [] };
}
