import { parseArgs } from "node:util";
import { type ArgDef, type ArgsDef, type CommandDef, defineCommand } from "citty";
import { type Cli, UsageError } from "./context.ts";

/** A citty argument that may also be given more than once. */
export type FlagDef = ArgDef & { multiple?: boolean };
export type Flags = Record<string, FlagDef>;

/** The values of a command's flags by their names. */
export type Values<F extends Flags> = {
  [K in keyof F as F[K]["type"] extends "positional" ? never : K]: F[K] extends { multiple: true }
    ? string[]
    : F[K]["type"] extends "boolean"
      ? boolean
      : string | undefined;
};

export interface Input<F extends Flags> {
  flags: Values<F>;
  /** What stands before a `--`. */
  words: string[];
  /** What stands after it; undefined when there is none. */
  rest: string[] | undefined;
}

export interface Definition<F extends Flags> {
  name: string;
  description: string;
  args: F;
  /** Does the work; resolves with the exit code. */
  run(cli: Cli, input: Input<F>): Promise<number>;
}

/** Every command understands these. */
export const GLOBAL_FLAGS = {
  endpoint: { type: "string", valueHint: "url", description: "Which Longshore to use (LONGSHORE_ENDPOINT)" },
  json: { type: "boolean", description: "Answer in JSON: one document, or one a line when following" },
  "no-color": { type: "boolean", description: "No colours (NO_COLOR)" },
  help: { type: "boolean", alias: "h", description: "Show this" },
} as const satisfies Flags;

/** The positional that stands for what follows `--`. */
export const REST = "-- cmd…";

/** Defines a command whose flags are checked strictly. Context data of the citty command: the Cli. */
export function command<const F extends Flags>(definition: Definition<F>): CommandDef<ArgsDef> {
  const { name, description, args } = definition;
  return defineCommand<ArgsDef>({
    meta: { name, description },
    args: { ...args, ...GLOBAL_FLAGS },
    run: ({ rawArgs, data }) => definition.run(data as Cli, parse(rawArgs, args)),
  });
}

/**
 * Reads a command's words and flags. citty's own reader lets unknown flags through, keeps only the last of a repeated
 * one and drops the `--`; so its definitions are read with Node's.
 * @throws UsageError for a flag that is unknown or lacks its value, and for too many words; too few are citty's to tell.
 */
export function parse<F extends Flags>(rawArgs: string[], flags: F): Input<F> {
  const { values, tokens } = readArgs(rawArgs, { ...flags, ...GLOBAL_FLAGS });
  const end = tokens.find((token) => token.kind === "option-terminator")?.index ?? Number.POSITIVE_INFINITY;
  const words = tokens.flatMap((token) => (token.kind === "positional" ? [token] : []));
  const takesRest = REST in flags;
  const before = words.filter((word) => !takesRest || word.index < end).map((word) => word.value);
  const after = words.filter((word) => word.index > end).map((word) => word.value);
  checkWords(before, flags);
  const defaults = Object.fromEntries(
    Object.entries(flags).map(([name, flag]) => [
      name,
      flag.multiple ? [] : flag.type === "boolean" ? false : undefined,
    ]),
  );
  return {
    flags: { ...defaults, ...values } as Values<F>,
    words: before,
    rest: takesRest && end !== Number.POSITIVE_INFINITY ? after : undefined,
  };
}

/** Node's reading of a command line by citty's definitions. @throws UsageError */
export function readArgs(rawArgs: string[], flags: Flags, strict = true) {
  const options = Object.fromEntries(
    Object.entries(flags)
      .filter(([, flag]) => flag.type !== "positional")
      .map(([name, flag]) => {
        const short = [("alias" in flag && flag.alias) || []].flat().find((alias) => alias.length === 1);
        const type = flag.type === "boolean" ? ("boolean" as const) : ("string" as const);
        return [name, { type, multiple: flag.multiple ?? false, ...(short ? { short } : {}) }];
      }),
  );
  try {
    return parseArgs({ args: rawArgs, options, strict, allowPositionals: true, tokens: true });
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    // The first sentence says what is wrong; the others teach the use of `--`.
    const [first = ""] = thrown.message.split(/\.\s|\n/);
    throw new UsageError(first.replace(/\.$/, ""), thrown);
  }
}

function checkWords(words: string[], flags: Flags): void {
  const expected = Object.entries(flags).filter(([name, flag]) => flag.type === "positional" && name !== REST);
  const surplus = words[expected.length];
  if (surplus === undefined || expected.some(([, flag]) => flag.multiple)) return;
  const hint = REST in flags ? "; the container's command follows a --" : "";
  throw new UsageError(`unexpected word ${JSON.stringify(surplus)}${hint}`);
}
