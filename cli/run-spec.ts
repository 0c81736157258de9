import type { Readable } from "node:stream";
import { parseEnv } from "node:util";
import type { JobSpecInput } from "../sdk/types.ts";
import type { Input } from "./command.ts";
import { type Environment, UsageError } from "./context.ts";
import type { RUN_FLAGS } from "./run-flags.ts";
import { parseSpecs, readInput } from "./spec-file.ts";
import { memoryMiB, pair, positiveNumber, timeoutSeconds, wholeNumber } from "./units.ts";

type Volume = NonNullable<JobSpecInput["volumes"]>[number];

/**
 * The spec that a `longshore run` asks for: the one of `--spec`, with the flags over it. Maps are merged key by key and
 * volumes by target; everything else is replaced. @throws UsageError
 */
export async function runSpec(
  { flags, words, rest }: Input<typeof RUN_FLAGS>,
  { env, stdin }: { env: Environment; stdin: Readable },
): Promise<JobSpecInput> {
  const base = flags.spec === undefined ? {} : await specFromFile(flags.spec, stdin);
  const image = words[0] ?? base.image;
  const runtime = flags.runtime ?? base.runtime;
  if (image === undefined && runtime !== "process") {
    throw new UsageError("an IMAGE is missing; without one name a --spec, or --runtime process and a command after --");
  }
  const variables = await environment(flags, { env, stdin });
  const secrets = Object.fromEntries(
    flags.secret.map((text) => pair("--secret", text, "K=SOURCE")).map(([key, from]) => [key, { from }]),
  );
  return {
    ...base,
    ...given("image", image),
    ...given("runtime", runtime),
    ...given("name", flags.name),
    ...commandLine(rest, image === undefined),
    // A variable has one origin: what a flag says about it replaces what the spec does.
    ...merged("env", without(base.env, secrets), variables),
    ...merged("secrets", without(base.secrets, variables), secrets),
    ...merged("labels", base.labels, Object.fromEntries(flags.label.map((text) => pair("--label", text)))),
    ...merged("resources", base.resources, {
      ...given("cpu", flags.cpu === undefined ? undefined : positiveNumber("--cpu", flags.cpu)),
      ...given("memoryMiB", flags.memory === undefined ? undefined : memoryMiB(flags.memory)),
    }),
    ...given("timeoutSeconds", flags.timeout === undefined ? undefined : timeoutSeconds(flags.timeout)),
    ...merged("retry", base.retry, retry(flags.retries)),
    ...(flags.artifact.length > 0 ? { artifacts: { ...base.artifacts, paths: flags.artifact } } : {}),
    ...volumes(base.volumes, flags.volume.map(volume)),
  };
}

async function specFromFile(file: string, stdin: Readable): Promise<JobSpecInput> {
  const [spec, ...others] = parseSpecs(file, await readInput(file, stdin));
  if (!spec || others.length > 0) throw new UsageError(`${file} holds several job specs; use jobs submit for those`);
  return spec;
}

/** The variables of the files, then those of the flags; `-e K` takes the caller's, and none when there is none. */
async function environment(
  flags: Pick<Input<typeof RUN_FLAGS>["flags"], "env" | "env-file">,
  { env, stdin }: { env: Environment; stdin: Readable },
): Promise<Record<string, string>> {
  const pairs: [string, string | undefined][] = [];
  for (const file of flags["env-file"]) pairs.push(...Object.entries(parseEnv(await readInput(file, stdin))));
  for (const text of flags.env) {
    if (text === "") throw new UsageError("-e needs K=V or K");
    pairs.push(text.includes("=") ? pair("-e", text) : [text, env[text]]);
  }
  return Object.fromEntries(pairs.filter((one): one is [string, string] => one[1] !== undefined));
}

/** What follows the `--`: arguments of an image, as `docker run` has them; the whole command where there is no image. */
function commandLine(rest: string[] | undefined, isProcess: boolean): Pick<JobSpecInput, "command" | "args"> {
  if (rest === undefined) return {};
  return isProcess ? { command: rest, args: [] } : { args: rest };
}

function retry(retries: string | undefined): NonNullable<JobSpecInput["retry"]> {
  if (retries === undefined) return {};
  return { maxAttempts: wholeNumber("--retries", retries, [0, 1000]) + 1 };
}

function volume(text: string): Volume {
  const [source, target, mode, ...more] = text.split(":");
  if (!source || !target || more.length > 0 || (mode !== undefined && mode !== "ro" && mode !== "rw")) {
    throw new UsageError(`-v ${JSON.stringify(text)} is not SRC:DST or SRC:DST:ro`);
  }
  return { source, target, readOnly: mode === "ro" };
}

function volumes(base: Volume[] | undefined, added: Volume[]): Pick<JobSpecInput, "volumes"> {
  if (added.length === 0) return {};
  const kept = Array.isArray(base) ? base.filter((one) => !added.some((other) => other.target === one.target)) : [];
  return { volumes: [...kept, ...added] };
}

function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}

function merged<K extends string, V extends object>(key: K, base: V | undefined, over: V): { [P in K]?: V } {
  if (Object.keys(over).length === 0) return base === undefined ? {} : ({ [key]: base } as { [P in K]: V });
  return { [key]: { ...base, ...over } } as { [P in K]: V };
}

function without<V>(map: Record<string, V> | undefined, keys: object): Record<string, V> | undefined {
  // A spec's `env` that is no map stays as it is: Longshore says what is wrong with it.
  if (typeof map !== "object" || map === null || Array.isArray(map)) return map;
  return Object.fromEntries(Object.entries(map).filter(([key]) => !Object.hasOwn(keys, key)));
}
