import { setTimeout as sleep } from "node:timers/promises";
import type { Usage } from "../../sdk/types.ts";
import { command } from "../command.ts";
import { type Cli, UsageError } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { SORTS, type Sort, topOf, topTable } from "../top.ts";

/** Between two looks, ms. */
const EVERY_MS = 2_000;
/** What is shown once is what was used between two looks that are so far apart, ms. */
const ONCE_MS = 1_500;
/** To the upper left corner, and away with what is there. */
const CLEAR = "\u001b[H\u001b[J";

export const jobsTop = command({
  name: "longshore jobs top",
  description: "Show what the running jobs use, again every two seconds",
  args: {
    once: { type: "boolean", description: "Show it once" },
    sort: { type: "string", valueHint: "key", description: "By cpu (default), mem or age" },
  },
  async run(cli, { flags }) {
    const sort = sortOf(flags.sort);
    const stop = new AbortController();
    const release = cli.io.onStopSignal(() => stop.abort());
    const show = (usage: Usage, before: Usage | undefined) => print(cli, { usage, before, sort, once: flags.once });
    try {
      let before = await cli.home.client.usage({ signal: stop.signal });
      if (!flags.once) await show(before, undefined);
      do {
        await sleep(flags.once ? ONCE_MS : EVERY_MS, undefined, { signal: stop.signal });
        const usage = await cli.home.client.usage({ signal: stop.signal });
        await show(usage, before);
        before = usage;
      } while (!flags.once);
    } catch (thrown) {
      // Ctrl-C is how one leaves.
      if (!stop.signal.aborted) throw thrown;
    } finally {
      release();
    }
    return EXIT.ok;
  },
});

function sortOf(text = "cpu"): Sort {
  const found = SORTS.find((sort) => sort === text);
  if (found === undefined) throw new UsageError(`--sort ${JSON.stringify(text)} is none of ${SORTS.join(", ")}`);
  return found;
}

async function print(
  cli: Cli,
  { usage, before, sort, once }: { usage: Usage; before: Usage | undefined; sort: Sort; once: boolean },
): Promise<void> {
  const items = topOf(usage, { before, sort });
  if (cli.json) return await cli.print(JSON.stringify({ ...usage, items }));
  const isLive = !once && (cli.io.stdout as Partial<NodeJS.WriteStream>).isTTY === true;
  const lines = [topTable(items, Date.parse(usage.at))];
  if (usage.leftOut > 0) lines.push(`${usage.leftOut} more run`);
  for (const { message } of usage.failures) lines.push(message);
  // Elsewhere than on a terminal each look follows the one before.
  const text = isLive ? `${CLEAR}${lines.join("\n")}` : `${lines.join("\n")}${once ? "" : "\n"}`;
  await cli.print(text);
}
