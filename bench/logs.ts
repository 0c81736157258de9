import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { createClient, type LogLine } from "../sdk/index.ts";
import { benchLogPaths } from "./log-paths.ts";
import { NUMBERED, writeFor } from "./log-writer.ts";
import { type BenchServer, startHome } from "./server.ts";
import { median, printFigure, quantile } from "./stats.ts";

// npm run bench:logs -- [--seconds 30] [--lines 300000] [--image longshore-test/busybox:1]
//
// What a container writes as fast as Docker takes it, through the local home: what of it is kept, how soon a follower has
// its first line, what memory the home takes meanwhile; then how fast logs are read. Docker's own log of a flood takes a few
// gigabytes while it lasts.

const SMALL_JOBS = 20;
const ROUNDS = 7;
const MOST_MIB = 256;
const MOST_FIRST_LINE_MS = 100;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    lines: { type: "string", default: "300000" },
    image: { type: "string", default: "longshore-test/busybox:1" },
  },
});
const seconds = Number(values.seconds);
const lines = Number(values.lines);
const { image } = values;

{
  await using home = await startHome({ LONGSHORE_RUNTIMES: "docker" });
  await firstLines(home);
  await flood(home);
}
await benchLogPaths(image, { lines, rounds: ROUNDS });

/** How long the first line of a job takes from the time that Docker gives it to a follower. */
async function firstLines({ url }: BenchServer): Promise<void> {
  const client = createClient({ endpoint: url });
  const times: number[] = [];
  for (let n = -1; n < SMALL_JOBS; n++) {
    const args = ["echo first; sleep 1"];
    const job = await client.jobs.submit({
      image,
      runtime: "docker",
      command: ["sh", "-c"],
      args,
      network: { mode: "none" },
    });
    let first: number | undefined;
    for await (const line of client.jobs.followLogs(job.jobId)) first ??= Date.now() - Date.parse(line.time);
    if (n >= 0) times.push(first ?? Number.POSITIVE_INFINITY);
  }
  printFigure({
    figure: "from the first line's own time to its follower, ms",
    ratio: median(times) / MOST_FIRST_LINE_MS,
    against: `${MOST_FIRST_LINE_MS} ms`,
    p50Ms: median(times),
    p95Ms: quantile(times, 0.95),
    jobs: SMALL_JOBS,
  });
  if (!(median(times) <= MOST_FIRST_LINE_MS)) process.exitCode = 1;
}

/** A flood that one reader follows: what is stored of it, and the memory that the home has taken at most. */
async function flood(home: BenchServer): Promise<void> {
  const client = createClient({ endpoint: home.url });
  const [command = "", ...args] = writeFor(seconds);
  const spec = { image, runtime: "docker", command: [command], args, network: { mode: "none" as const } };
  const job = await client.jobs.submit({ ...spec, logs: { maxBytes: 64 * 1024 * 1024 } });
  let followed = 0;
  let doubled = 0;
  let last = 0;
  for await (const { seq } of client.jobs.followLogs(job.jobId)) {
    if (seq <= last) doubled += 1;
    last = seq;
    followed += 1;
  }
  const peakMiB = await peakOf(home.pid);
  const kept = await account(client.jobs.logs(job.jobId));
  printFigure({
    figure: `lines of ${seconds} s of writing that the store accounts for`,
    ratio: kept.accounted / kept.written,
    against: "the lines that the container has written, as its last one says",
    ...kept,
    followed,
    doubled,
  });
  printFigure({
    figure: "memory of the home from its start until the flood is followed and stored, MiB at most",
    ratio: peakMiB / MOST_MIB,
    against: `${MOST_MIB} MiB`,
    peakMiB,
    peakMiBWhenAllIsReadBackInPages: await peakOf(home.pid),
  });
  if (kept.accounted !== kept.written || kept.wrong !== 0 || doubled !== 0 || peakMiB > MOST_MIB) process.exitCode = 1;
}

interface Account {
  /** By the container's last line, that line included. */
  written: number;
  /** Lines that are stored, and those that the mark in their middle stands for. */
  accounted: number;
  stored: number;
  leftOut: number;
  /** Lines of a stream that are not in their order, and lines that nobody wrote. */
  wrong: number;
}

async function account(log: AsyncIterable<LogLine>): Promise<Account> {
  const result: Account = { written: 0, accounted: 0, stored: 0, leftOut: 0, wrong: 0 };
  const newest = { stdout: 0, stderr: 0, system: 0 };
  const seen = { head: 0, tail: 0 };
  for await (const { stream, text } of log) {
    const leftOut = /^(\d+) lines were left out/.exec(text)?.[1];
    const total = /^total (\d+)$/.exec(text)?.[1];
    const number = Number(NUMBERED.exec(text)?.[1] ?? 0);
    if (stream === "system") result.leftOut += Number(leftOut ?? 0);
    else if (total !== undefined) result.written = Number(total) + 1;
    else if (number <= newest[stream]) result.wrong += 1;
    else newest[stream] = number;
    if (stream !== "system") seen[result.leftOut === 0 ? "head" : "tail"] += 1;
  }
  result.stored = seen.head + seen.tail;
  result.accounted = result.stored + result.leftOut;
  if (result.leftOut > 0 && (seen.head === 0 || seen.tail === 0)) result.wrong += 1;
  return result;
}

/** The most memory that a process has had, MiB. */
async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}
