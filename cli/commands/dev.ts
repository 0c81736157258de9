import { command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { wholeNumber } from "../units.ts";

const HIGHEST_PORT = 65_535;

export const dev = command({
  name: "longshore dev",
  description: "Run the local home in the foreground until it is told to stop",
  args: { port: { type: "string", valueHint: "n", description: "Port on 127.0.0.1 (LONGSHORE_PORT, 7070); 0 is any" } },
  async run(cli, { flags }) {
    const port = flags.port === undefined ? undefined : wholeNumber("--port", flags.port, [0, HIGHEST_PORT]);
    const { readSettings } = await import("../../local/settings.ts");
    const settings = readSettings(cli.io.env, port === undefined ? {} : { port });
    const stopped = Promise.withResolvers<void>();
    let signals = 0;
    const release = cli.io.onStopSignal(() => {
      signals += 1;
      if (signals > 1) cli.io.exitNow(EXIT.cancelled);
      stopped.resolve();
    });
    try {
      const home = await cli.io.openHome(settings);
      try {
        await cli.print(cli.json ? JSON.stringify({ url: home.url }) : `Longshore listens on ${home.url}`);
        await stopped.promise;
      } finally {
        await home.close();
      }
    } finally {
      release();
    }
    return EXIT.ok;
  },
});
