import { ApiError } from "../sdk/errors.ts";
import type { Event, Heartbeat, Job, LogLine } from "../sdk/types.ts";
import type { Cli } from "./context.ts";
import { createDisplay } from "./display.ts";
import { EXIT } from "./exit-codes.ts";
import { plain } from "./table.ts";
import { outcomeLine, outcomeStyle } from "./views.ts";

/** Prints one line of a job to where the job wrote it. */
export async function printLogLine(cli: Cli, line: LogLine): Promise<void> {
  if (cli.json) return cli.print(JSON.stringify(line));
  if (line.stream === "stdout") return cli.print(line.text);
  return cli.note(line.stream === "system" ? cli.paint("dim", line.text, "stderr") : line.text);
}

/**
 * Follows a job to its end: its lines go to the standard output and error, its phases to the standard error. With JSON
 * every line is a document with one key: `log`, `event` or `job`.
 */
export async function watchJob(cli: Cli, submitted: Job): Promise<Job> {
  const display = createDisplay(cli);
  const abort = new AbortController();
  const { jobs } = cli.home.client;
  const { jobId } = submitted;
  const { signal } = abort;
  let ended: Job | undefined;
  const onReconnect = (error: Error) => {
    display.clear();
    void cli.note(cli.paint("dim", `connection lost (${error.message}); trying again`, "stderr"));
  };
  const logs = async () => {
    const onEnd = (job: Job) => {
      ended = job;
    };
    for await (const line of jobs.followLogs(jobId, { signal, onEnd, onReconnect })) {
      display.clear();
      await (cli.json ? cli.print(JSON.stringify({ log: line })) : printLogLine(cli, line));
    }
  };
  let queued = true;
  const onHeartbeat = (heartbeat: Heartbeat) => {
    if (cli.json) return;
    display.heartbeat(heartbeat);
    // A broken connection is told by the one who follows; here it only means that there is no news.
    if (queued) void jobs.get(jobId, { signal }).then((job) => display.waiting(job.waitReason), ignore);
  };
  const events = async () => {
    for await (const event of jobs.followEvents(jobId, { signal, onHeartbeat })) {
      queued = event.phase === "queued";
      await showEvent(event);
    }
  };
  const showEvent = (event: Event) => (cli.json ? cli.print(JSON.stringify({ event })) : display.event(event));
  try {
    await Promise.all([logs(), events()]);
  } finally {
    abort.abort();
    display.clear();
  }
  const job = ended ?? (await jobs.get(jobId));
  if (cli.json) await cli.print(JSON.stringify({ job }));
  else await cli.note(cli.paint(outcomeStyle(job), outcomeLine(job), "stderr"));
  return job;
}

/** Waits until a job was started, or has ended: until then an engine that closes would leave it in the queue. */
export async function waitUntilStarted(cli: Cli, jobId: string): Promise<void> {
  for await (const event of cli.home.client.jobs.followEvents(jobId)) {
    if (event.type === "STARTED") return;
  }
}

/**
 * Makes Ctrl-C cancel the job, and a second one leave at once. Until `job` is known the first is kept for it.
 * Returns the function that ends this.
 */
export function cancelOnSignal(cli: Cli, job: Promise<Job>): () => void {
  let signals = 0;
  return cli.io.onStopSignal(() => {
    signals += 1;
    if (signals > 1) cli.io.exitNow(EXIT.cancelled);
    void cancel(cli, job);
  });
}

async function cancel(cli: Cli, submitted: Promise<Job>): Promise<void> {
  // A submit that failed is told by the one who made it.
  const job = await submitted.catch(ignore);
  if (!job) return;
  try {
    await cli.note(`cancelling ${job.jobId}; another Ctrl-C leaves without waiting`);
    await cli.home.client.jobs.cancel(job.jobId);
  } catch (thrown) {
    // It ended before it could be cancelled.
    if (thrown instanceof ApiError && thrown.status === 409) return;
    await cli.note(`cannot cancel: ${plain(thrown instanceof Error ? thrown.message : String(thrown))}`);
  }
}

function ignore(): void {
  return undefined;
}
