import { readdir, readFile, readlink } from "node:fs/promises";
import Docker from "dockerode";
import { LABELS } from "../../engine/naming.ts";

/** The environment variable that holds the run's own temporary directory. */
export const RUN_DIR = "LONGSHORE_TEST_RUN_DIR";

const SETTLE_MS = 3_000;
const AGAIN_MS = 100;

/**
 * What the tests left behind, one sentence each: files under the run's directory, and processes whose command,
 * working directory or environment names it. What is just ending gets three seconds for it.
 */
export async function localLeaks(runDir: string): Promise<string[]> {
  const until = Date.now() + SETTLE_MS;
  for (;;) {
    const found = [...(await leftFiles(runDir)), ...(await leftProcesses(runDir))];
    if (found.length === 0 || Date.now() > until) return found;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/**
 * Containers of some home that were made since `sinceMs` and are still there; none when no engine answers. On a
 * machine where several people test against one engine they may be another run's.
 */
export async function leftContainers(sinceMs: number, client: Docker = new Docker()): Promise<string[]> {
  const containers = await client
    .listContainers({ all: true, filters: { label: [LABELS.home] } })
    .catch((error: NodeJS.ErrnoException & { statusCode?: number }) => {
      if (error.statusCode === undefined) return [];
      throw error;
    });
  return (
    containers
      // The engine tells whole seconds, rounded down.
      .filter(({ Created }) => Created >= Math.floor(sinceMs / 1000))
      .map(({ Id, Names, State }) => `container ${Names[0] ?? Id} (${State})`)
  );
}

async function leftFiles(runDir: string): Promise<string[]> {
  return (await readdir(runDir)).map((name) => `temporary file ${name}`);
}

async function leftProcesses(runDir: string): Promise<string[]> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map((pid) => leftProcess(pid, runDir)));
  return found.filter((text) => text !== null);
}

/** Null for what is none of the tests': other people's processes, this one, and its own workers. */
async function leftProcess(pid: number, runDir: string): Promise<string | null> {
  const own = [process.pid, process.ppid];
  try {
    const [command, environment, cwd, stat] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`, "utf8"),
      readFile(`/proc/${pid}/environ`, "utf8"),
      readlink(`/proc/${pid}/cwd`),
      readFile(`/proc/${pid}/stat`, "utf8"),
    ]);
    if (![command, environment, cwd].some((text) => text.includes(runDir))) return null;
    const parent = Number(/^.*\) \S (\d+)/s.exec(stat)?.[1]);
    if (own.includes(pid) || parent === process.pid) return null;
    return `process ${pid}: ${command.replaceAll("\0", " ").trim()}`;
  } catch (error) {
    // It ended while it was looked at, or it is somebody else's.
    if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}
