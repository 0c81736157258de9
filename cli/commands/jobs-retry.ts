import { command } from "../command.ts";
import { eachJob, JOB_IDS } from "../each.ts";

export const jobsRetry = command({
  name: "longshore jobs retry",
  description: "Run jobs again that did not succeed; prints the ids of the new ones",
  args: JOB_IDS,
  run: (cli, { words }) =>
    eachJob(cli, words, async (jobId) => {
      const job = await cli.home.client.jobs.retry(jobId);
      await cli.print(cli.json ? JSON.stringify(job) : job.jobId);
    }),
});
