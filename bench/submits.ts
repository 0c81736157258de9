import { Agent } from "node:http";
import { post, ratePerSecond } from "./load.ts";
import { startBareServer, startHome } from "./server.ts";
import { median, pairedRatio, printFigure } from "./stats.ts";

const ROUNDS = 5;
const ROUND_MS = 1500;
const SPEC = { runtime: "stub", command: ["true"], env: { LOG_LEVEL: "debug" }, labels: { team: "bench" } };

/** Submissions a second over HTTP, each durable when it is answered, next to a bare server that commits one row. */
export async function benchSubmits(): Promise<void> {
  // One job holds the only slot, so that what is measured is the submission and not the life that follows.
  await using home = await startHome({ LONGSHORE_MAX_CONCURRENT: "stub=1", LONGSHORE_MAX_QUEUED: "10000000" });
  await using bare = await startBareServer();
  const jobs = `${home.url}/api/v1/jobs`;
  const agent = new Agent();
  await post(agent, jobs, { ...SPEC, env: { STUB_DURATION_MS: "600000" } });
  for (const clients of [1, 32]) {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const load = { clients, ms: round === 0 ? 500 : ROUND_MS, body: SPEC };
      const rates = [await ratePerSecond(jobs, load), await ratePerSecond(bare.url, load)] as const;
      if (round === 0) continue;
      ours.push(rates[0]);
      theirs.push(rates[1]);
    }
    printFigure({
      figure: `submits a second over HTTP, ${clients} client${clients === 1 ? "" : "s"}`,
      ratio: pairedRatio(ours, theirs),
      against: "a bare Node server that makes one synced SQLite commit a request",
      perSecond: median(ours),
      barePerSecond: median(theirs),
      rounds: ROUNDS,
    });
  }
}
