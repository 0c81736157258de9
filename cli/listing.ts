import type { PageFilter } from "../sdk/index.ts";
import type { Page } from "../sdk/types.ts";
import type { FlagDef } from "./command.ts";
import type { Cli } from "./context.ts";
import { EXIT } from "./exit-codes.ts";
import { wholeNumber } from "./units.ts";

/** The flags of a command that lists. */
export const PAGE_FLAGS = {
  limit: { type: "string", valueHint: "n", description: "How many at most; default 50" },
  cursor: { type: "string", valueHint: "cursor", description: "Go on where the list before ended" },
} as const satisfies Record<string, FlagDef>;

const DEFAULT_LIMIT = 50;
/** The most that the API gives at once. */
const PAGE = 200;

/**
 * Prints a list of as many pages as it needs, and how to go on when there is more; resolves with the exit code.
 * @throws UsageError for a limit that is none.
 */
export async function listing<T>(
  cli: Cli,
  flags: { limit: string | undefined; cursor: string | undefined },
  { page, show }: { page: (filter: PageFilter) => Promise<Page<T>>; show: (items: readonly T[]) => string },
): Promise<number> {
  const limit = flags.limit === undefined ? DEFAULT_LIMIT : wholeNumber("--limit", flags.limit, [1, 1_000_000]);
  const items: T[] = [];
  let cursor: string | null = flags.cursor ?? null;
  do {
    const size = Math.min(PAGE, limit - items.length);
    const found: Page<T> = await page({ limit: size, ...(cursor === null ? {} : { cursor }) });
    items.push(...found.items);
    cursor = found.nextCursor;
  } while (cursor !== null && items.length < limit);
  if (cli.json) await cli.print(JSON.stringify({ items, nextCursor: cursor }));
  else {
    await cli.print(show(items));
    if (cursor !== null) await cli.note(cli.paint("dim", `more with --cursor ${cursor}`, "stderr"));
  }
  return EXIT.ok;
}
