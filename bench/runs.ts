import { Agent, request } from "node:http";
import { fillHome } from "./many-runs.ts";
import { type Answer, offer } from "./offer.ts";
import { startHome } from "./server.ts";
import { median, printFigure, quantile } from "./stats.ts";

// A home with many finished jobs: how long a page of their list takes, and what the erasure of half of them does to those who
// submit meanwhile. Both measured from outside, over HTTP.

/** As many as the first argument says. */
const RUNS = Number(process.argv[2] ?? 100_000);
const DAYS = 60;
const PAGES = 200;
const PAGE_BOUND_MS = 20;
const SUBMITS_PER_SECOND = 50;
const IDLE_SECONDS = 30;
const MOST_RATIO = 2;

/** One job holds the only slot, so that what is measured is the submission and not the life that follows. */
const SETTINGS = {
  LONGSHORE_RUNTIMES: "stub",
  LONGSHORE_MAX_CONCURRENT: "stub=1",
  LONGSHORE_MAX_QUEUED: "10000000",
  LONGSHORE_RETENTION_DAYS: "36500",
};
const SPEC = { runtime: "stub", env: { STUB_DURATION_MS: "86400000" } };

const began = performance.now();
await using home = await startHome(SETTINGS, (directory) => fillHome(directory, { runs: RUNS, days: DAYS }));
const fillSeconds = (performance.now() - began) / 1000;
const api = `${home.url}/api/v1`;
const agent = new Agent({ keepAlive: true });

const broken = [...(await listPages()), ...(await cleanUp())];
for (const text of broken) console.error(text);
if (broken.length > 0) process.exitCode = 1;
agent.destroy();

interface Page {
  items: { jobId: string }[];
  nextCursor: string | null;
}

async function listPages(): Promise<string[]> {
  const cursors: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Page = await get(`/runs?limit=200${cursor === null ? "" : `&cursor=${cursor}`}`);
    cursor = page.nextCursor;
    cursors.push(...page.items.map(({ jobId }) => jobId));
  } while (cursor !== null);
  const found = cursors.length;
  const late: string[] = found === RUNS ? [] : [`${found} runs are listed, of ${RUNS}`];
  for (const filter of ["", "&status=FAILED", "&status=TIMED_OUT"]) {
    const times: number[] = [];
    for (let n = 0; n < PAGES; n++) {
      const at = cursors[Math.floor(Math.random() * found * 0.9)];
      const begin = performance.now();
      const { items } = await get<Page>(`/runs?limit=50&cursor=${at}${filter}`);
      times.push(performance.now() - begin);
      if (filter === "" && items.length !== 50) late.push(`a page had ${items.length} runs`);
    }
    const ms = median(times);
    printFigure({
      figure: `a page of 50 of ${RUNS} runs${filter === "" ? "" : `, ${filter.slice(1)}`}, ms at the median`,
      ratio: ms / PAGE_BOUND_MS,
      against: `${PAGE_BOUND_MS} ms`,
      p50Ms: ms,
      p99Ms: quantile(times, 0.99),
      pages: PAGES,
      fillSeconds,
    });
    if (!(ms < PAGE_BOUND_MS)) late.push(`the median page took ${ms.toFixed(1)} ms${filter}`);
  }
  return late;
}

async function cleanUp(): Promise<string[]> {
  const load = (seconds: number) => offer(`${api}/jobs`, { perSecond: SUBMITS_PER_SECOND, seconds, body: SPEC });
  await load(5);
  const idle = await load(IDLE_SECONDS);
  const begin = performance.now();
  const erasing = eraseHalf();
  // As long as it lasts: what is offered in its last second may go on a little longer.
  const answers: Answer[] = [];
  let over = false;
  void erasing.finally(() => {
    over = true;
  });
  while (!over) answers.push(...(await load(1)).answers);
  const removed = await erasing;
  const seconds = (performance.now() - begin) / 1000;
  const p99 = (all: readonly Answer[]) =>
    quantile(
      all.map(({ ms }) => ms),
      0.99,
    );
  const ratio = p99(answers) / p99(idle.answers);
  printFigure({
    figure: `p99 of submits while ${removed} of ${RUNS} runs are erased`,
    ratio,
    against: "the same home idle, the same rate of submits, in the same run",
    p99Ms: p99(answers),
    idleP99Ms: p99(idle.answers),
    p50Ms: median(answers.map(({ ms }) => ms)),
    idleP50Ms: median(idle.answers.map(({ ms }) => ms)),
    erasedPerSecond: removed / seconds,
    submits: answers.length,
    submitsPerSecond: SUBMITS_PER_SECOND,
  });
  const refused = [...idle.answers, ...answers].filter(({ status }) => status !== 202).length;
  return [
    Math.abs(removed - RUNS / 2) > RUNS / 100 && `${removed} runs were erased, half of ${RUNS} were to be`,
    !(ratio <= MOST_RATIO) && `p99 of submits grew ${ratio.toFixed(2)} times`,
    refused > 0 && `${refused} submissions were not accepted`,
  ].filter((text) => text !== false);
}

async function eraseHalf(): Promise<number> {
  let removed = 0;
  let cursor: string | null = null;
  do {
    const body: Record<string, unknown> = { olderThan: `${DAYS / 2}d`, ...(cursor === null ? {} : { cursor }) };
    const done: { removed: number; nextCursor: string | null } = await send("POST", "/runs/cleanup", body);
    removed += done.removed;
    cursor = done.nextCursor;
  } while (cursor !== null);
  return removed;
}

function get<T>(path: string): Promise<T> {
  return send("GET", path);
}

function send<T>(method: string, path: string, body?: object): Promise<T> {
  const text = body === undefined ? "" : JSON.stringify(body);
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  return new Promise((resolve, reject) => {
    const sent = request(api + path, { agent, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const answer = Buffer.concat(chunks).toString("utf8");
        if (response.statusCode === 200) resolve(JSON.parse(answer) as T);
        else reject(new Error(`${response.statusCode}: ${answer}`));
      });
    });
    sent.on("error", reject);
    sent.end(text);
  });
}
