import type { JobFilter } from "../../sdk/client.ts";
import type { Status } from "../../sdk/types.ts";
import { command } from "../command.ts";
import { listing, PAGE_FLAGS } from "../listing.ts";
import { commaSeparated, moment, pair } from "../units.ts";
import { jobTable } from "../views.ts";

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
    ...PAGE_FLAGS,
  },
  async run(cli, { flags }) {
    const now = Date.now();
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
    const { jobs } = cli.home.client;
    return await listing(cli, flags, { page: (page) => jobs.listPage({ ...filter, ...page }), show: jobTable });
  },
});
