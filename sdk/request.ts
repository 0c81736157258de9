import { type Auth, isLoopback } from "./auth.ts";
import { ConnectionError, problemOf } from "./errors.ts";
import { type Query, queryString } from "./query.ts";
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
  /** Where a home in AWS has the WebSockets of logs: the stack's output `LogStreamUrl`. Default: below the endpoint. */
  logStreamUrl?: string;
  /** Signs in the place of `auth`: called last; returns all the headers to send. A WebSocket takes none of them. */
  sign?: (request: UnsignedRequest) => Promise<Record<string, string>> | Record<string, string>;
}

export interface Call {
  query?: Query;
  /** Sent as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** The call may be made again when its answer was lost. Default: what the method says. */
  repeatable?: boolean;
  /** `manual`: a redirect is an answer like any other. Default: followed, unless the request is signed. */
  redirect?: "manual";
  /** Statuses beyond 2xx that count as an answer. */
  accept?: readonly number[];
}

/** A WebSocket to open: its path below the API; a WebSocket API of AWS has no paths and wants the job's id. */
export interface SocketCall {
  path: string;
  jobId: string;
  query: Query;
}

type Method = "GET" | "POST" | "DELETE";

/** Sends one call and returns a successful answer. */
export interface Transport {
  send(method: Method, path: string, call?: Call): Promise<Response>;
  json<T>(method: Method, path: string, call?: Call): Promise<T>;
  /**
   * The address of a WebSocket, signed where that is wanted.
   * @throws TypeError where it cannot be told: an API Gateway has it elsewhere, see `logStreamUrl`.
   */
  socketUrl(call: SocketCall): Promise<URL>;
  /**
   * Gets bytes, also from elsewhere: where the answer sends to another address, that one is asked by the call's own headers
   * and nothing else, no credentials, no signature and none of the client's headers.
   */
  fetchThrough(path: string, call: Pick<Call, "headers" | "signal">): Promise<Response>;
  text(method: Method, path: string, call?: Call): Promise<string>;
  /** Tells that an answer broke off. */
  lost(): void;
}

const MAX_TRIES = 3;
/** Those that keep the method. */
const REDIRECTS: readonly number[] = [307, 308];

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
  if (options.logStreamUrl !== undefined && !/^(ws|http)s?:$/.test(URL.parse(options.logStreamUrl)?.protocol ?? "")) {
    throw new TypeError("logStreamUrl must be a ws or wss URL");
  }
  const fetchIt = options.fetch ?? globalThis.fetch;

  async function sendOnce(method: string, path: string, call: Call): Promise<Sent> {
    const url = new URL(apiRoot(await source.url()) + path);
    url.search = queryString(call.query ?? {});
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const headers = lowerCased({ accept: "application/json", ...options.headers, ...call.headers });
    if (body !== undefined) headers["content-type"] = "application/json";
    return await sender.send({ method, url, headers, body }, dispatchWith(call));
  }

  function dispatchWith({ signal, redirect: wanted }: Call): Dispatch {
    return async ({ method, url, headers, body }, usual) => {
      const redirect = wanted ?? usual;
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

  async function socketUrl({ path, jobId, query }: SocketCall): Promise<URL> {
    const { logStreamUrl } = options;
    const url = new URL(
      logStreamUrl === undefined ? apiRoot(await source.url()) + path : logStreamUrl.replace(/^ws/, "http"),
    );
    url.search = queryString(logStreamUrl === undefined ? query : { jobId, ...query });
    const signed = await sender.presign(url, logStreamUrl !== undefined);
    signed.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return signed;
  }

  async function fetchThrough(path: string, call: Pick<Call, "headers" | "signal">): Promise<Response> {
    // Its bytes are counted by the caller, who asks again for what is missing.
    const once = { ...call, repeatable: false, redirect: "manual", accept: REDIRECTS } as const;
    const response = await exchange(["GET", path, once], async (answer) => answer);
    if (!REDIRECTS.includes(response.status)) return response;
    await response.body?.cancel();
    const target = redirectTarget(response);
    const { headers = {}, signal } = call;
    const request = { method: "GET", url: target, headers: lowerCased(headers), body: undefined };
    const there = await dispatchWith({ signal, redirect: "manual" })(request, "manual");
    if (there.ok) return there;
    throw await problemOf(there);
  }

  return {
    socketUrl,
    fetchThrough,
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

/** One header for each name, the later one: two that differ in their case would be joined on the way. */
function lowerCased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** Where an answer sends to. @throws ConnectionError unless that is an address which nobody on the way can change. */
function redirectTarget(response: Response): URL {
  const location = response.headers.get("location") || undefined;
  const url = location === undefined ? null : URL.parse(location, response.url);
  const isOpen = url?.protocol === "http:" && (isLoopback(url) || url.origin === new URL(response.url).origin);
  if (url === null || url.username !== "" || !(url.protocol === "https:" || isOpen)) {
    throw new ConnectionError("Longshore sends to an address that is none, or not encrypted");
  }
  return url;
}

function reason(thrown: unknown): string {
  const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === "string" ? ` (${code})` : "";
}
