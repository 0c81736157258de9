import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import { synthesize } from "../test/infra/template.ts";
import { createAwsServers } from "../test/lab/aws-servers.ts";
import { type Count, openCountedHome } from "../test/lab/counted-home.ts";
import { type Bill, total } from "../test/lab/meter.ts";
import { countPolling } from "./polling.ts";
import { PRICES, PRICES_OF, perMillion } from "./prices.ts";

// What a million jobs cost at AWS's list prices. The counts are taken here, as the tests take them: the deployed handlers and
// drivers, on DynamoDB Local and moto, with the deployed batches and windows. What cannot be counted is assumed, and named.

const DAY_SECONDS = 24 * 3600;
const DAY_SWEEPS = 60 * 24;
const SWEEPS_A_MONTH = DAY_SWEEPS * 30;
const AIM_USD = 150;

/** Billed time of an invocation of a warm process, ms: assumed, mostly waiting for AWS. */
const BILLED_MS: Readonly<Record<string, number>> = {
  Submit: 60,
  ChangeFeed: 80,
  Publish: 70,
  Dispatch: 150,
  RuntimeEvents: 50,
  Finalize: 200,
  Reconcile: 1000,
};
/** What Lambda and the function write to the log in an invocation, bytes: assumed. */
const LOG_BYTES = 700;
/** Of a function of the other machine: memory, GB, and billed ms. */
const POLLING = { gb: 0.5, ms: 60 };

/** For a terminal and a file alike. */
const PLAIN = { head: [], border: [], compact: true };

type Line = [what: keyof typeof PRICES, count: number, because: string];

/** Which writes a job's units are, by the kind of item. */
const WHY: Readonly<Record<string, string>> = {
  job: "the job's record: accepted, admitted, dispatched, started, ended, judged, cleaned up",
  event: "events, those of one commit in one item",
  attempt: "the attempt: with its token, with its verdict",
  spec: "the redacted spec",
  sealed: "the sealed spec: stored; given a time to live at the end",
  queue: "the queue's bound: one more, one less",
  drain: "how fast the queue drains, for Retry-After",
  slots: "the runtime's bound: one more, one less",
  lanes: "who waits and runs in the lane: waits, runs, ended",
  index1: "the list of jobs: keys only",
  index2: "waiting, active, neither: keys only",
};

const folder = await mkdtemp(join(tmpdir(), "longshore-cost-"));
const servers = await createAwsServers();
try {
  const made = synthesize({ runtimes: "stub" }, { outdir: folder });
  const endpointOf = async (name: string) => await (await fetch(`${servers.url}/${name}`)).text();
  const [dynamodb, aws] = await Promise.all([endpointOf("dynamodb"), endpointOf("aws")]);
  const memoryGb = (name: string): number =>
    (made.of("AWS::Lambda::Function").get(`${name}Function`)?.MemorySize ?? 0) / 1024;
  await using home = await openCountedHome({ endpoints: { dynamodb, aws }, made });
  const second = await home.count({ jobs: 1, runSeconds: 1, apart: false });
  const day = await home.count({ jobs: 1, runSeconds: DAY_SECONDS, apart: false });
  const slow = await home.count({ jobs: 1, runSeconds: DAY_SECONDS, apart: true });
  const hundred = await home.count({ jobs: 100, runSeconds: 600, apart: false });
  const [idle, busy] = [await home.sweep(1), await home.sweep(41)];
  printJob(day, { hundred, memoryGb });
  printWrites(day);
  printSweep(idle, busy, memoryGb("Reconcile"));
  printErasure(await home.erase());
  await printComparison({ second, day, slow }, memoryGb);
  printSources();
} finally {
  await servers.stop();
  await rm(folder, { recursive: true, force: true });
}

/** A job's parts, per job. */
function linesOf(count: Count, memoryGb: (name: string) => number): Line[] {
  const each = (n: number) => n / count.jobs;
  const gbSeconds = Object.entries(count.invocations).reduce(
    (sum, [name, n]) => sum + each(n) * memoryGb(name) * ((BILLED_MS[name] ?? 0) / 1000),
    0,
  );
  const calls = (...names: string[]) => each(names.reduce((sum, name) => sum + (count.calls[name] ?? 0), 0));
  return [
    ["transitions", each(count.transitions), "counted: states entered"],
    ["writeUnits", each(total(count.writes)), "counted, see below"],
    ["readUnits", each(count.reads), "counted"],
    ["busEvents", each(count.events), "counted"],
    ["kmsRequests", calls("GenerateDataKey", "Decrypt"), "counted: seal and open the spec"],
    ["s3Puts", calls("PutObject"), "counted: the log, the record of the run"],
    ["s3Gets", calls("HeadObject", "GetObject"), "counted"],
    ["apiRequests", 1, "the submission"],
    ["invocations", each(total(count.invocations)), "counted"],
    ["gbSeconds", gbSeconds, "memory as deployed, time assumed"],
    ["logGb", (each(total(count.invocations)) * LOG_BYTES) / 1e9, "assumed"],
  ];
}

function dollars(lines: readonly Line[]): number {
  return lines.reduce((sum, [what, n]) => sum + perMillion(what, n), 0);
}

function printJob(alone: Count, { hundred, memoryGb }: { hundred: Count; memoryGb: (name: string) => number }): void {
  const [lines, shared] = [linesOf(alone, memoryGb), linesOf(hundred, memoryGb)];
  const table = new Table({
    head: ["a million jobs", "a job, alone", "USD", "a job of 100 in flight", "USD", "because"],
    style: PLAIN,
  });
  lines.forEach(([what, n, because], at) => {
    const among = shared[at]?.[1] ?? 0;
    table.push([what, digits(n), digits(perMillion(what, n)), digits(among), digits(perMillion(what, among)), because]);
  });
  table.push(["sum", "", digits(dollars(lines)), "", digits(dollars(shared)), `aim: ${AIM_USD}`]);
  console.log(
    `List prices of ${PRICES_OF}, us-east-1, arm64. A job that ends well, whose runtime tells of its end.\n${table}`,
  );
}

function printWrites({ writes, largest }: Bill): void {
  const table = new Table({ head: ["write units", "a job", "largest item, bytes", "for"], style: PLAIN });
  for (const [kind, units] of Object.entries(writes).sort(([, a], [, b]) => b - a)) {
    table.push([kind, units, largest[kind] ?? "", WHY[kind] ?? ""]);
  }
  table.push(["sum", total(writes), "", "a transaction writes twice: 2 a KiB of an item, 1 of an index's entry"]);
  console.log(`${table}`);
}

function printSweep(one: Bill, many: Bill, gb: number): void {
  const readsPerJob = (many.reads - one.reads) / 40;
  const fixed: Line[] = [
    ["readUnits", one.reads - readsPerJob, ""],
    ["writeUnits", total(one.writes), ""],
    ["invocations", 1, ""],
    ["gbSeconds", gb * ((BILLED_MS.Reconcile ?? 0) / 1000), ""],
    ["logGb", LOG_BYTES / 1e9, ""],
  ];
  const monthly = (usdPerMillion: number) => digits((usdPerMillion / 1e6) * SWEEPS_A_MONTH);
  console.log(
    `The sweep of every minute, an account and month: ${monthly(dollars(fixed))} USD, and ` +
      `${monthly(perMillion("readUnits", 1000 * readsPerJob))} USD for each thousand jobs that run all the time ` +
      `(${digits(readsPerJob)} read units a job and sweep, so ${digits(perMillion("readUnits", DAY_SWEEPS * readsPerJob))} USD for ` +
      "a million jobs of a day).",
  );
}

function printErasure(erased: Count): void {
  const units = total(erased.writes) / erased.jobs;
  const reads = erased.reads / erased.jobs;
  const usd = perMillion("writeUnits", units) + perMillion("readUnits", reads);
  console.log(`To erase a run writes ${digits(units)} units and reads ${digits(reads)}: ${digits(usd)} USD a million.`);
}

async function printComparison(
  { second, day, slow }: { second: Count; day: Count; slow: Count },
  memoryGb: (name: string) => number,
): Promise<void> {
  const table = new Table({
    head: ["a million jobs of", "Longshore, USD", "its transitions", "polling, USD", "its transitions", "ratio"],
    style: PLAIN,
  });
  for (const [name, seconds, ours] of [
    ["1 s", 1, second],
    ["6 min", 360, day],
    ["1 h", 3600, day],
    ["24 h", DAY_SECONDS, day],
  ] as const) {
    const { transitions, invocations, writes } = await countPolling(seconds);
    const lines: Line[] = [
      ["transitions", transitions, ""],
      ["invocations", invocations, ""],
      ["gbSeconds", invocations * POLLING.gb * (POLLING.ms / 1000), ""],
      ["writeUnits", writes, ""],
      ["logGb", (invocations * LOG_BYTES) / 1e9, ""],
      ["apiRequests", 1, ""],
    ];
    const [mine, theirs] = [dollars(linesOf(ours, memoryGb)), dollars(lines)];
    table.push([name, digits(mine), ours.transitions, digits(theirs), transitions, digits(theirs / mine)]);
  }
  const more = dollars(linesOf(slow, memoryGb)) - dollars(linesOf(day, memoryGb));
  console.log(
    `Beside a state machine that asks every half minute, a function a step (bench/polling.asl.json):\n${table}`,
  );
  console.log(
    `Where a start takes longer than a second, its progress is recorded by itself: ${digits(more)} USD more.`,
  );
}

function printSources(): void {
  for (const [what, { usd, per, source }] of Object.entries(PRICES))
    console.log(`${what}: ${usd} USD for ${per}, ${source}`);
}

function digits(n: number): string {
  return n === 0 ? "0" : Number(n.toPrecision(3)).toString();
}
