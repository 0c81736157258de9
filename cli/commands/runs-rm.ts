import { command } from "../command.ts";
import { eachJob, JOB_IDS } from "../each.ts";

export const runsRm = command({
  name: "longshore runs rm",
  description: "Erase finished jobs for good: records, logs, artifacts, dead letters",
  args: JOB_IDS,
  run: (cli, { words }) =>
    eachJob(cli, words, async (jobId) => {
      await cli.home.client.runs.remove(jobId);
      await cli.print(cli.json ? JSON.stringify({ jobId, removed: true }) : `${jobId} removed`);
    }),
});
