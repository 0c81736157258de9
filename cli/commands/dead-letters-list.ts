import { command } from "../command.ts";
import { listing, PAGE_FLAGS } from "../listing.ts";
import { deadLetterTable } from "../views.ts";

export const deadLettersList = command({
  name: "longshore dead-letters list",
  description: "List jobs that failed for good, the latest failure first",
  args: PAGE_FLAGS,
  run: (cli, { flags }) => {
    const { deadLetters } = cli.home.client;
    return listing(cli, flags, { page: (page) => deadLetters.listPage(page), show: deadLetterTable });
  },
});
