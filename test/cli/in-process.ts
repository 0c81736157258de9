import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Io } from "../../cli/context.ts";
import { runCli } from "../../cli/run-cli.ts";

/** Runs a command line in this process, with nothing of this process's environment. */
export async function runInProcess(
  argv: string[],
  env: Record<string, string> = {},
  { input = "", ...io }: Partial<Io> & { input?: string } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const [out, err] = [text(stdout), text(stderr)];
  const code = await runCli(argv, {
    env,
    stdin: Readable.from([Buffer.from(input)]),
    stdout,
    stderr,
    onStopSignal: () => () => undefined,
    exitNow: (exitCode) => {
      throw new Error(`left at once with ${exitCode}`);
    },
    openHome: async () => {
      throw new Error("no home may be opened here");
    },
    ...io,
  });
  stdout.end();
  stderr.end();
  return { code, stdout: await out, stderr: await err };
}
