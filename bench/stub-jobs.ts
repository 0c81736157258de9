import { Agent } from "node:http";
import { post, ratePerSecond } from "./load.ts";
import { startBareServer, startHome } from "./server.ts";
import { median, pairedRatio, printFigure } from "./stats.ts";

const ROUNDS = 3;
const JOBS = 2000;
const CLIENTS = 32;
const SPEC = { runtime: "stub", command: ["true"] };

/** No-op jobs a second from submit to SUCCEEDED, with every event of their lives recorded. */
export async function benchStubJobs(): Promise<void> {
  await using home = await startHome({ LONGSHORE_MAX_QUEUED: "1000000" });
  await using bare = await startBareServer();
  await lives(home.url, 500);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await lives(home.url, JOBS));
    theirs.push(await ratePerSecond(bare.url, { clients: CLIENTS, ms: 1500, body: SPEC }));
  }
  printFigure({
    figure: `no-op stub jobs a second, submit to SUCCEEDED, ${CLIENTS} clients`,
    ratio: pairedRatio(ours, theirs),
    against: "submissions a second to a bare Node server that makes one synced SQLite commit a request",
    perSecond: median(ours),
    barePerSecond: median(theirs),
    jobsARound: JOBS,
    rounds: ROUNDS,
  });
}

async function lives(url: string, jobs: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  const begin = performance.now();
  const last: string[] = [];
  let left = jobs;
  const client = async () => {
    while (left-- > 0) last.push((await post<{ jobId: string }>(agent, `${url}/api/v1/jobs`, SPEC)).jobId);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  agent.destroy();
  // Each job's own stream ends when the job has; one after the other, since most have ended by then.
  for (const jobId of last) await ended(url, jobId);
  return jobs / ((performance.now() - begin) / 1000);
}

async function ended(url: string, jobId: string): Promise<void> {
  const job = await (await fetch(`${url}/api/v1/jobs/${jobId}`)).json();
  const { status } = job as { status: string };
  if (status === "SUCCEEDED") return;
  const stream = await fetch(`${url}/api/v1/jobs/${jobId}/events?follow=true`);
  const text = await stream.text();
  if (!text.includes('"type":"SUCCEEDED"')) throw new Error(`${jobId} did not succeed: ${text.slice(-500)}`);
}
