import { createInterface } from "node:readline/promises";
import type { RunCleanup, RunCleanupQuery } from "../../sdk/index.ts";
import { command } from "../command.ts";
import { type Cli, UsageError } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { wholeNumber } from "../units.ts";
import { statuses } from "./runs-list.ts";

/** As many as the API counts. */
const MAX_KEEP = 100_000;

export const runsCleanup = command({
  name: "longshore runs cleanup",
  description: "Erase old finished jobs for good: records, logs, artifacts, dead letters",
  args: {
    "older-than": { type: "string", valueHint: "span", description: "Only those that ended before, such as 7d or 12h" },
    status: { type: "string", multiple: true, valueHint: "status", description: "Only these, such as SUCCEEDED" },
    keep: { type: "string", valueHint: "n", description: "Keep so many of the newest of these, whatever their age" },
    "dry-run": { type: "boolean", description: "Only tell what would go" },
    yes: { type: "boolean", alias: "y", description: "Do not ask at a terminal" },
  },
  async run(cli, { flags }) {
    const olderThan = flags["older-than"];
    if (olderThan === undefined) throw new UsageError("runs cleanup needs --older-than, such as 7d");
    const query: RunCleanupQuery = {
      olderThan,
      ...(flags.status.length > 0 ? { status: statuses(flags.status) } : {}),
      ...(flags.keep === undefined ? {} : { keep: wholeNumber("--keep", flags.keep, [0, MAX_KEEP]) }),
    };
    const dryRun = flags["dry-run"];
    if (!dryRun && !flags.yes && isTerminal(cli)) {
      const { removed } = await everyPage(cli, { ...query, dryRun: true });
      if (removed === 0 || !(await agrees(cli, removed)))
        return await tell(cli, { removed: 0, dryRun: false, items: [] });
    }
    return await tell(cli, await everyPage(cli, { ...query, dryRun }));
  },
});

type Done = Omit<RunCleanup, "nextCursor">;

async function everyPage(cli: Cli, query: RunCleanupQuery): Promise<Done> {
  const done: Done = { removed: 0, dryRun: query.dryRun === true, items: [] };
  let cursor: string | undefined;
  do {
    const page: RunCleanup = await cli.home.client.runs.cleanup(cursor === undefined ? query : { ...query, cursor });
    done.removed += page.removed;
    done.items.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return done;
}

function isTerminal({ io }: Cli): boolean {
  return (io.stdin as Partial<NodeJS.ReadStream>).isTTY === true;
}

async function agrees({ io }: Cli, count: number): Promise<boolean> {
  const terminal = createInterface({ input: io.stdin, output: io.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`Erase ${runs(count)} for good? [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

async function tell(cli: Cli, { removed, dryRun, items }: Done): Promise<number> {
  if (cli.json) await cli.print(JSON.stringify({ removed, dryRun, items }));
  else {
    if (dryRun) for (const jobId of items) await cli.print(jobId);
    await cli.note(dryRun ? `${runs(removed)} would be erased` : `${runs(removed)} erased`);
  }
  return EXIT.ok;
}

function runs(count: number): string {
  return `${count} run${count === 1 ? "" : "s"}`;
}
