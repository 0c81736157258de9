import type { Event, Job, JobSpecInput, LongshoreClient } from "../sdk/index.ts";
import { linkHome } from "./home.ts";
import { eventLine, jobDetails } from "./views.ts";

// The main job, once, on one page: a real container when Docker answers and the image can be had, else a plain process.

const IMAGE = process.argv[2] ?? "busybox";
const SCRIPT = 'echo "hello from $(uname -s), process $$"; sleep 1; echo "that was a second" >&2; echo "done"';
const NO_IMAGE = ["NOT_FOUND", "IMAGE_PULL", "AUTH", "RUNTIME_UNAVAILABLE"];

const CONTAINER: JobSpecInput = { name: "demo", runtime: "docker", image: IMAGE, command: ["sh", "-c", SCRIPT] };
const PROCESS: JobSpecInput = { name: "demo", runtime: "process", command: ["sh", "-c", SCRIPT] };

const io = {
  env: process.env,
  openHome: async (settings: Parameters<typeof import("../local/home.ts").openHome>[0]) =>
    (await import("../local/home.ts")).openHome(settings),
};
const { readSettings } = await import("../local/settings.ts");
const settings = readSettings(process.env);
await using home = linkHome({ endpoint: undefined, io });
const job = await runDemo(home.client);
console.log(`\nThe record: ${job.jobId} in ${settings.home}`);
console.log(`  npm run longshore -- jobs status ${job.jobId}`);
process.exitCode = job.status === "SUCCEEDED" ? 0 : 1;

async function runDemo(client: LongshoreClient): Promise<Job> {
  const docker = (await client.runtimes.list()).find((runtime) => runtime.name === "docker");
  if (docker === undefined || !docker.health.ok) {
    console.log(`As a plain process, because Docker does not answer: ${docker?.health.message ?? "it is not offered"}`);
    return await show(client, PROCESS);
  }
  console.log(`As a container of ${IMAGE}, because Docker answers: ${docker.health.message}`);
  const job = await show(client, CONTAINER);
  if (job.error === null || !NO_IMAGE.includes(job.error.category)) return job;
  console.log(`\nAs a plain process, because the image cannot be had: ${job.error.message}`);
  return await show(client, PROCESS);
}

async function show(client: LongshoreClient, spec: JobSpecInput): Promise<Job> {
  const { jobId } = await client.jobs.submit(spec);
  console.log("\nLIFE");
  let before = "";
  for await (const event of client.jobs.followEvents(jobId)) {
    const line = lifeLine(event);
    if (line !== before) console.log(`  ${line}`);
    before = line;
  }
  const job = await cleanedUp(client, jobId);
  console.log("\nSTATUS");
  console.log(indent(jobDetails(job)));
  console.log("\nEVENTS");
  for await (const event of client.jobs.events(jobId)) console.log(`  ${eventLine(event)}`);
  console.log("\nLOGS");
  for await (const line of client.jobs.logs(jobId)) console.log(`  ${line.seq}  ${line.stream}  ${line.text}`);
  return job;
}

function lifeLine({ status, phase }: Event): string {
  return phase === null ? status : `${status} (${phase})`;
}

/** The last event comes after the terminal one: the container is removed only when the result is safe. */
async function cleanedUp(client: LongshoreClient, jobId: string): Promise<Job> {
  for (;;) {
    for await (const event of client.jobs.events(jobId)) {
      if (event.type === "CLEANED_UP") return await client.jobs.get(jobId);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}
