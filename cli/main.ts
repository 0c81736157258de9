import process from "node:process";
import { write } from "./context.ts";
import { runCli } from "./run-cli.ts";

const STOP_SIGNALS = ["SIGINT", "SIGTERM"] as const;

const code = await runCli(process.argv.slice(2), {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  onStopSignal: (handler) => {
    for (const signal of STOP_SIGNALS) process.on(signal, handler);
    return () => {
      for (const signal of STOP_SIGNALS) process.off(signal, handler);
    };
  },
  exitNow: (exitCode) => process.exit(exitCode),
  openHome: async (settings) => {
    const { openHome } = await import("../local/home.ts");
    return openHome(settings);
  },
});
// What was written must have left before the process does; a reader that has gone needs nothing.
await Promise.allSettled([write(process.stdout, ""), write(process.stderr, "")]);
process.exit(code);
