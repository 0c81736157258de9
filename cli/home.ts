import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Settings } from "../local/settings.ts";
import {
  type Auth,
  type ClientOptions,
  ConnectionError,
  createClient,
  type Health,
  type LongshoreClient,
  type Trace,
} from "../sdk/index.ts";
import { type EmbeddedHome, type Environment, type Io, UsageError } from "./context.ts";

/** The way to the Longshore that a command talks to. */
export interface HomeLink extends AsyncDisposable {
  client: LongshoreClient;
  /** Whether this process hosts the engine itself; known after the first call. */
  embedded(): boolean;
}

export interface LinkOptions {
  /** The address that the user gave; undefined: the local home. */
  endpoint: string | undefined;
  io: Pick<Io, "env" | "openHome">;
  /** How long a home that was lost may take to come back before this process hosts one itself, milliseconds. */
  returnMs?: number;
  /** How long the data directory may be held by a home that is starting, or takes its 10 s to stop, milliseconds. */
  lockedMs?: number;
}

const PROBE_MS = 2000;
const RETRY_MS = 100;
const PRINTABLE = /^[\x20-\x7e]{1,4096}$/;

/**
 * Links to the endpoint that was given, else to the local home: the running one if it answers, else one that is hosted
 * in this process until the link is disposed of. A home that stops answering is looked for again.
 * Requests to an endpoint are signed as LONGSHORE_AUTH says: `aws`, `none`, or by default those to a host of API Gateway.
 * @throws UsageError for an endpoint that is none, or one that cannot be signed for.
 */
export function linkHome({ endpoint, io, returnMs = 3000, lockedMs = 15_000 }: LinkOptions): HomeLink {
  let hosted: EmbeddedHome | undefined;
  let place: Promise<string> | undefined;
  let wasLost = false;
  const resolve = async () => {
    const { readSettings } = await import("../local/settings.ts");
    const settings = readSettings(io.env);
    const began = Date.now();
    for (;;) {
      const running = await findRunning(settings);
      if (running !== undefined) return running;
      const waitedMs = Date.now() - began;
      if (!wasLost || waitedMs >= returnMs) {
        try {
          hosted = await io.openHome(embeddedSettings(settings));
          return hosted.url;
        } catch (thrown) {
          if (!isLocked(thrown) || waitedMs >= lockedMs) throw thrown;
        }
      }
      await sleep(RETRY_MS);
    }
  };
  const local = {
    url: () => {
      place ??= resolve().catch((thrown: unknown) => {
        place = undefined;
        throw thrown;
      });
      return place;
    },
    lost: () => {
      // What this process hosts itself cannot move.
      if (hosted) return;
      wasLost = true;
      place = undefined;
    },
  };
  return {
    // The local home knows no callers: only what the user named may have to be signed for.
    client: checkedClient({
      endpoint: endpoint ?? local,
      auth: endpoint === undefined ? "none" : authOf(io.env),
      trace: traceOf(io.env),
    }),
    embedded: () => hosted !== undefined,
    [Symbol.asyncDispose]: async () => {
      await hosted?.close();
    },
  };
}

/** `aws`: the region is that of the endpoint's host, or where it tells none, of the environment. */
function authOf({ LONGSHORE_AUTH: said, AWS_REGION, AWS_DEFAULT_REGION }: Environment): Auth {
  if (!said) return "auto";
  if (said === "none") return "none";
  if (said !== "aws") throw new UsageError("LONGSHORE_AUTH must be aws or none");
  const region = AWS_REGION || AWS_DEFAULT_REGION;
  return region ? { region } : {};
}

/** The trace that this command is a part of, as those hand it on who start programs; Longshore checks it. */
function traceOf({ TRACEPARENT: traceparent, TRACESTATE: tracestate }: Environment): Trace | undefined {
  // What cannot be a header would fail every submission.
  if (traceparent === undefined || !PRINTABLE.test(traceparent)) return undefined;
  return tracestate && PRINTABLE.test(tracestate) ? { traceparent, tracestate } : { traceparent };
}

function checkedClient(options: ClientOptions): LongshoreClient {
  try {
    return createClient(options);
  } catch (thrown) {
    if (thrown instanceof TypeError) throw new UsageError(thrown.message, thrown);
    throw thrown;
  }
}

/** A home for one command listens where nobody looks for it, and keeps quiet unless the user wants its log. */
function embeddedSettings(settings: Settings): Settings {
  const logLevel = settings.environment.LONGSHORE_LOG_LEVEL ? settings.logLevel : "warn";
  return { ...settings, port: 0, logLevel };
}

/**
 * The URL of a running home: the one that the data directory names; else the one on the port, unless the user chose
 * another data directory and no port, for then a home on the usual port is somebody else's.
 */
async function findRunning({ environment, home, port }: Settings): Promise<string | undefined> {
  const named = await readEndpoint(join(home, "endpoint.json"));
  if (named !== undefined && (await answers(named))) return named;
  if (environment.LONGSHORE_HOME && !environment.LONGSHORE_PORT) return undefined;
  const usual = `http://127.0.0.1:${port}`;
  return port !== 0 && (await answers(usual)) ? usual : undefined;
}

async function readEndpoint(file: string): Promise<string | undefined> {
  try {
    const { url } = JSON.parse(await readFile(file, "utf8")) as { url?: unknown };
    return typeof url === "string" ? url : undefined;
  } catch (thrown) {
    // No home ever ran here, or one is just writing the file.
    if (thrown instanceof SyntaxError || (thrown as { code?: string }).code === "ENOENT") return undefined;
    throw thrown;
  }
}

/** Whether a Longshore, well or not, answers there. */
async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(new URL("/api/v1/health", url), { signal: AbortSignal.timeout(PROBE_MS) });
    const health = (await response.json()) as Partial<Health>;
    return typeof health.ok === "boolean" && typeof health.version === "string";
  } catch {
    // Whatever is wrong with what answers there, it is not the home that is looked for.
    return false;
  }
}

/** Another process holds the data directory: a home that is starting, or the engine of another command. */
function isLocked(thrown: unknown): boolean {
  const code = (thrown as { code?: unknown } | null)?.code;
  return !(thrown instanceof ConnectionError) && (code === "CONFLICT" || code === "UNAVAILABLE");
}
