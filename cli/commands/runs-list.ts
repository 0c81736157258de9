import type { RunFilter } from "../../sdk/client.ts";
import type { TerminalStatus } from "../../sdk/types.ts";
import { command } from "../command.ts";
import { listing, PAGE_FLAGS } from "../listing.ts";
import { commaSeparated, moment, pair } from "../units.ts";
import { runTable } from "../views.ts";

export const runsList = command({
  name: "longshore runs list",
  description: "List finished jobs, those submitted last first",
  args: {
    status: { type: "string", multiple: true, valueHint: "status", description: "Only these, such as FAILED" },
    runtime: { type: "string", valueHint: "name", description: "Only on this runtime" },
    label: { type: "string", multiple: true, valueHint: "k=v", description: "Only with this label" },
    name: { type: "string", valueHint: "name", description: "Only of this name" },
    "finished-after": { type: "string", valueHint: "time", description: "A time, or a span such as 2h" },
    "finished-before": { type: "string", valueHint: "time", description: "A time, or a span such as 2h" },
    ...PAGE_FLAGS,
  },
  async run(cli, { flags }) {
    const now = Date.now();
    const after = flags["finished-after"];
    const before = flags["finished-before"];
    const filter: RunFilter = {
      ...(flags.status.length > 0 ? { status: statuses(flags.status) } : {}),
      ...(flags.runtime === undefined ? {} : { runtime: flags.runtime }),
      ...(flags.name === undefined ? {} : { name: flags.name }),
      ...(after === undefined ? {} : { finishedAfter: moment("--finished-after", after, now) }),
      ...(before === undefined ? {} : { finishedBefore: moment("--finished-before", before, now) }),
      labels: Object.fromEntries(flags.label.map((text) => pair("--label", text))),
    };
    const { runs } = cli.home.client;
    return await listing(cli, flags, { page: (page) => runs.listPage({ ...filter, ...page }), show: runTable });
  },
});

/** What `--status` names; whether there are such is Longshore's to say. */
export function statuses(values: readonly string[]): TerminalStatus[] {
  return commaSeparated(values).map((one) => one.toUpperCase() as TerminalStatus);
}
