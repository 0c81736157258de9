import { command } from "../command.ts";
import { eachJob, JOB_IDS } from "../each.ts";
import { jobDetails } from "../views.ts";

export const jobsStatus = command({
  name: "longshore jobs status",
  description: "Show everything that is known of jobs",
  args: JOB_IDS,
  run: (cli, { words }) =>
    eachJob(cli, words, async (jobId) => {
      const job = await cli.home.client.jobs.get(jobId);
      await cli.print(cli.json ? JSON.stringify(job) : jobDetails(job));
    }),
});
