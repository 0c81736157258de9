import { artifactTable, refusalLines } from "../artifact-views.ts";
import { command } from "../command.ts";
import { eachJob, JOB_IDS } from "../each.ts";

export const jobsArtifacts = command({
  name: "longshore jobs artifacts",
  description: "Show which files of jobs were kept, and what was refused",
  args: JOB_IDS,
  run: (cli, { words }) =>
    eachJob(cli, words, async (jobId) => {
      const found = await cli.home.client.jobs.artifacts(jobId);
      if (cli.json) return cli.print(JSON.stringify(found));
      if (found.items.length > 0) await cli.print(artifactTable(found.items));
      else await cli.note("no files were kept");
      for (const line of refusalLines(found)) await cli.note(cli.paint("yellow", line, "stderr"));
    }),
});
