import { command } from "../command.ts";
import { eachJob, JOB_IDS } from "../each.ts";
import { eventLine } from "../views.ts";

export const jobsEvents = command({
  name: "longshore jobs events",
  description: "Show what happened to jobs",
  args: { ...JOB_IDS, follow: { type: "boolean", alias: "f", description: "Go on until the job has ended" } },
  run(cli, { flags, words }) {
    const { jobs } = cli.home.client;
    return eachJob(cli, words, async (jobId) => {
      const events = flags.follow ? jobs.followEvents(jobId) : jobs.events(jobId);
      for await (const event of events) await cli.print(cli.json ? JSON.stringify(event) : eventLine(event));
    });
  },
});
