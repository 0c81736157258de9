import type { JobFilter } from "../../sdk/client.ts";
import type { JobSummary, Status } from "../../sdk/types.ts";
import { command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { commaSeparated, moment, pair, wholeNumber } from "../units.ts";
import { jobTable } from "../views.ts";

const PAGE = 200;

export const jobsList = command({
  name: "longshore jobs list",
  description: "List jobs, newest first",
  args: {
    status: { type: "string", multiple: true, valueHint: "status", description: "Only these, such as RUNNING" },
    runtime: { type: "string", valueHint: "name", description: "Only on this runtime" },
    label: { type: "string", multiple: true, valueHint: "k=v", description: "Only with this label" },
    name: { type: "string", valueHint: "name", description: "Only of this name" },
    "created-after": { type: "string", valueHint: "time", description: "A time, or a span such as 2h" },
    "created-before": { type: "string", valueHint: "time", description: "A time, or a span such as 2h" },
    limit: { type: "string", valueHint: "n", description: "Jobs at most; default 50" },
    cursor: { type: "string", valueHint: "cursor", description: "Go on where the list before ended" },
  },
  async run(cli, { flags }) {
    const now = Date.now();
    const limit = flags.limit === undefined ? 50 : wholeNumber("--limit", flags.limit, [1, 1_000_000]);
    const after = flags["created-after"];
    const before = flags["created-before"];
    const filter: JobFilter = {
      ...(flags.status.length > 0
        ? { status: commaSeparated(flags.status).map((one) => one.toUpperCase() as Status) }
        : {}),
      ...(flags.runtime === undefined ? {} : { runtime: flags.runtime }),
      ...(flags.name === undefined ? {} : { name: flags.name }),
      ...(after === undefined ? {} : { createdAfter: moment("--created-after", after, now) }),
      ...(before === undefined ? {} : { createdBefore: moment("--created-before", before, now) }),
      labels: Object.fromEntries(flags.label.map((text) => pair("--label", text))),
    };
    const items: JobSummary[] = [];
    let cursor: string | null = flags.cursor ?? null;
    do {
      const size = Math.min(PAGE, limit - items.length);
      const page = await cli.home.client.jobs.listPage({
        ...filter,
        limit: size,
        ...(cursor === null ? {} : { cursor }),
      });
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== null && items.length < limit);
    if (cli.json) await cli.print(JSON.stringify({ items, nextCursor: cursor }));
    else {
      await cli.print(jobTable(items));
      if (cursor !== null) await cli.note(cli.paint("dim", `more with --cursor ${cursor}`, "stderr"));
    }
    return EXIT.ok;
  },
});
