import { command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { table } from "../table.ts";

export const runtimesList = command({
  name: "longshore runtimes list",
  description: "List the runtimes that are offered",
  args: {},
  async run(cli) {
    const items = await cli.home.client.runtimes.list();
    if (cli.json) await cli.print(JSON.stringify({ items }));
    else {
      const rows = items.map((one) => [
        one.name,
        one.kind,
        one.health.ok ? "ok" : "not ok",
        one.circuit,
        `${one.running} of ${one.maxConcurrent}`,
      ]);
      await cli.print(table(rows, ["RUNTIME", "KIND", "HEALTH", "CIRCUIT", "RUNNING"]));
    }
    return EXIT.ok;
  },
});
