import { setMaxListeners } from "node:events";
import { access, readFile } from "node:fs/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { join } from "node:path";
import { inspect } from "node:util";
import type Docker from "dockerode";
import type { DockerOptions } from "dockerode";
import { LongshoreError } from "../../../engine/errors.ts";
import { httpStatus, unreachable } from "./errors.ts";

/** For one answer of the engine: under load a create or a start may take many seconds. */
const CALL_LIMIT_MS = 120_000;
/** Docker's ports for the API with and without TLS. */
const TLS_PORT = 2376;
const PLAIN_PORT = 2375;

/** Where the engine is. The caller reads the environment; nothing here does. */
export interface EngineAddress {
  /** `DOCKER_HOST`: unix://, npipe://, tcp://, http:// or https://. Default: the first of the usual sockets. */
  dockerHost?: string;
  /** Sockets to try without a `dockerHost`; default `usualSockets()`. */
  sockets?: readonly string[];
  /** `DOCKER_CERT_PATH`: the directory of ca.pem, cert.pem and key.pem; makes a tcp:// address TLS. */
  certPath?: string;
}

/** One engine, connected when it is first asked. */
export interface Engine {
  /**
   * Asks for one answer, within `limitMs` milliseconds (120,000). The signal must be handed to the client.
   * @throws LongshoreError RUNTIME_UNAVAILABLE when the engine does not answer; its refusals as they come.
   */
  call<T>(work: (client: Docker, signal: AbortSignal) => Promise<T>, limitMs?: number): Promise<T>;
  /** Asks for a stream, which lasts until it or `signal` ends; errors as for `call`. */
  open(
    work: (client: Docker, signal: AbortSignal) => Promise<NodeJS.ReadableStream>,
    signal: AbortSignal,
  ): Promise<NodeJS.ReadableStream>;
  /** Whether it was ever asked for anything. */
  isUsed(): boolean;
  /** Ends every connection. Idempotent. */
  close(): void;
}

/** The sockets that an engine usually listens on, likeliest first. */
export function usualSockets(places: { home?: string | undefined; xdgRuntimeDir?: string | undefined } = {}): string[] {
  if (process.platform === "win32") return ["//./pipe/docker_engine"];
  const inHome = [
    ".docker/run/docker.sock",
    ".docker/desktop/docker.sock",
    ".colima/default/docker.sock",
    ".orbstack/run/docker.sock",
    ".rd/docker.sock",
  ];
  const { home, xdgRuntimeDir } = places;
  return [
    "/var/run/docker.sock",
    ...(xdgRuntimeDir === undefined ? [] : [join(xdgRuntimeDir, "docker.sock")]),
    ...(home === undefined ? [] : inHome.map((path) => join(home, path))),
  ];
}

/**
 * An engine at an address.
 * @throws LongshoreError VALIDATION for an address that cannot be understood.
 */
export function createEngine(address: EngineAddress): Engine {
  const fixed = address.dockerHost === undefined ? undefined : parseHost(address.dockerHost, address.certPath);
  const closing = new AbortController();
  // One listener a call that is under way.
  setMaxListeners(0, closing.signal);
  const agent = fixed?.protocol === "https" ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  // The client prints the options of every request for its debug log, whether that is on or not: with them the agent and
  // every connection in it, which with a hundred of them takes far longer than the request.
  Object.defineProperty(agent, inspect.custom, { value: () => "[Agent]" });
  let client: Promise<Docker> | undefined;

  const connect = async (): Promise<Docker> => {
    const { default: Client } = await import("dockerode");
    const options = fixed ?? { socketPath: await firstSocket(address.sockets ?? usualSockets()) };
    const tls = fixed?.protocol === "https" ? await certificates(address.certPath) : {};
    // The client reads DOCKER_HOST and its like by itself: whatever it could take from there is set here.
    const none = { host: undefined, port: undefined, protocol: "http", pathPrefix: "/", timeout: undefined };
    const { ca, cert, key } = { ca: undefined, cert: undefined, key: undefined, ...tls };
    return new Client({ ...none, ca, cert, key, ...options, agent } as DockerOptions);
  };
  const ready = async (): Promise<Docker> => {
    if (closing.signal.aborted) throw closed();
    client ??= connect().catch((error: unknown) => {
      // Docker may be started later, at another of the sockets: look again at the next call.
      client = undefined;
      throw error;
    });
    return await client;
  };
  const translate = (error: unknown): unknown => {
    if (closing.signal.aborted) return closed();
    return error instanceof LongshoreError || httpStatus(error) !== undefined ? error : unreachable(error);
  };

  return {
    async call<T>(work: (client: Docker, signal: AbortSignal) => Promise<T>, limitMs = CALL_LIMIT_MS): Promise<T> {
      const ending = new AbortController();
      const onClose = () => ending.abort(closed());
      closing.signal.addEventListener("abort", onClose);
      const late = () => ending.abort(unanswered(limitMs));
      const timer = setTimeout(late, limitMs);
      try {
        const docker = await ready();
        // The client never settles when an answer breaks off in its middle, so the limit must not rely on it.
        const ended = new Promise<never>((_, reject) => {
          ending.signal.addEventListener("abort", () => reject(ending.signal.reason), { once: true });
        });
        return await Promise.race([work(docker, ending.signal), ended]);
      } catch (error) {
        throw translate(ending.signal.aborted ? ending.signal.reason : error);
      } finally {
        clearTimeout(timer);
        closing.signal.removeEventListener("abort", onClose);
      }
    },
    async open(work, signal) {
      try {
        return await work(await ready(), AbortSignal.any([signal, closing.signal]));
      } catch (error) {
        signal.throwIfAborted();
        throw translate(error);
      }
    },
    isUsed: () => client !== undefined,
    close() {
      closing.abort();
      agent.destroy();
    },
  };
}

type Place = Pick<DockerOptions, "socketPath" | "host" | "port" | "protocol">;

function parseHost(text: string, certPath: string | undefined): Place {
  const path = /^(?:unix|npipe):\/\/(.+)$/.exec(text)?.[1];
  if (path !== undefined) return { socketPath: path };
  const url = /^(?:tcp|http|https):\/\//.test(text) ? URL.parse(text.replace(/^tcp:/, "http:")) : null;
  if (url === null || url.hostname === "") {
    // It is not repeated: a URL may hold a password.
    throw new LongshoreError(
      "VALIDATION",
      "DOCKER_HOST must be a unix://, npipe://, tcp://, http:// or https:// address",
    );
  }
  const secure = certPath !== undefined || url.protocol === "https:" || url.port === String(TLS_PORT);
  const port = url.port === "" ? (secure ? TLS_PORT : PLAIN_PORT) : Number(url.port);
  return { host: url.hostname, port, protocol: secure ? "https" : "http" };
}

async function firstSocket(candidates: readonly string[]): Promise<string> {
  for (const path of candidates) {
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) return path;
  }
  const message = "Docker does not answer: there is no socket at any of the usual places";
  throw new LongshoreError("RUNTIME_UNAVAILABLE", message, { providerCode: "ENOENT" });
}

async function certificates(folder: string | undefined): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer }> {
  if (folder === undefined) return {};
  const [ca, cert, key] = await Promise.all(
    ["ca.pem", "cert.pem", "key.pem"].map((name) => readFile(join(folder, name))),
  );
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

function closed(): LongshoreError {
  return new LongshoreError("RUNTIME_UNAVAILABLE", "the docker adapter was disposed of");
}

function unanswered(limitMs: number): LongshoreError {
  return new LongshoreError("RUNTIME_UNAVAILABLE", `Docker did not answer within ${limitMs / 1000} s`);
}
