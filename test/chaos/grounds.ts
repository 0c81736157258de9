import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import Docker from "dockerode";
import { ensureBusybox, leftContainers, leftovers } from "../lab/docker.ts";
import type { LocalHome } from "../scenarios/local-home.ts";
import { STARTS_FILE } from "./jobs.ts";
import { homeIdOf } from "./ledger.ts";
import type { RuntimeName } from "./options.ts";

/** What can be seen of a runtime without asking Longshore. */
export interface Outside extends AsyncDisposable {
  /** Every start of a command so far; null where nobody can see one. */
  starts(): Promise<{ jobId: string; attempt: number }[] | null>;
  /** What there is on the runtime of these jobs, ended or not; once the home was stopped, also what is nobody's. */
  left(jobIds: readonly string[], isStopped?: boolean): Promise<string[]>;
  /** Why it did not see everything; null when it did. */
  blindness(): string | null;
}

/** Begins to look at a runtime; `shared` is the directory in which commands note their starts. */
export async function lookAt(runtime: RuntimeName, home: LocalHome, shared: string): Promise<Outside> {
  if (runtime === "docker") return await lookAtDocker(home);
  const seesNothing = { blindness: () => null, [Symbol.asyncDispose]: async () => undefined };
  if (runtime === "stub") return { starts: async () => null, left: async () => [], ...seesNothing };
  return {
    starts: () => notedStarts(join(shared, STARTS_FILE)),
    left: async (jobIds) => [...(await processesOf(home.data, jobIds)), ...(await directoriesOf(home.data))],
    ...seesNothing,
  };
}

/** The engine's own events tell of every start; the stream is one connection for the whole run. */
async function lookAtDocker(home: LocalHome): Promise<Outside> {
  const docker = new Docker();
  await ensureBusybox(docker);
  const homeId = homeIdOf(home.data);
  const filters = { type: ["container"], event: ["start"], label: [`longshore.home=${homeId}`] };
  const stream = (await docker.getEvents({ filters: JSON.stringify(filters) })) as NodeJS.ReadableStream & {
    destroy(): void;
  };
  const starts: { jobId: string; attempt: number }[] = [];
  let rest = "";
  let closing = false;
  let blindness: string | null = null;
  stream.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((text) => text.trim() !== "")) {
      const labels = (JSON.parse(line) as { Actor: { Attributes: Record<string, string> } }).Actor.Attributes;
      starts.push({ jobId: labels["longshore.job"] ?? "", attempt: Number(labels["longshore.attempt"]) });
    }
  });
  for (const name of ["close", "error"]) {
    stream.on(name, () => {
      if (!closing) blindness = "the stream of Docker's events broke off";
    });
  }
  return {
    starts: async () => starts,
    // The bridge between the jobs and the outside stays as long as the home runs.
    left: (_, isStopped = false) => (isStopped ? leftovers(homeId, docker) : leftContainers(homeId, docker)),
    blindness: () => blindness,
    async [Symbol.asyncDispose]() {
      closing = true;
      stream.destroy();
    },
  };
}

async function notedStarts(file: string): Promise<{ jobId: string; attempt: number }[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    // No command has been started yet.
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [jobId = "", attempt] = line.split(" ");
      return { jobId, attempt: Number(attempt) };
    });
}

/** Commands, by their environment, and supervisors, by the names of their attempts. */
async function processesOf(data: string, jobIds: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  const tails = new Set(jobIds.map((jobId) => jobId.slice(-10).toLowerCase()));
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const [command = "", environment = ""] = await Promise.all(
      ["cmdline", "environ"].map((file) => readOrNothing(`/proc/${pid}/${file}`)),
    );
    const tail = /longshore-([0-9a-z]{10})-/.exec(command)?.[1];
    // The home itself has its directory in the environment, and nothing behind it.
    if (environment.includes(`=${data}/`) || (tail !== undefined && tails.has(tail))) {
      found.push(`process ${pid} ${command.replaceAll("\0", " ").slice(0, 200)}`);
    }
  }
  return found;
}

async function directoriesOf(data: string): Promise<string[]> {
  const names = await readdir(join(data, "attempts")).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.map((name) => `directory attempts/${name}`);
}

/** A process may end while it is looked at. */
async function readOrNothing(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (["ENOENT", "ESRCH", "EACCES"].includes(error.code ?? "")) return "";
    throw error;
  });
}
