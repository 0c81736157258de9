import { stripVTControlCharacters } from "node:util";
import { type ArgsDef, type CommandDef, type Resolvable, renderUsage, runCommand } from "citty";
import { type Flags, GLOBAL_FLAGS, readArgs } from "./command.ts";
import { type Cli, UsageError } from "./context.ts";

export interface Target {
  command: CommandDef<ArgsDef>;
  /** The command line without the words that lead to the command. */
  args: string[];
}

/**
 * Finds the command that a command line names, from a tree of lazily loaded ones; flags may stand before its words.
 * A group with a default stands for that command when no word follows.
 * @throws UsageError for an unknown command.
 */
export async function findCommand(root: CommandDef<ArgsDef>, argv: string[]): Promise<Target> {
  let command = root;
  let args = argv;
  for (;;) {
    const commands = await resolved(command.subCommands);
    if (!commands) return { command, args };
    const fallbackName = await resolved(command.default);
    const fallback = fallbackName === undefined ? undefined : await resolved(commands[fallbackName]);
    const flags = { ...((await resolved(fallback?.args)) ?? {}), ...GLOBAL_FLAGS } as Flags;
    const { tokens } = readArgs(args, flags, false);
    const word = tokens.find((token) => token.kind !== "option");
    if (word?.kind !== "positional") {
      if (!fallback || wantsHelp(args)) return { command, args };
      return { command: fallback, args };
    }
    const next = Object.hasOwn(commands, word.value) ? await resolved(commands[word.value]) : undefined;
    if (!next) {
      const known = Object.keys(commands).join(", ");
      throw new UsageError(`unknown command ${JSON.stringify(word.value)}; there are ${known}`);
    }
    args = [...args.slice(0, word.index), ...args.slice(word.index + 1)];
    command = next;
  }
}

/** Whether the command line asks for help rather than for work. */
export function wantsHelp(args: string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end).some((word) => word === "--help" || word === "-h");
}

/** A command's help, without colours: citty decides about them before it is known where the text goes. */
export async function helpOf(command: CommandDef<ArgsDef>): Promise<string> {
  return stripVTControlCharacters(await renderUsage(command))
    .replace(/ +$/gm, "")
    .trimEnd();
}

/** Runs a command that has no sub-commands; resolves with the exit code. */
export async function runTarget({ command, args }: Target, cli: Cli): Promise<number> {
  const { result } = await runCommand(command, { rawArgs: args, data: cli }).catch((thrown: unknown) => {
    if (thrown instanceof Error && thrown.name === "CLIError") {
      throw new UsageError(stripVTControlCharacters(thrown.message), thrown);
    }
    throw thrown;
  });
  return result as number;
}

function resolved<T>(value: Resolvable<T> | undefined): Promise<T | undefined> {
  return Promise.resolve(typeof value === "function" ? (value as () => T | Promise<T>)() : value);
}
