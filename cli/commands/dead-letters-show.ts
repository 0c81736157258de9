import { command } from "../command.ts";
import { DEAD_LETTER_IDS, eachDeadLetter } from "../each.ts";
import { deadLetterDetails } from "../views.ts";

export const deadLettersShow = command({
  name: "longshore dead-letters show",
  description: "Show everything that is known of dead letters",
  args: DEAD_LETTER_IDS,
  run: (cli, { words }) =>
    eachDeadLetter(cli, words, async (id) => {
      const letter = await cli.home.client.deadLetters.get(id);
      await cli.print(cli.json ? JSON.stringify(letter) : deadLetterDetails(letter));
    }),
});
