import { type ErrorCode, LongshoreError } from "../../../engine/errors.ts";
import type { Launch } from "../../../engine/ports/runtime.ts";
import { registryOf } from "./spec.ts";

const MAX_MESSAGE = 300;
/** Shorter values than this would turn every second word of a message into asterisks. */
const MIN_MASKED = 4;
const MASK = "***REDACTED***";
/** Node's codes for a peer that is not there, goes away, or lets nobody in. */
const NO_ANSWER: Readonly<Record<string, string>> = {
  ENOENT: "there is no socket",
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection broke",
  EPIPE: "the connection broke",
  EACCES: "no permission to use the socket",
  EPERM: "no permission to use the socket",
  ETIMEDOUT: "the connection timed out",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the host cannot be reached",
  ENOTFOUND: "the host is not known",
  EAI_AGAIN: "the host is not known",
  ENOTSOCK: "the path is no socket",
  ENOTDIR: "there is no socket",
};

interface EngineRefusal {
  statusCode: number;
  json?: unknown;
  message: string;
}

/** The HTTP status with which the engine refused; undefined when it did not answer. */
export function httpStatus(error: unknown): number | undefined {
  const status = (error as Partial<EngineRefusal> | null)?.statusCode;
  return typeof status === "number" ? status : undefined;
}

/** The engine's own words for a refusal. */
export function engineMessage(error: unknown): string {
  const { json, message } = error as EngineRefusal;
  const said = (json as { message?: unknown } | null | undefined)?.message;
  if (typeof said === "string") return said;
  return String(message ?? error).replace(/^\(HTTP code \d+\) [^-]* - /, "");
}

/** An engine that does not answer, as an error that says why, without the path of its socket. */
export function unreachable(error: unknown): LongshoreError {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const why = NO_ANSWER[code];
  const message = `Docker does not answer: ${why ?? "the connection failed"}`;
  return new LongshoreError("RUNTIME_UNAVAILABLE", message, { cause: error, providerCode: code || null });
}

/** Any other refusal of the engine; `doing` says what was asked of it. The engine's words may hold host paths. */
export function engineFailure(error: unknown, doing: string): LongshoreError {
  if (error instanceof LongshoreError) return error;
  const status = httpStatus(error);
  if (status === undefined) return unreachable(error);
  const code = status === 503 ? "RUNTIME_UNAVAILABLE" : "UNKNOWN";
  return new LongshoreError(code, `Docker could not ${doing} (HTTP ${status})`, { providerCode: String(status) });
}

/** What it says of its own end, and of that of the containerd below it. */
const GOES_AWAY =
  /ttrpc: closed|transport is closing|client connection is closing|context canceled|containerd\.sock|update store for object/i;

/**
 * Whether the engine went away while it was asked. It may have done what it was asked and have forgotten it since: it writes
 * down that a container runs only after its command was started.
 */
export function wentAway(error: unknown): boolean {
  if (httpStatus(error) !== undefined) return GOES_AWAY.test(engineMessage(error));
  return error instanceof LongshoreError && (error.providerCode === "ECONNRESET" || error.providerCode === "EPIPE");
}

const REFUSALS: readonly { pattern: RegExp; code: ErrorCode; say(match: RegExpExecArray, launch: Launch): string }[] = [
  {
    pattern: /no command specified/i,
    code: "VALIDATION",
    say: () => "the image has no default command: the spec must have command or args",
  },
  {
    pattern: /minimum memory limit allowed is (\w+)/i,
    code: "VALIDATION",
    say: (match) => `resources.memoryMiB: Docker's minimum is ${match[1]}`,
  },
  {
    pattern: /range of cpus is from ([\d.]+) to ([\d.]+)/i,
    code: "VALIDATION",
    say: (match) => `resources.cpu: Docker has ${match[1]} to ${match[2]} CPUs to give`,
  },
  {
    pattern: /unable to find (user|group)|no matching entries in (passwd|group) file/i,
    code: "VALIDATION",
    say: (_, { spec }) => `user: the image has no user or group "${spec.user ?? "as it names itself"}"`,
  },
  {
    pattern: /bind source path does not exist/i,
    code: "VALIDATION",
    say: () => "volumes: a source does not exist where Docker runs",
  },
  {
    pattern: /duplicate mount point/i,
    code: "VALIDATION",
    say: () => "volumes: two volumes have the same target",
  },
  {
    pattern: /invalid mount (config|path)|to rootfs at|mountpoint for/i,
    code: "VALIDATION",
    say: () => "volumes: Docker cannot mount a volume at its target",
  },
  {
    pattern: /unknown capability/i,
    code: "VALIDATION",
    say: () => "security.addCapabilities: Docker does not know a capability",
  },
  {
    pattern: /invalid environment variable|environment variable value can't/i,
    code: "VALIDATION",
    say: () => "env: Docker does not take a variable's name or value",
  },
  {
    pattern: /argument list too long/i,
    code: "VALIDATION",
    say: () => "command, args or env are longer than the kernel takes",
  },
  {
    pattern: /working directory|cannot mkdir|chdir to cwd/i,
    code: "VALIDATION",
    say: (_, { spec }) => `workdir: "${spec.workdir ?? "as the image has it"}" is no directory of the image`,
  },
  {
    pattern: /executable file not found|exec:? .*(no such file|permission denied|format error|is a directory)/i,
    code: "USER_CODE",
    say: (match, { spec }) => {
      const why = /permission denied|format error|directory$/i.test(match[0]) ? "cannot be executed" : "was not found";
      return `the command "${spec.command?.[0] ?? spec.args[0] ?? "of the image"}" ${why} in the image`;
    },
  },
  {
    pattern:
      /ttrpc: closed|transport is closing|client connection is closing|context canceled|containerd\.sock|update store for object|endpoint with name .* already exists/i,
    code: "RUNTIME_UNAVAILABLE",
    say: () => "Docker is shutting down, or its containerd is",
  },
  {
    pattern: /available, non-overlapping .*address pool/i,
    code: "RUNTIME_UNAVAILABLE",
    say: () => "Docker has no address range left for a network",
  },
];

/**
 * A refusal of the engine to create or start a container. Well-known ones get words of ours; the rest keep the
 * engine's, without values of the environment and without host paths. The original is no `cause`: it may hold both.
 */
export function refusal(error: unknown, launch: Launch): LongshoreError {
  if (error instanceof LongshoreError) return error;
  const status = httpStatus(error);
  if (status === undefined) return unreachable(error);
  const said = engineMessage(error);
  const details = { providerCode: String(status) };
  for (const { pattern, code, say } of REFUSALS) {
    const match = pattern.exec(said);
    if (match !== null) return new LongshoreError(code, say(match, launch), details);
  }
  const code = status === 400 ? "VALIDATION" : status === 503 ? "RUNTIME_UNAVAILABLE" : "UNKNOWN";
  return new LongshoreError(code, `Docker refused the container: ${harmless(said, launch)}`, details);
}

/**
 * Why an image could not be pulled. The engine has no codes for it, only the registry's words: what is refused is
 * AUTH, what is not known is NOT_FOUND, anything else went wrong on the way. "pull access denied … repository does
 * not exist or may require 'docker login'" heads several of them, so only what follows it counts.
 */
export function pullError(said: string, launch: Launch, status?: number): LongshoreError {
  const image = launch.spec.image ?? "";
  const details = { providerCode: status === undefined ? null : String(status) };
  const cause = said.replace(/^.*may require 'docker login':?/is, "");
  if (/invalid reference format|invalid tag|invalid checksum digest/i.test(said)) {
    return new LongshoreError("VALIDATION", `image: "${image}" is no valid reference`, details);
  }
  if (
    /unauthorized|no basic auth credentials|authentication required|incorrect username|forbidden|\b40[13]\b/i.test(
      cause,
    )
  ) {
    const verb = launch.registryAuth === undefined ? "wants credentials for" : "refused the credentials for";
    return new LongshoreError("AUTH", `the registry ${registryOf(image)} ${verb} ${image}`, details);
  }
  if (
    /manifest unknown|name unknown|not found|no such image|no matching manifest|does not match the specified platform/i.test(
      cause,
    )
  ) {
    // A host that has no address is not an image that the registry does not know.
    if (!/dial tcp|lookup|no such host/i.test(cause)) {
      return new LongshoreError(
        "NOT_FOUND",
        `the registry ${registryOf(image)} does not know the image ${image}`,
        details,
      );
    }
  }
  if (/denied/i.test(said)) {
    const message = `the registry ${registryOf(image)} denies access to ${image}: it does not exist there, or it needs other credentials`;
    return new LongshoreError("AUTH", message, details);
  }
  return new LongshoreError("IMAGE_PULL", `${image} could not be pulled: ${harmless(cause.trim(), launch)}`, details);
}

/** A message of the engine without values of the environment, credentials and paths that the spec does not name. */
function harmless(said: string, launch: Launch): string {
  const { registryAuth, spec } = launch;
  const credentials = registryAuth === undefined ? [] : [registryAuth.username, registryAuth.password];
  const values = [...launch.secretValues, ...Object.values(launch.env), ...credentials]
    .filter((value) => value.length >= MIN_MASKED)
    .sort((one, other) => other.length - one.length);
  let text = said;
  for (const value of values) text = text.replaceAll(value, MASK);
  const known = [spec.workdir, ...(spec.command ?? []), ...spec.args, ...spec.volumes.map((volume) => volume.target)];
  text = text.replace(/(?<![\w/:.])\/[^\s"',:;)]+/g, (path) => (known.includes(path) ? path : "(path)"));
  text = text.replace(/\s+/g, " ").trim();
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text;
}
