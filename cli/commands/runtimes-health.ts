import { command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { table } from "../table.ts";

export const runtimesHealth = command({
  name: "longshore runtimes health",
  description: "Tell whether runtimes are well; exits with 125 when one is not",
  args: {
    "name…": { type: "positional", required: false, multiple: true, description: "Runtimes; default: all of them" },
  },
  async run(cli, { words }) {
    const { runtimes } = cli.home.client;
    const items = words.length > 0 ? await Promise.all(words.map((name) => runtimes.get(name))) : await runtimes.list();
    if (cli.json)
      await cli.print(
        JSON.stringify({ items: items.map(({ name, health, circuit }) => ({ name, ...health, circuit })) }),
      );
    else {
      const rows = items.map(({ name, health, circuit }) => [
        name,
        health.ok ? "ok" : "not ok",
        circuit,
        health.checkedAt ?? "-",
        health.message,
      ]);
      await cli.print(table(rows, ["RUNTIME", "HEALTH", "CIRCUIT", "CHECKED", "MESSAGE"]));
    }
    return items.every(({ health }) => health.ok) ? EXIT.ok : EXIT.failed;
  },
});
