import type { JobId } from "../../engine/ids.ts";
import { mintJobId } from "../../engine/ids.ts";
import { externalName } from "../../engine/naming.ts";
import type { ExternalRef, Launch, LogOptions, RuntimeAdapter, RuntimeLine } from "../../engine/ports/runtime.ts";
import { parseJobSpec } from "../../engine/spec/parse.ts";
import type { JobSpecInput } from "../../engine/spec/schema.ts";

/** What a test wants a job to do; the default translation is a busybox-compatible `sh -c`. */
export type Act =
  /** Writes the lines in order, each to its stream, then exits. */
  | { act: "print"; lines: readonly { stream: "stdout" | "stderr"; text: string }[]; exitCode: number }
  /** Writes `ready`, then sleeps. On SIGTERM it writes `bye` and exits 0 ("end"), or goes on ("ignore"). */
  | { act: "sleep"; onTerm: "end" | "ignore" }
  /** Leaves files with these texts, by paths relative to the working directory, then exits. */
  | { act: "leave"; files: Readonly<Record<string, string>> }
  /** Any script; `args` are its "$@". */
  | { act: "shell"; script: string; args?: readonly string[] };

export interface Program {
  command: string[];
  args: string[];
  env: Record<string, string>;
}

/** What is known about a runtime before it is set up: it decides which tests are registered. */
export interface RuntimeFacts {
  /** Put into every spec: what the runtime is to run, or its name where there is no image. */
  image?: string;
  runtime?: string;
  /** The timeout of one test in milliseconds; default 30,000. */
  testTimeoutMs?: number;
  /** How this runtime says it, when it is not by a shell. */
  translate?(act: Exclude<Act, { act: "shell" }>): Program;
  /** Tests that cannot hold here, by title; they are reported as data, and an unknown title is a failure. */
  cannot?: readonly { reason: string; tests: readonly string[] }[];
}

/** A runtime that is ready to be tested. */
export interface RuntimeHarness {
  /** Another adapter of a home on the same runtime; the suite disposes of it. */
  adapter(homeId: string): RuntimeAdapter | Promise<RuntimeAdapter>;
  /** What is still there of a home, seen past the adapter (containers, directories, processes). */
  leftovers(homeId: string): Promise<string[]>;
  /** Ends what the setup started. */
  dispose(): Promise<void>;
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function script(act: Act): string {
  switch (act.act) {
    case "shell":
      return act.script;
    case "leave":
      return Object.entries(act.files)
        .map(([path, text]) => `mkdir -p "$(dirname ${quote(path)})" && printf %s ${quote(text)} > ${quote(path)}`)
        .join("\n");
    case "print":
      return [
        ...act.lines.map((line) => `echo ${quote(line.text)}${line.stream === "stderr" ? " >&2" : ""}`),
        `exit ${act.exitCode}`,
      ].join("\n");
    case "sleep":
      return act.onTerm === "end"
        ? "trap 'echo bye; exit 0' TERM\necho ready\nsleep 1000 & wait"
        : "trap '' TERM\necho ready\nwhile :; do sleep 1000; done";
  }
}

/** The default translation of an act. */
function shellProgram(act: Act): Program {
  const args = act.act === "shell" ? [...(act.args ?? [])] : [];
  return { command: ["sh", "-c", script(act), "sh"], args, env: {} };
}

export interface LaunchOverrides {
  spec?: Partial<JobSpecInput>;
  env?: Record<string, string>;
  secretValues?: readonly string[];
  jobId?: JobId;
  attempt?: number;
  externalName?: string;
  dispatchedAt?: string;
  report?: Launch["report"];
  confirm?: Launch["confirm"];
}

/** A launch of a fresh job that does `act`. */
export function launchOf(facts: RuntimeFacts, act: Act, overrides: LaunchOverrides = {}): Launch {
  const program = act.act !== "shell" && facts.translate !== undefined ? facts.translate(act) : shellProgram(act);
  const spec = parseJobSpec({
    name: "contract",
    ...(facts.image === undefined ? {} : { image: facts.image }),
    ...(facts.runtime === undefined ? {} : { runtime: facts.runtime }),
    command: program.command,
    args: program.args,
    ...overrides.spec,
  });
  const jobId = overrides.jobId ?? mintJobId(Date.now());
  const attempt = overrides.attempt ?? 1;
  return {
    jobId,
    attempt,
    externalName: overrides.externalName ?? externalName(jobId, spec.name, attempt),
    spec,
    env: { ...program.env, ...overrides.env },
    dispatchedAt: overrides.dispatchedAt ?? new Date().toISOString(),
    secretValues: overrides.secretValues ?? [],
    report: overrides.report ?? (() => undefined),
    confirm: overrides.confirm ?? (async () => undefined),
  };
}

/** Every line of a reading; no batch of it is empty. */
export async function readLines(
  adapter: RuntimeAdapter,
  ref: ExternalRef,
  options: LogOptions = {},
): Promise<RuntimeLine[]> {
  const lines: RuntimeLine[] = [];
  for await (const batch of adapter.logs(ref, options)) {
    if (batch.length === 0) throw new Error("a batch of lines is empty");
    for (const line of batch) lines.push(line);
  }
  return lines;
}

/** The texts of one stream; Longshore's own remarks (`system`) are left out by default. */
export function texts(lines: readonly RuntimeLine[], stream?: RuntimeLine["stream"]): string[] {
  return lines
    .filter((line) => (stream === undefined ? line.stream !== "system" : line.stream === stream))
    .map((line) => line.text);
}

/** Resolves when the job has written a line with this text. */
export async function untilLine(adapter: RuntimeAdapter, ref: ExternalRef, text: string): Promise<RuntimeLine> {
  for await (const lines of adapter.logs(ref, { follow: true })) {
    const found = lines.find((line) => line.text === text);
    if (found !== undefined) return found;
  }
  throw new Error(`the log ended without the line ${text}`);
}
