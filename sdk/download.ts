import { createHash } from "node:crypto";
import { ApiError, ChecksumError, ConnectionError } from "./errors.ts";
import type { Transport } from "./request.ts";
import type { Artifact } from "./types.ts";
import { backoffMs, sleep } from "./wait.ts";

export interface DownloadOptions {
  signal?: AbortSignal;
  /** Called before the rest is asked for, with what broke the connection. */
  onReconnect?: (error: Error) => void;
  /** Failures in a row, with no byte between, before giving up; default 5. */
  maxFailures?: number;
  /** Milliseconds to wait after the nth failure in a row; default: doubling from 0.1 s to 5 s. */
  backoffMs?: (failures: number) => number;
  /** Silence after which the connection counts as broken, milliseconds; default 60,000. */
  idleMs?: number;
}

interface Wanted {
  path: string;
  artifact: Artifact;
}

/**
 * The bytes of an artifact as they are stored (see its `encoding`), over as many connections as it takes: after a broken one
 * the rest is asked for. The hash is checked at the end: what was given before that may be wrong.
 * @throws ChecksumError when the bytes are not those of the artifact; ApiError when they are refused, ConnectionError when
 * they stay away, the signal's reason on abort.
 */
export async function* download(
  transport: Transport,
  { path, artifact }: Wanted,
  options: DownloadOptions,
): AsyncGenerator<Uint8Array, void> {
  const { sizeBytes, sha256, name } = artifact;
  const hash = createHash("sha256");
  let got = 0;
  let failures = 0;
  while (got < sizeBytes) {
    try {
      for await (const chunk of rest(transport, { path, from: got, sizeBytes }, options)) {
        got += chunk.length;
        if (got > sizeBytes) throw new ChecksumError(name, `there are more than its ${sizeBytes} bytes`);
        failures = 0;
        hash.update(chunk);
        yield chunk;
      }
      if (got < sizeBytes) throw new ConnectionError(`the artifact broke off after ${got} of ${sizeBytes} bytes`);
    } catch (thrown) {
      options.signal?.throwIfAborted();
      if (!mayPass(thrown)) throw thrown;
      failures += 1;
      if (failures >= (options.maxFailures ?? 5)) throw thrown;
      options.onReconnect?.(thrown);
      await sleep((options.backoffMs ?? backoffMs)(failures), options.signal);
    }
  }
  if (hash.digest("hex") !== sha256) throw new ChecksumError(name, "its bytes are not those that were stored");
}

function mayPass(thrown: unknown): thrown is ApiError | ConnectionError {
  if (thrown instanceof ConnectionError) return true;
  // 403: an address that was given away is good for minutes only; the next one is asked for.
  return thrown instanceof ApiError && (thrown.status >= 500 || thrown.status === 429 || thrown.status === 403);
}

/** What one connection gives, from a byte on. */
async function* rest(
  transport: Transport,
  { path, from, sizeBytes }: { path: string; from: number; sizeBytes: number },
  { signal, idleMs = 60_000 }: DownloadOptions,
): AsyncGenerator<Uint8Array, void> {
  const connection = new AbortController();
  const signals = signal ? [signal, connection.signal] : [connection.signal];
  let timer: NodeJS.Timeout | undefined;
  const watch = <R>(waiting: Promise<R>): Promise<R> => {
    timer = setTimeout(() => connection.abort(new ConnectionError(`no byte came for ${idleMs} ms`)), idleMs);
    return waiting.finally(() => clearTimeout(timer));
  };
  try {
    const headers: Record<string, string> = { accept: "*/*", "accept-encoding": "identity" };
    if (from > 0) headers.range = `bytes=${from}-`;
    const response = await watch(transport.fetchThrough(path, { headers, signal: AbortSignal.any(signals) }));
    checkPlace(response, from, sizeBytes);
    const reader = response.body?.getReader();
    for (;;) {
      const { done = true, value } = (await watch(reader?.read() ?? Promise.resolve({ done: true })).catch(
        brokeOff,
      )) as {
        done?: boolean;
        value?: Uint8Array;
      };
      if (done || value === undefined) return;
      yield value;
    }
  } finally {
    connection.abort();
  }
}

/** The answer has to be what was asked for: what begins elsewhere would be put in the wrong place. */
function checkPlace(response: Response, from: number, sizeBytes: number): void {
  if (from === 0 && response.status === 200) return;
  const range = response.headers.get("content-range");
  if (response.status === 206 && range === `bytes ${from}-${sizeBytes - 1}/${sizeBytes}`) return;
  throw new ApiError({
    type: "about:blank",
    title: "Not the range that was asked for",
    status: 502,
    code: "UNKNOWN",
    detail: `the answer does not go on with byte ${from}`,
  });
}

function brokeOff(thrown: unknown): never {
  throw thrown instanceof ConnectionError ? thrown : new ConnectionError("the artifact broke off", thrown);
}
