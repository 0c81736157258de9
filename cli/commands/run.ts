import type { DryRun, Job } from "../../sdk/types.ts";
import { keptLine, refusalLines } from "../artifact-views.ts";
import { command } from "../command.ts";
import type { Cli } from "../context.ts";
import { EXIT, exitCodeOf } from "../exit-codes.ts";
import { RUN_FLAGS } from "../run-flags.ts";
import { runSpec } from "../run-spec.ts";
import { table } from "../table.ts";
import { costText } from "../views.ts";
import { cancelOnSignal, waitUntilStarted, watchJob } from "../watch-job.ts";

export const run = command({
  name: "longshore run",
  description: "Run a job, show what it prints, and exit as it did",
  args: RUN_FLAGS,
  async run(cli, input) {
    const spec = await runSpec(input, cli.io);
    const { jobs } = cli.home.client;
    if (input.flags["dry-run"]) return showDryRun(cli, await jobs.dryRun(spec));
    const submitted = Promise.withResolvers<Job>();
    // Its failure is thrown below; this only keeps it from counting as unhandled until then.
    submitted.promise.catch(() => undefined);
    const release = cancelOnSignal(cli, submitted.promise);
    try {
      jobs.submit(spec).then(submitted.resolve, submitted.reject);
      const job = await submitted.promise;
      if (input.flags.detach) return await detach(cli, job);
      if (cli.json) await cli.print(JSON.stringify({ job }));
      else await cli.note(cli.paint("dim", job.jobId, "stderr"));
      const ended = await watchJob(cli, job);
      if (!cli.json && spec.artifacts !== undefined) await tellKept(cli, ended);
      return exitCodeOf(ended);
    } finally {
      release();
    }
  },
});

async function tellKept(cli: Cli, { jobId }: Job): Promise<void> {
  const found = await cli.home.client.jobs.artifacts(jobId);
  await cli.note(cli.paint("dim", keptLine(jobId, found), "stderr"));
  for (const line of refusalLines(found)) await cli.note(cli.paint("yellow", line, "stderr"));
}

async function detach(cli: Cli, job: Job): Promise<number> {
  await cli.print(cli.json ? JSON.stringify(job) : job.jobId);
  if (cli.home.embedded()) {
    await waitUntilStarted(cli, job.jobId);
    await cli.note("No Longshore is running here: the job goes on, and the next one that starts takes it up.");
  }
  return EXIT.ok;
}

async function showDryRun(cli: Cli, dryRun: DryRun): Promise<number> {
  if (cli.json) await cli.print(JSON.stringify(dryRun));
  else {
    const rows = dryRun.verdicts.map(({ runtime, fits, reasons }) => [
      runtime,
      fits ? "fits" : "does not fit",
      reasons.map((reason) => reason.message).join("; "),
    ]);
    const cost = dryRun.cost === null ? "" : `Cost: ${costText(dryRun.cost)}\n`;
    await cli.print(`Runtime: ${dryRun.runtime ?? "none fits"}\n${cost}${table(rows)}`);
  }
  return dryRun.runtime === null ? EXIT.usage : EXIT.ok;
}
