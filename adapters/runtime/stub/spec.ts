import { CATEGORIES, type Category, isCategory, type Violation } from "../../../engine/errors.ts";
import type { Launch, RuntimeCapabilities, RuntimeStatus } from "../../../engine/ports/runtime.ts";
import type { JobSpec } from "../../../engine/spec/schema.ts";

/** It keeps to nothing because it runs nothing: what a spec asks for besides its life is taken and left alone. */
export const CAPABILITIES: RuntimeCapabilities = {
  image: true,
  gpu: false,
  volumes: false,
  sidecars: false,
  initContainers: false,
  healthCheck: false,
  streamingLogs: true,
  artifacts: true,
  spot: false,
  placement: false,
  exec: false,
  cpuLimit: true,
  memoryLimit: true,
  diskLimit: true,
  user: true,
  workdir: true,
  readOnlyRoot: true,
  networkModes: ["none", "isolated"],
  addCapabilities: false,
  registryAuth: true,
};

/** What a stub job does, as its environment says. */
export interface Script {
  /** STUB_DURATION_MS: how long it runs, in milliseconds, or `forever`; default 0. */
  durationMs: number;
  /** STUB_EXIT_CODE: 0 to 255; default 0. */
  exitCode: number;
  /** STUB_STDOUT and STUB_STDERR: what it writes at its start; STUB_LINES: so many lines `line N` after them. */
  lines: readonly { stream: "stdout" | "stderr"; text: string }[];
  /**
   * STUB_ON_TERM: `die` (the default: exit code 143), `end` (writes `bye` and exits with 0), `ignore` (it is killed
   * after the grace: 137).
   */
  onTerm: "die" | "end" | "ignore";
  /** STUB_FILES: what it leaves, as JSON: the text of each file, or a number of zero bytes, by its absolute path. */
  files: Readonly<Record<string, string | number>>;
  /** STUB_CPU: how much CPU time it uses in a second, seconds; default 0. */
  cpu: number;
  /** STUB_MEMORY_BYTES: what it uses of memory; default 0. */
  memoryBytes: number;
  /** STUB_FAIL: the category with which its start fails. */
  fail: Category | null;
  /** STUB_END_WITH: the category with which the runtime ends it after its duration, such as OOM. */
  endWith: Category | null;
}

type Env = Readonly<Record<string, string>>;
const ON_TERM = ["die", "end", "ignore"] as const;
const MAX_DURATION_MS = 2_000_000_000;
const MAX_LINES = 100_000;

/** The variables that mean something, and what is wrong with a value; null when nothing is. */
const RULES: Readonly<Record<string, (value: string) => string | null>> = {
  STUB_DURATION_MS: (value) =>
    value === "forever" || isInteger(value, MAX_DURATION_MS)
      ? null
      : `must be milliseconds up to ${MAX_DURATION_MS} or forever`,
  STUB_EXIT_CODE: (value) => (isInteger(value, 255) ? null : "must be an integer from 0 to 255"),
  STUB_LINES: (value) => (isInteger(value, MAX_LINES) ? null : `must be an integer from 0 to ${MAX_LINES}`),
  STUB_ON_TERM: (value) => (ON_TERM.some((one) => one === value) ? null : `must be one of ${ON_TERM.join(", ")}`),
  STUB_FILES: (value) =>
    filesOf(value) === undefined ? "must be a JSON object of absolute paths with texts or sizes" : null,
  STUB_CPU: (value) =>
    /^\d{1,4}(\.\d{1,3})?$/.test(value) ? null : "must be a number below 10000 with at most three decimals",
  STUB_MEMORY_BYTES: (value) => (isInteger(value, 9_999_999_999) ? null : "must be an integer of at most ten digits"),
  STUB_FAIL: isCategoryRule,
  STUB_END_WITH: isCategoryRule,
  /** The two above hold for the attempts up to this number; default every one. */
  STUB_FAIL_ATTEMPTS: (value) => (isInteger(value, 100) ? null : "must be an integer from 0 to 100"),
};

/** What is wrong with the script in a spec's environment. */
export function violationsOf(spec: JobSpec): Violation[] {
  return Object.entries(RULES).flatMap(([name, rule]) => {
    const value = spec.env[name];
    const message = value === undefined ? null : rule(value);
    return message === null ? [] : [{ path: `env.${name}`, code: "invalid", message: `stub: ${name} ${message}` }];
  });
}

/** The script of a launch whose spec was checked. */
export function scriptOf({ env, attempt }: Launch): Script {
  const fails = attempt <= Number(env.STUB_FAIL_ATTEMPTS ?? attempt);
  const duration = env.STUB_DURATION_MS ?? "0";
  return {
    durationMs: duration === "forever" ? Number.POSITIVE_INFINITY : Number(duration),
    exitCode: Number(env.STUB_EXIT_CODE ?? 0),
    lines: linesOf(env),
    onTerm: ON_TERM.find((one) => one === env.STUB_ON_TERM) ?? "die",
    files: filesOf(env.STUB_FILES ?? "{}") ?? {},
    cpu: Number(env.STUB_CPU ?? 0),
    memoryBytes: Number(env.STUB_MEMORY_BYTES ?? 0),
    fail: fails ? categoryOf(env.STUB_FAIL) : null,
    endWith: fails ? categoryOf(env.STUB_END_WITH) : null,
  };
}

/** How the runtime's own verdict shows in a status. */
export function failureOf(category: Category): NonNullable<RuntimeStatus["failure"]> {
  return { category, message: `stub: the script says ${category}`, providerCode: "STUB" };
}

function linesOf(env: Env): Script["lines"] {
  const lines: { stream: "stdout" | "stderr"; text: string }[] = [];
  for (const [stream, text] of [
    ["stdout", env.STUB_STDOUT],
    ["stderr", env.STUB_STDERR],
  ] as const) {
    if (text !== undefined && text !== "") for (const one of text.split("\n")) lines.push({ stream, text: one });
  }
  const count = Number(env.STUB_LINES ?? 0);
  for (let n = 1; n <= count; n++) lines.push({ stream: "stdout", text: `line ${n}` });
  return lines;
}

function filesOf(json: string): Script["files"] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    // The rule says what is wrong with it, without quoting it.
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const isFile = ([path, content]: [string, unknown]) =>
    path.startsWith("/") && (typeof content === "string" || (Number.isSafeInteger(content) && Number(content) >= 0));
  return Object.entries(parsed).every(isFile) ? (parsed as Script["files"]) : undefined;
}

function isInteger(value: string, most: number): boolean {
  return /^\d{1,10}$/.test(value) && Number(value) <= most;
}

function isCategoryRule(value: string): string | null {
  return isCategory(value) ? null : `must be one of ${CATEGORIES.join(", ")}`;
}

function categoryOf(value: string | undefined): Category | null {
  return value !== undefined && isCategory(value) ? value : null;
}
