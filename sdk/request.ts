import type { Auth } from "./auth.ts";
import { ConnectionError, problemOf } from "./errors.ts";
import { refusalOf } from "./refusals.ts";
import { createSender, type Dispatch, type Sent } from "./sender.ts";
import { backoffMs, sleep } from "./wait.ts";

/** A request as a signer sees it: complete but for the signature. */
export interface UnsignedRequest {
  method: string;
  url: URL;
  /** By their names in lower case. */
  headers: Record<string, string>;
  body: string | undefined;
}

/** An endpoint that may move: asked before every request, and told when what it named did not answer. */
export interface EndpointSource {
  url(): Promise<string>;
  lost(): void;
}

export interface TransportOptions {
  /** The address of a Longshore, with or without `/api` or `/api/v1` at its end. */
  endpoint: string | EndpointSource;
  /** Sent with every request. */
  headers?: Record<string, string>;
  /** Default: the global fetch. */
  fetch?: typeof globalThis.fetch;
  /** Whether requests are signed for AWS's IAM. Default `auto`: those to an `execute-api` host of AWS are. */
  auth?: Auth;
  /** Signs in the place of `auth`: called last; returns all the headers to send. */
  sign?: (request: UnsignedRequest) => Promise<Record<string, string>> | Record<string, string>;
}

export interface Call {
  query?: Record<string, string | number | boolean | readonly string[] | undefined>;
  /** Sent as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** The call may be made again when its answer was lost. Default: what the method says. */
  repeatable?: boolean;
  /** Statuses beyond 2xx that count as an answer. */
  accept?: readonly number[];
}

type Method = "GET" | "POST" | "DELETE";

/** Sends one call and returns a successful answer. */
export interface Transport {
  send(method: Method, path: string, call?: Call): Promise<Response>;
  json<T>(method: Method, path: string, call?: Call): Promise<T>;
  text(method: Method, path: string, call?: Call): Promise<string>;
  /** Tells that an answer broke off. */
  lost(): void;
}

const MAX_TRIES = 3;

/**
 * Makes the transport of a client. A call that nobody answered is repeated up to twice when that is safe.
 * Calls throw ApiError for an error answer, ConnectionError when there was none, CredentialsError when a request cannot
 * be signed, and the signal's reason on abort.
 * @throws TypeError when the endpoint is no http(s) URL, carries credentials, or cannot be signed for as `auth` wants.
 */
export function createTransport(options: TransportOptions): Transport {
  const { endpoint } = options;
  const source: EndpointSource =
    typeof endpoint === "string" ? { url: async () => endpoint, lost: () => undefined } : endpoint;
  const sender = createSender(options);
  if (typeof endpoint === "string") sender.check(new URL(apiRoot(endpoint)));
  const fetchIt = options.fetch ?? globalThis.fetch;

  async function sendOnce(method: string, path: string, call: Call): Promise<Sent> {
    const url = new URL(apiRoot(await source.url()) + path);
    url.search = queryString(call.query ?? {});
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const headers = lowerCased({ accept: "application/json", ...options.headers, ...call.headers });
    if (body !== undefined) headers["content-type"] = "application/json";
    return await sender.send({ method, url, headers, body }, dispatchWith(call.signal));
  }

  function dispatchWith(signal: AbortSignal | undefined): Dispatch {
    return async ({ method, url, headers, body }, redirect) => {
      signal?.throwIfAborted();
      try {
        return await fetchIt(url, { method, headers, body: body ?? null, signal: signal ?? null, redirect });
      } catch (thrown) {
        signal?.throwIfAborted();
        source.lost();
        throw new ConnectionError(`cannot reach Longshore at ${url.origin}${reason(thrown)}`, thrown);
      }
    };
  }

  async function exchange<T>(request: [string, string, Call], read: (response: Response) => Promise<T>): Promise<T> {
    const [method, path, call] = request;
    const tries = (call.repeatable ?? method === "GET") ? MAX_TRIES : 1;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const sent = await sendOnce(method, path, call);
        const { response } = sent;
        if (response.ok || call.accept?.includes(response.status)) return await read(response);
        throw refusalOf(await problemOf(response), sent, Date.now());
      } catch (thrown) {
        if (!(thrown instanceof ConnectionError) || attempt >= tries) throw thrown;
        await sleep(backoffMs(attempt), call.signal);
      }
    }
  }

  async function readText(response: Response, signal: AbortSignal | undefined): Promise<string> {
    return await response.text().catch((thrown: unknown) => {
      signal?.throwIfAborted();
      source.lost();
      throw new ConnectionError(`the answer of Longshore at ${new URL(response.url).origin} broke off`, thrown);
    });
  }

  async function readJson<T>(response: Response, signal: AbortSignal | undefined): Promise<T> {
    const text = await readText(response, signal);
    try {
      return JSON.parse(text) as T;
    } catch (thrown) {
      throw new ConnectionError(`what answered at ${new URL(response.url).origin} is no Longshore`, thrown);
    }
  }

  return {
    send: (method, path, call = {}) => exchange([method, path, call], async (response) => response),
    json: (method, path, call = {}) => exchange([method, path, call], (response) => readJson(response, call.signal)),
    text: (method, path, call = {}) => exchange([method, path, call], (response) => readText(response, call.signal)),
    lost: () => source.lost(),
  };
}

/** The URL below which the routes are. A stage that is named `api` already has the first part of the base path. */
function apiRoot(endpoint: string): string {
  const url = URL.parse(endpoint);
  if (!url || !/^https?:$/.test(url.protocol)) throw new TypeError("the endpoint must be an http or https URL");
  if (url.username || url.password) throw new TypeError("the endpoint must not carry credentials");
  const root = url.pathname
    .replace(/\/+$/, "")
    .replace(/\/v1$/, "")
    .replace(/\/api$/, "");
  return `${url.origin}${root}/api/v1`;
}

/**
 * Encoded as a signature wants it, so that what is sent is what is signed; a space is `%20`, not a plus, which nobody
 * on the way can take for another thing.
 */
function queryString(query: NonNullable<Call["query"]>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${encode(name)}=${encode(String(one))}`),
  );
  return pairs.join("&");
}

function encode(text: string): string {
  const hex = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text.toWellFormed()).replace(/[!'()*]/g, hex);
}

/** One header for each name, the later one: two that differ in their case would be joined on the way. */
function lowerCased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function reason(thrown: unknown): string {
  const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === "string" ? ` (${code})` : "";
}
