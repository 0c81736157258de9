import { command } from "../command.ts";
import { eachJob, JOB_IDS } from "../each.ts";

export const runsShow = command({
  name: "longshore runs show",
  description: "Show the records of finished jobs, in Markdown",
  args: JOB_IDS,
  run: (cli, { words }) =>
    eachJob(cli, words, async (jobId) => {
      const { runs } = cli.home.client;
      await cli.print(cli.json ? JSON.stringify(await runs.get(jobId)) : (await runs.summary(jobId)).trimEnd());
    }),
});
