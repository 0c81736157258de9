import { command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { parseSpecs, readInput } from "../spec-file.ts";
import { waitUntilStarted } from "../watch-job.ts";

export const jobsSubmit = command({
  name: "longshore jobs submit",
  description: "Submit job specs, all or none, and print the ids of the jobs",
  args: {
    "file…": { type: "positional", multiple: true, description: "Files of job specs (YAML or JSON; - is stdin)" },
    "idempotency-key": {
      type: "string",
      valueHint: "key",
      description: "The same key and specs give the first jobs again",
    },
  },
  async run(cli, { flags, words }) {
    const specs = [];
    for (const file of words) specs.push(...parseSpecs(file, await readInput(file, cli.io.stdin)));
    const key = flags["idempotency-key"];
    const options = key === undefined ? {} : { idempotencyKey: key };
    const { jobs } = cli.home.client;
    const [only] = specs;
    const items =
      specs.length === 1 && only ? [await jobs.submit(only, options)] : await jobs.submitBatch(specs, options);
    if (cli.json) await cli.print(JSON.stringify(specs.length === 1 ? items[0] : { items }));
    else for (const job of items) await cli.print(job.jobId);
    if (cli.home.embedded()) {
      await Promise.all(items.map((job) => waitUntilStarted(cli, job.jobId)));
      await cli.note("No Longshore is running here: the jobs go on, and the next one that starts takes them up.");
    }
    return EXIT.ok;
  },
});
