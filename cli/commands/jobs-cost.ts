import { command } from "../command.ts";
import { eachJob, JOB_IDS } from "../each.ts";
import { costText } from "../views.ts";

export const jobsCost = command({
  name: "longshore jobs cost",
  description: "Show what jobs cost",
  args: JOB_IDS,
  run: (cli, { words }) =>
    eachJob(cli, words, async (jobId) => {
      const cost = await cli.home.client.jobs.cost(jobId);
      await cli.print(cli.json ? JSON.stringify({ jobId, ...cost }) : `${jobId} ${costText(cost)}`);
    }),
});
