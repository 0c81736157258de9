import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import Docker from "dockerode";
import { leftContainers, removeHome } from "../lab/docker.ts";
import { cancelAll, type Target } from "./client.ts";

/** Together less than the limit of a hook. */
const CANCEL_LIMIT_MS = 25_000;
const STOP_LIMIT_MS = 15_000;
const ROOT = join(import.meta.dirname, "../..");

/** A home on this machine in a process of its own, as `longshore dev` runs it. */
export interface LocalHome extends Target {
  /** A directory of the test's own, removed in the end; `data` is inside of it. */
  folder: string;
  /** The data directory. */
  data: string;
  /** Everything that all of its processes wrote so far to standard error and output. */
  output(): string;
  pid(): number;
  start(): Promise<void>;
  /** Sends the signal and resolves with how the process ended. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** The names of the containers that this home has on the Docker Engine. */
  containers(): Promise<string[]>;
  /** Cancels what runs, ends the home, removes its directory, containers and networks. */
  dispose(): Promise<void>;
}

export interface LocalHomeOptions {
  /** Settings beside the ones that every test wants. */
  env?: Record<string, string>;
  record?(text: string): void;
  /** The data directory, which the caller makes and removes; default one inside of `folder`. */
  data?: string;
  /** The engine that its containers are on; default the machine's. */
  docker?: Docker;
}

/** A directory of a test's own under the run's. */
export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "longshore-scenario-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Makes the directory of a home and starts it; the caller must call `dispose`. */
export async function startLocalHome(options: LocalHomeOptions = {}): Promise<LocalHome> {
  const folder = await mkdtemp(join(tmpdir(), "longshore-home-"));
  const data = options.data ?? join(folder, "data");
  await mkdir(data, { recursive: true });
  const docker = options.docker ?? new Docker();
  let output = "";
  let url = "";
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const env = { PATH: process.env.PATH ?? "", TMPDIR: tmpdir(), LONGSHORE_HOME: data, LONGSHORE_LOG_LEVEL: "debug" };
    const args = [join(ROOT, "cli/main.ts"), "dev", "--port", "0", "--json"];
    const started = spawn(process.execPath, args, {
      env: { ...env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child = started;
    url = "";
    started.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    let said = "";
    const announced = new Promise<string>((resolve, reject) => {
      started.stdout.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        said += text;
        const line = /^.*\n/.exec(said)?.[0];
        if (line !== undefined) resolve((JSON.parse(line) as { url: string }).url);
      });
      started.once("exit", () => reject(new Error(`the home ended at its start: ${output}`)));
    });
    url = await announced;
  }

  async function end(signal: NodeJS.Signals) {
    if (child === undefined) throw new Error("the home was never started");
    const { exitCode, signalCode } = child;
    if (exitCode !== null || signalCode !== null) return { code: exitCode, signal: signalCode };
    const exited = once(child, "exit");
    child.kill(signal);
    const [code, by] = (await exited) as [number | null, NodeJS.Signals | null];
    return { code, signal: by };
  }

  const isRunning = () => child?.exitCode === null && child.signalCode === null;
  const home: LocalHome = {
    folder,
    data,
    api: () => `${url}/api/v1`,
    ...(options.record === undefined ? {} : { record: options.record }),
    output: () => output,
    pid: () => child?.pid ?? 0,
    start,
    end,
    containers: async () => await leftContainers(homeIdOf(data), docker),
    async dispose() {
      try {
        if (!isRunning()) await start();
        await within(CANCEL_LIMIT_MS, cancelAll(home), "some jobs would not end");
      } finally {
        await within(STOP_LIMIT_MS, end("SIGTERM"), "the home would not end").catch(async (error: unknown) => {
          await end("SIGKILL");
          throw error;
        });
        await removeRest(homeIdOf(data), docker);
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
  try {
    await start();
  } catch (error) {
    child?.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return home;
}

/** What a broken home never does must not keep a suite from ending it: nothing else would. */
async function within<T>(limitMs: number, work: Promise<T>, complaint: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(complaint)), limitMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Removes the home's network. A container that is still there is a leak, and told. */
async function removeRest(homeId: string, docker: Docker): Promise<void> {
  try {
    const left = await leftContainers(homeId, docker);
    await removeHome(homeId, docker);
    if (left.length > 0) throw new Error(`the home left containers behind: ${left.join(", ")}`);
  } catch (error) {
    // Where no engine answers there is nothing to remove.
    if (!["ENOENT", "ECONNREFUSED"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** The home's id, which labels its containers: the contract does not show it, so it is read where it rests. */
function homeIdOf(data: string): string {
  const ledger = new DatabaseSync(join(data, "ledger.db"), { readOnly: true });
  try {
    const id = /home_[0-9A-Z]{26}/.exec(
      JSON.stringify(ledger.prepare("SELECT * FROM items WHERE pk = 'HOME'").all()),
    )?.[0];
    if (id === undefined) throw new Error("the ledger has no home's id");
    return id;
  } finally {
    ledger.close();
  }
}
