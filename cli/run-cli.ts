import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { styleText } from "node:util";
import { GLOBAL_FLAGS, readArgs } from "./command.ts";
import { longshore } from "./commands.ts";
import { BrokenPipe, type Cli, type Io, UsageError, write } from "./context.ts";
import { findCommand, helpOf, runTarget, wantsHelp } from "./dispatch.ts";
import { EXIT } from "./exit-codes.ts";
import { failureOf } from "./failure.ts";
import { linkHome } from "./home.ts";

/** Runs one command line (without the program's own name) to its end; resolves with the exit code. */
export async function runCli(argv: string[], io: Io): Promise<number> {
  // A failed write is reported to its writer as well; without a listener it would end the process with a stack.
  for (const stream of [io.stdout, io.stderr]) stream.on("error", () => undefined);
  const end = argv.indexOf("--");
  const { values } = readArgs(
    argv.slice(0, end < 0 ? undefined : end),
    { ...GLOBAL_FLAGS, version: { type: "boolean" } },
    false,
  );
  const json = values.json === true;
  try {
    if (values.version === true) {
      await write(io.stdout, `${ownVersion()}\n`);
      return EXIT.ok;
    }
    const target = await findCommand(longshore, argv);
    if (wantsHelp(argv)) {
      await write(io.stdout, `${await helpOf(target.command)}\n`);
      return EXIT.ok;
    }
    if (target.command.subCommands) {
      // Reached without a word that names a command: what is there may still be an unknown flag.
      readArgs(target.args, GLOBAL_FLAGS);
      await write(io.stderr, `${await helpOf(target.command)}\n`);
      return EXIT.usage;
    }
    if (values.endpoint === true) throw new UsageError("--endpoint lacks its value");
    const endpoint = typeof values.endpoint === "string" ? values.endpoint : io.env.LONGSHORE_ENDPOINT || undefined;
    await using home = linkHome({ endpoint, io });
    const color = values["no-color"] !== true;
    return await runTarget(target, makeCli({ io, home, json, color }));
  } catch (thrown) {
    if (thrown instanceof BrokenPipe) return EXIT.brokenPipe;
    const failure = failureOf(thrown);
    const text = json ? JSON.stringify(failure.document) : `longshore: ${failure.lines.join("\n")}`;
    await write(io.stderr, `${text}\n`).catch(ignoreBrokenPipe);
    return failure.exitCode;
  }
}

function makeCli({ io, home, json, color }: { color: boolean } & Pick<Cli, "io" | "home" | "json">): Cli {
  return {
    io,
    home,
    json,
    print: (line) => write(io.stdout, `${line}\n`),
    note: (line) => write(io.stderr, `${line}\n`).catch(ignoreBrokenPipe),
    paint: (style, text, where = "stdout") => (color ? styleText(style, text, { stream: io[where] }) : text),
  };
}

/** Nobody reads the standard error any more: there is no one left to tell. */
function ignoreBrokenPipe(thrown: unknown): void {
  if (!(thrown instanceof BrokenPipe)) throw thrown;
}

function ownVersion(): string {
  const file = findPackageJSON(import.meta.url);
  if (file === undefined) throw new Error("the package.json of longshore is missing");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
