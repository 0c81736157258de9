import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Job } from "../scenarios/contract.ts";
import { type LocalHome, startLocalHome, temporaryFolder } from "../scenarios/local-home.ts";
import { filesWith, formsOf } from "../scenarios/needles.ts";
import { insist } from "./client.ts";
import { everyPage } from "./gather.ts";
import { lookAt, type Outside } from "./grounds.ts";
import { createNeedles, type Ground, NEEDLE_VARIABLE } from "./jobs.ts";
import { leftCounters, takeCensus } from "./ledger.ts";
import type { RuntimeName } from "./options.ts";

/** Without any job that ends in this time, no more will: the longest wait inside is a retry of a minute. */
const STANDSTILL_MS = 150_000;
/** In this time a sweep has passed that looks at whatever was touched last. */
const SETTLE_MS = 45_000;
const LOOK_MS = 250;
/** How much of an answer a complaint about it shows. */
const SHOWN = 200;

/** A home of its own on a runtime, and everything by which it is looked at. */
export interface Field extends AsyncDisposable {
  home: LocalHome;
  ground: Ground;
  outside: Outside;
  /** Answers and files in which a secret value was found so far. */
  leaks: string[];
  /** Looks for secret values in the files of the home and in what it wrote to its log. */
  search(): Promise<void>;
}

/** Starts a home in a fresh directory; `env` are settings beside those that jobs of every kind need. */
export async function openField(runtime: RuntimeName, env: Record<string, string>): Promise<Field> {
  await using opened = new AsyncDisposableStack();
  const folder = await temporaryFolder();
  opened.defer(folder.remove);
  const shared = join(folder.path, "shared");
  await mkdir(shared);
  const needles = createNeedles();
  const forms = Object.values(needles).flatMap((needle) => formsOf(needle).map((form) => form.toString("latin1")));
  const leaks: string[] = [];
  const holds = (text: string) => forms.some((form) => text.includes(form));
  const home = await startLocalHome({
    env: { LONGSHORE_ALLOWED_MOUNTS: shared, [NEEDLE_VARIABLE]: needles.inEnvironment, ...env },
    record: (text) => {
      if (holds(text)) leaks.push(`an answer: ${text.slice(0, SHOWN)}`);
    },
  });
  opened.defer(() => home.dispose());
  const outside = opened.use(await lookAt(runtime, home, shared));
  const owned = opened.move();
  return {
    home,
    ground: { runtime, shared, needles },
    outside,
    leaks,
    async search() {
      for (const needle of Object.values(needles)) {
        for (const file of await filesWith(home.data, needle)) leaks.push(`the file ${file}`);
      }
      if (holds(home.output())) leaks.push("the log of the home");
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Resolves when every job has ended, or none does any more: then the checks say which. */
export async function untilEnded({ home }: Field): Promise<void> {
  let left = Number.POSITIVE_INFINITY;
  for (let movedAt = Date.now(); Date.now() - movedAt < STANDSTILL_MS; await delay(LOOK_MS)) {
    const now = Object.entries(takeCensus(home.data)).filter(([place]) => place !== "cleaning up");
    const count = now.reduce((sum, [, jobs]) => sum + jobs, 0);
    if (count === 0) return;
    if (count < left) movedAt = Date.now();
    left = Math.min(left, count);
  }
}

/** Resolves when nothing is left to do or to remove, or a sweep must have passed that sees to everything. */
export async function untilSettled({ home, outside }: Field, jobIds: readonly string[]): Promise<void> {
  for (const until = Date.now() + SETTLE_MS; Date.now() < until; await delay(LOOK_MS)) {
    const isIdle = Object.keys(takeCensus(home.data)).length === 0;
    if (isIdle && (await outside.left(jobIds)).length === 0) return;
  }
}

/** What is found at the end about the home as a whole. */
export interface Remains {
  /** Every job that the API lists. */
  listed: string[];
  /** The jobs of its dead letters. */
  deadLetters: string[];
  starts: { jobId: string; attempt: number }[] | null;
  left: string[];
  counters: string[];
  /** What was wrong with the last stop, and with what looked on. */
  misbehaved: string[];
}

/** Asks the home for the last time, stops it, and looks at what it leaves. */
export async function closeDown({ home, outside, search }: Field, jobIds: readonly string[]): Promise<Remains> {
  const left = await outside.left(jobIds);
  const listed = await everyPage<Job>(home, "/jobs?limit=200");
  const letters = await everyPage<{ jobId: string }>(home, "/dead-letters?limit=200");
  const { body } = await insist<{ items: { name: string; running: number }[] }>(home, "/runtimes");
  const counters = body.items
    .filter(({ running }) => running !== 0)
    .map((one) => `${one.name}: ${one.running} running`);
  const stopped = await home.end("SIGTERM");
  const misbehaved = stopped.code === 0 ? [] : [`the last stop ended with code ${stopped.code} (${stopped.signal})`];
  const blindness = outside.blindness();
  if (blindness !== null) misbehaved.push(blindness);
  await search();
  return {
    listed: listed.map(({ jobId }) => jobId),
    deadLetters: letters.map(({ jobId }) => jobId),
    starts: await outside.starts(),
    left: [...new Set([...left, ...(await outside.left(jobIds, true))])],
    counters: [...counters, ...leftCounters(home.data)],
    misbehaved,
  };
}
