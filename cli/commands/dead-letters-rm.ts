import { command } from "../command.ts";
import { DEAD_LETTER_IDS, eachDeadLetter } from "../each.ts";

export const deadLettersRm = command({
  name: "longshore dead-letters rm",
  description: "Remove dead letters; their jobs stay",
  args: DEAD_LETTER_IDS,
  run: (cli, { words }) =>
    eachDeadLetter(cli, words, async (id) => {
      await cli.home.client.deadLetters.remove(id);
      await cli.print(cli.json ? JSON.stringify({ id, removed: true }) : `${id} removed`);
    }),
});
