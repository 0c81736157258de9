import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A server in a process of its own, so that the clients that measure it do not share its event loop. */
export interface BenchServer extends AsyncDisposable {
  url: string;
  /** Its data directory. */
  directory: string;
  pid: number;
}

/**
 * A local home in a fresh data directory.
 * @param prepare makes what the home finds in its directory.
 */
export async function startHome(
  settings: Record<string, string> = {},
  prepare: (directory: string) => Promise<void> = async () => undefined,
): Promise<BenchServer> {
  const log = { LONGSHORE_LOG_LEVEL: "error" };
  const invocation: Invocation = (home) => ({
    args: ["dev", "--port", "0"],
    env: { LONGSHORE_HOME: home, ...log, ...settings },
  });
  return await start("../cli/main.ts", invocation, prepare);
}

/** The least that a server could do for a durable submission: parse the body, one synced SQLite commit, answer. */
export async function startBareServer(): Promise<BenchServer> {
  return await start("./bare-server.ts", (directory) => ({ args: [directory], env: {} }));
}

/** As `npm run dev` starts it. */
const NODE_FLAGS = ["--max-semi-space-size=8", "--heap-growing-percent=40"];

type Invocation = (directory: string) => { args: string[]; env: Record<string, string> };

async function start(
  script: string,
  invocation: Invocation,
  prepare: (directory: string) => Promise<void> = async () => undefined,
): Promise<BenchServer> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-bench-"));
  await prepare(directory);
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { args, env } = invocation(directory);
  const child = spawn(process.execPath, [...NODE_FLAGS, path, ...args], { env, stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const url = await Promise.race([endpointOf(directory, child.stdout), exited.then(() => undefined)]);
  if (url === undefined) throw new Error(`${script} ended before it listened`);
  return {
    url,
    directory,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Any first line on standard output says that the server listens; its endpoint is in its data directory. */
async function endpointOf(directory: string, output: NodeJS.ReadableStream): Promise<string> {
  await once(createInterface(output), "line");
  const { url } = JSON.parse(await readFile(join(directory, "endpoint.json"), "utf8")) as { url: string };
  return url;
}
