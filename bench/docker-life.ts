import Docker from "dockerode";
import { startHome } from "./server.ts";
import { median, pairedRatio, printFigure, quantile } from "./stats.ts";

const WARM_UP = 3;
const PAIRS = 25;
const COMMAND = ["sh", "-c", "echo done"];

interface Life {
  runningMs: number;
  wholeMs: number;
  /** From the engine's `die` event to what a follower (or the raw client) has of the end. */
  exitMs: number;
  /** From the engine's own answer to a `wait` on the container, which it gives some time after it told of the end. */
  afterWaitMs: number;
}

/**
 * A container's life through Longshore next to the same life through the raw Docker API, in turn. One observer times
 * both: the engine's own event stream (start, die, destroy), and the moment before the first call.
 */
export async function benchDockerLife(image: string): Promise<void> {
  const docker = new Docker();
  await using observer = await observe(docker);
  await using home = await startHome();
  const ours: Life[] = [];
  const theirs: Life[] = [];
  for (let pair = -WARM_UP; pair < PAIRS; pair++) {
    const longshore = await longshoreLife(home.url, image, observer);
    // The very options that Longshore gave its container, read back from the engine.
    const raw = await rawLife(docker, observer, longshore.options);
    if (pair < 0) continue;
    ours.push(longshore);
    theirs.push(raw);
  }
  const against = "the raw Docker API: create, start, wait, logs, remove of the same container";
  for (const [key, figure] of [
    ["runningMs", "submit to running on Docker"],
    ["wholeMs", "whole life on Docker, submit to removed"],
  ] as const) {
    const [mine, other] = [ours.map((life) => life[key]), theirs.map((life) => life[key])];
    const ratio = pairedRatio(mine, other);
    printFigure({ figure, ratio, against, ms: median(mine), rawMs: median(other), pairs: PAIRS });
  }
  const exits = ours.map(({ exitMs }) => exitMs);
  const rawExits = theirs.map(({ exitMs }) => exitMs);
  printFigure({
    figure: "exit of a container to the terminal state in the ledger, as a follower sees it",
    ratio: pairedRatio(exits, rawExits),
    against: "the raw Docker API: from the exit until wait, inspect and logs have answered",
    p50Ms: median(exits),
    p99Ms: quantile(exits, 0.99),
    rawP50Ms: median(rawExits),
    rawP99Ms: quantile(rawExits, 0.99),
    afterWaitP50Ms: median(ours.map(({ afterWaitMs }) => afterWaitMs)),
    afterWaitP99Ms: quantile(
      ours.map(({ afterWaitMs }) => afterWaitMs),
      0.99,
    ),
    pairs: PAIRS,
  });
}

interface Observer extends AsyncDisposable {
  /** When the engine told of the event of the container with this name. */
  seen(name: string, action: "start" | "die" | "destroy"): Promise<number>;
}

async function observe(docker: Docker): Promise<Observer> {
  const filters = { type: ["container"], event: ["start", "die", "destroy"] };
  const stream = await docker.getEvents({ filters: JSON.stringify(filters) });
  const times = new Map<string, PromiseWithResolvers<number>>();
  const at = (name: string, action: string) => {
    const key = `${name} ${action}`;
    const known = times.get(key) ?? Promise.withResolvers<number>();
    times.set(key, known);
    return known;
  };
  let rest = "";
  stream.on("data", (chunk: Buffer) => {
    const now = performance.now();
    const lines = (rest + chunk.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = JSON.parse(line) as { Action: string; Actor: { Attributes: { name: string } } };
      at(event.Actor.Attributes.name, event.Action).resolve(now);
    }
  });
  return {
    seen: (name, action) => at(name, action).promise,
    async [Symbol.asyncDispose]() {
      (stream as NodeJS.ReadableStream & { destroy(): void }).destroy();
    },
  };
}

async function longshoreLife(
  url: string,
  image: string,
  observer: Observer,
): Promise<Life & { options: Docker.ContainerCreateOptions }> {
  const spec = { image, command: COMMAND, runtime: "docker" };
  const begin = performance.now();
  const answer = await fetch(`${url}/api/v1/jobs`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(spec),
  });
  const { jobId } = (await answer.json()) as { jobId: string };
  const follow = await fetch(`${url}/api/v1/jobs/${jobId}/events?follow=true`);
  let name = "";
  let options: Docker.ContainerCreateOptions = {};
  let terminal = 0;
  let waited = Promise.resolve(0);
  for await (const text of follow.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    if (name === "") name = /"externalName":"([^"]+)"/.exec(text)?.[1] ?? "";
    if (text.includes('"type":"STARTED"')) {
      waited = engine
        .getContainer(name)
        .wait()
        .then(() => performance.now());
      options = await createOptionsOf(name);
    }
    if (text.includes('"type":"SUCCEEDED"')) terminal ||= performance.now();
    if (/"type":"(FAILED|TIMED_OUT|CANCELLED)"/.test(text)) throw new Error(`the bench job failed: ${text}`);
  }
  const [running, exited, removed] = await Promise.all([
    observer.seen(name, "start"),
    observer.seen(name, "die"),
    observer.seen(name, "destroy"),
  ]);
  return {
    runningMs: running - begin,
    wholeMs: removed - begin,
    exitMs: terminal - exited,
    afterWaitMs: terminal - (await waited),
    options,
  };
}

const engine = new Docker();

/** The options that the engine was given for a container, without Longshore's own labels. */
export async function createOptionsOf(name: string): Promise<Docker.ContainerCreateOptions> {
  const { Config, HostConfig } = await engine.getContainer(name).inspect();
  const { Image, Entrypoint, Cmd, Env, Labels } = Config;
  const labels = Object.fromEntries(Object.entries(Labels).filter(([key]) => !key.startsWith("longshore.")));
  return {
    Image,
    Entrypoint: Entrypoint as string[],
    Cmd,
    Env,
    Labels: labels,
    HostConfig,
  } as Docker.ContainerCreateOptions;
}

async function rawLife(docker: Docker, observer: Observer, options: Docker.ContainerCreateOptions): Promise<Life> {
  const name = `raw-${Math.random().toString(36).slice(2)}`;
  const begin = performance.now();
  const container = await docker.createContainer({ ...options, name });
  await container.start();
  await container.wait();
  const waited = performance.now();
  await container.inspect();
  await container.logs({ stdout: true, stderr: true });
  const known = performance.now();
  await container.remove({ v: true });
  const [running, exited, removed] = await Promise.all([
    observer.seen(name, "start"),
    observer.seen(name, "die"),
    observer.seen(name, "destroy"),
  ]);
  return { runningMs: running - begin, wholeMs: removed - begin, exitMs: known - exited, afterWaitMs: known - waited };
}
