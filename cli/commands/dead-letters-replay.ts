import { command } from "../command.ts";
import { DEAD_LETTER_IDS, eachDeadLetter } from "../each.ts";

export const deadLettersReplay = command({
  name: "longshore dead-letters replay",
  description: "Run the jobs of dead letters again, each once; prints the ids of the new jobs",
  args: DEAD_LETTER_IDS,
  run: (cli, { words }) =>
    eachDeadLetter(cli, words, async (id) => {
      const job = await cli.home.client.deadLetters.replay(id);
      await cli.print(cli.json ? JSON.stringify(job) : job.jobId);
    }),
});
