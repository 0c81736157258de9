import { readdir, readFile } from "node:fs/promises";
import Docker from "dockerode";
import type { Job } from "./contract.ts";

/** The containers that carry a job's label, ended ones too. */
export async function containersOf(jobId: string, docker: Docker = new Docker()): Promise<string[]> {
  const found = await docker.listContainers({ all: true, filters: { label: [`longshore.job=${jobId}`] } });
  return found.map(({ Names, State }) => `${Names[0]} ${State}`);
}

/** The processes whose arguments or environment name the job: its commands and who looks after them. */
export async function processesOf({ jobId }: Pick<Job, "jobId">): Promise<string[]> {
  const marks = [jobId, `longshore-${jobId.slice(-10).toLowerCase()}-`];
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const texts = await Promise.all([`/proc/${pid}/cmdline`, `/proc/${pid}/environ`].map(readOrNothing));
    if (marks.some((mark) => texts.some((text) => text.includes(mark)))) found.push(`${pid} ${texts[0]}`);
  }
  return found;
}

/** A process may end while it is looked at. */
async function readOrNothing(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (["ENOENT", "ESRCH", "EACCES"].includes(error.code ?? "")) return "";
    throw error;
  });
}
