import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import Docker from "dockerode";
import { createOptionsOf } from "./docker-life.ts";
import { watchStarts } from "./docker-starts.ts";
import { makeGate } from "./gate.ts";
import { startHome } from "./server.ts";
import { median, pairedRatio, printFigure } from "./stats.ts";

// npm run bench:containers -- [--containers 1000] [--image longshore-test/busybox:1]
//
// As many containers of Longshore alive at once, all ended and collected. They are started in blocks, and before each
// block the bare client starts as many on top of what is alive, and removes them again: so both meet the same machine.
// A thousand sleepers take about 7 GiB of memory, and the whole about a quarter of an hour where Docker starts five a
// second.

const BLOCKS = 10;
const TRIAL = 24;
const CONCURRENCIES = [1, 2, 4, 8, 16, 32];
const MAX_BATCH = 100;
const LOOK_MS = 500;

const { values } = parseArgs({
  options: {
    containers: { type: "string", default: "1000" },
    image: { type: "string", default: "longshore-test/busybox:1" },
  },
});
const containers = Number(values.containers);
if (!Number.isSafeInteger(containers) || containers < 2 * BLOCKS || containers % BLOCKS !== 0) {
  throw new Error(`--containers must be a multiple of ${BLOCKS} from ${2 * BLOCKS}, not ${values.containers}`);
}

const docker = new Docker();
await using rest = new AsyncDisposableStack();
const gate = rest.use(await makeGate());
const home = rest.use(
  await startHome({
    LONGSHORE_MAX_CONCURRENT: `docker=${containers + 1}`,
    LONGSHORE_ALLOWED_MOUNTS: gate.folder,
    LONGSHORE_RUNTIMES: "docker",
  }),
);
// Others may run jobs on the same engine: these are known by their name.
const jobName = `bench-${randomUUID().slice(0, 8)}`;
const spec = {
  name: jobName,
  runtime: "docker",
  image: values.image,
  // Opening the gate waits in the kernel, at no cost, until it is lifted.
  command: ["sh", "-c", "echo up; cat /gate/gate; printf down"],
  volumes: [{ source: gate.folder, target: "/gate" }],
  network: { mode: "none" },
};

const bareLabel = `longshore-bench=${randomUUID()}`;
rest.defer(removeBare);
const starts = rest.use(await watchStarts(docker));
const first = await started(1);
const options = await createOptionsOf(first[0]?.externalName ?? "");
const concurrency = await bestConcurrency();
const block = containers / BLOCKS;
const ours: number[] = [];
const theirs: number[] = [];
const jobs = [...first];
for (let at = 0; at < BLOCKS; at++) {
  theirs.push(block / (await startBare(block, concurrency)));
  await removeBare();
  const begun = performance.now();
  // The first one has its place in the last block.
  const more = at === BLOCKS - 1 ? block - 1 : block;
  jobs.push(...(await started(more)));
  ours.push(more / ((performance.now() - begun) / 1000));
  console.error(`${jobs.length} alive; ${ours.at(-1)?.toFixed(2)} a second, bare ${theirs.at(-1)?.toFixed(2)}`);
}
const alive = await docker.listContainers({ filters: { label: ["longshore.job"], status: ["running"] } });
const names = new Set(alive.flatMap(({ Names }) => Names));
const living = jobs.filter(({ externalName }) => names.has(`/${externalName}`)).length;
const lifted = performance.now();
await gate.lift();
const ends = await untilEnded();
const collectedSeconds = (performance.now() - lifted) / 1000;
printFigure({
  figure: `containers started a second, until ${containers} are alive at once`,
  ratio: pairedRatio(ours, theirs),
  against: `a bare client that creates and starts the same containers, ${concurrency} at once, in turn`,
  perSecond: median(ours),
  barePerSecond: median(theirs),
  aliveAtOnce: living,
  endedAndCollected: ends.whole,
  notSo: ends.others,
  containersLeft: ends.left,
  secondsToEndAndCollectAll: collectedSeconds,
  blocks: BLOCKS,
});
if (living !== containers || ends.whole !== containers || ends.left !== 0) process.exitCode = 1;

interface BenchJob {
  jobId: string;
  externalName: string;
}

/** Submits so many jobs and resolves when Docker has told of all their starts. */
async function started(count: number): Promise<BenchJob[]> {
  const seen = starts.next(count, ({ name = "" }) => name.includes(`-${jobName}-`));
  const accepted: { jobId: string }[] = [];
  while (accepted.length < count) {
    const size = Math.min(MAX_BATCH, count - accepted.length);
    const answer = await fetch(`${home.url}/api/v1/jobs/batch`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ jobs: Array(size).fill(spec) }),
    });
    if (answer.status !== 202) throw new Error(`the batch was answered ${answer.status}: ${await answer.text()}`);
    accepted.push(...((await answer.json()) as { items: { jobId: string }[] }).items);
  }
  const names = new Map((await seen).map((labels) => [labels["longshore.job"], labels.name ?? ""]));
  return accepted.map(({ jobId }) => ({ jobId, externalName: names.get(jobId) ?? "" }));
}

/** Creates and starts so many containers, so many at once; resolves with the seconds until Docker has told of all. */
async function startBare(count: number, atOnce: number): Promise<number> {
  const [key = "", value = ""] = bareLabel.split("=");
  const seen = starts.next(count, (labels) => labels[key] === value);
  const begun = performance.now();
  let left = count;
  const client = async () => {
    while (left-- > 0) {
      const container = await docker.createContainer({ ...options, Labels: { ...options.Labels, [key]: value } });
      await container.start();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  await seen;
  return (performance.now() - begun) / 1000;
}

async function bestConcurrency(): Promise<number> {
  const rates: { atOnce: number; perSecond: number }[] = [];
  for (const atOnce of CONCURRENCIES) {
    rates.push({ atOnce, perSecond: TRIAL / (await startBare(TRIAL, atOnce)) });
    await removeBare();
  }
  console.error(`bare: ${rates.map((one) => `${one.perSecond.toFixed(2)} a second with ${one.atOnce}`).join(", ")}`);
  return rates.reduce((best, one) => (one.perSecond > best.perSecond ? one : best)).atOnce;
}

async function removeBare(): Promise<void> {
  const found = await docker.listContainers({ all: true, filters: { label: [bareLabel] } });
  const client = async () => {
    for (let one = found.pop(); one !== undefined; one = found.pop()) {
      await docker.getContainer(one.Id).remove({ force: true, v: true });
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
}

/** Waits until every job has ended and its container is gone; tells how many have their whole log. */
async function untilEnded(): Promise<{ whole: number; others: string[]; left: number }> {
  const get = async (path: string) => await (await fetch(`${home.url}/api/v1${path}`)).json();
  for (;;) {
    const open = (await get("/jobs?status=PENDING&status=RUNNING&status=RETRYING&limit=1")) as { items: unknown[] };
    const runtime = (await get("/runtimes/docker")) as { running: number };
    if (open.items.length === 0 && runtime.running === 0) break;
    await delay(LOOK_MS);
  }
  const others: string[] = [];
  let whole = 0;
  for (const { jobId } of jobs) {
    const { status, error } = (await get(`/jobs/${jobId}`)) as { status: string; error: unknown };
    const { items } = (await get(`/jobs/${jobId}/logs`)) as { items: { text: string }[] };
    const log = items.map(({ text }) => text).join();
    if (status === "SUCCEEDED" && log === "up,down") whole += 1;
    else others.push(`${jobId} ${status} ${JSON.stringify(error)} ${log}`);
  }
  for (let looks = 0; ; looks++) {
    const found = await docker.listContainers({ all: true, filters: { label: ["longshore.job"] } });
    const left = found.filter(({ Labels }) => jobs.some(({ jobId }) => Labels["longshore.job"] === jobId)).length;
    // A clean-up that failed is repeated by the second sweep at the latest.
    if (left === 0 || looks * LOOK_MS > 60_000) return { whole, others: others.slice(0, 10), left };
    await delay(LOOK_MS);
  }
}
