import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Tuning } from "./peer.ts";

const KEPT_CHARACTERS = 2_000;
const START_LIMIT_MS = 60_000;

/** What was started and has not ended: it must not outlive this process, however that ends. */
const alive = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

export interface Command {
  program: string;
  args: string[];
  /** Default: the environment of this process. */
  env?: Record<string, string>;
  uid?: number;
  gid?: number;
}

/** Runs a command to its end. @throws Error with the end of what it said when it cannot be run or fails. */
export async function run(command: Command): Promise<string> {
  const { child, said } = begin(command);
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${command.program} ended with ${code}: ${said()}`);
  return said();
}

/**
 * Starts a server and waits until it says that it is ready, on either output.
 * @throws Error with the end of what it said when it ends before that.
 */
export async function serve(command: Command, ready: RegExp): Promise<AsyncDisposable> {
  const { child, said } = begin(command);
  const closed = once(child, "close");
  let late: NodeJS.Timeout | undefined;
  const isReady = new Promise<boolean>((resolve) => {
    const look = () => ready.test(said()) && resolve(true);
    late = setTimeout(() => resolve(false), START_LIMIT_MS);
    child.stdout.on("data", look);
    child.stderr.on("data", look);
  });
  const started = await Promise.race([isReady, closed.then(() => false)]);
  clearTimeout(late);
  if (!started) {
    child.kill("SIGKILL");
    throw new Error(`${command.program} was not ready in time, or ended before: ${said()}`);
  }
  return {
    async [Symbol.asyncDispose]() {
      // PostgreSQL's fast shutdown: its polite one would wait for every client.
      child.kill("SIGINT");
      await closed;
    },
  };
}

/** Starts a peer's worker in a process of its own, as one would run it. */
export async function serveWorker(peer: string, address: string, tuning: Tuning): Promise<AsyncDisposable> {
  const script = fileURLToPath(new URL("./worker.ts", import.meta.url));
  const args = [script, peer, address, JSON.stringify(tuning)];
  return await serve({ program: process.execPath, args }, /^ready$/m);
}

function begin({ program, args, ...options }: Command) {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  alive.add(child);
  child.once("close", () => alive.delete(child));
  let text = "";
  const keep = (chunk: string) => {
    text = (text + chunk).slice(-KEPT_CHARACTERS);
  };
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);
  // A program that is not there: it closes without a code, and this says why.
  child.once("error", (error) => keep(error.message));
  return { child: child satisfies ChildProcess, said: () => text };
}
