import { command } from "../command.ts";
import { eachJob, JOB_IDS } from "../each.ts";

export const jobsCancel = command({
  name: "longshore jobs cancel",
  description: "Cancel jobs",
  args: JOB_IDS,
  run: (cli, { words }) =>
    eachJob(cli, words, async (jobId) => {
      const job = await cli.home.client.jobs.cancel(jobId);
      await cli.print(cli.json ? JSON.stringify(job) : `${job.jobId} ${job.status}, being cancelled`);
    }),
});
