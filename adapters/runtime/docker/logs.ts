import type { IncomingMessage } from "node:http";
import type Docker from "dockerode";
import type { ExternalRef, LogOptions, RuntimeLine } from "../../../engine/ports/runtime.ts";
import type { Engine } from "./client.ts";
import { engineFailure, httpStatus } from "./errors.ts";
import { createLineReader } from "./lines.ts";

/**
 * The lines of a container's log. It is read from its beginning every time, since the numbers count from there; the
 * reader's own pace holds the engine back. `ended`: the container had ended before, so what is there is all.
 * @throws LongshoreError RUNTIME_UNAVAILABLE when the engine does not answer; UNKNOWN when it cannot read the log.
 */
export async function* readLog(
  engine: Engine,
  ref: ExternalRef,
  options: LogOptions & { ended: boolean },
): AsyncGenerator<RuntimeLine[], void, undefined> {
  const { follow = false, after = 0, ended } = options;
  const stopped = new AbortController();
  const signal = options.signal === undefined ? stopped.signal : AbortSignal.any([options.signal, stopped.signal]);
  let stream: NodeJS.ReadableStream | undefined;
  const stop = () => (stream as IncomingMessage | undefined)?.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    stream = await engine.open((client, abortSignal) => openLog(client, { ref, follow, abortSignal }), signal);
    const reader = createLineReader();
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      const lines = behind(reader.push(chunk), after);
      signal.throwIfAborted();
      if (lines.length > 0) yield lines;
      reader.check();
    }
    signal.throwIfAborted();
    const rest = behind(reader.end(), after);
    // Of a container that goes on, what has no newline yet is no line yet.
    if ((follow || ended) && rest.length > 0) yield rest;
  } catch (error) {
    signal.throwIfAborted();
    if (httpStatus(error) === 404 || httpStatus(error) === 409) return;
    throw engineFailure(error, "read a log");
  } finally {
    stopped.abort();
    stop();
  }
}

function behind(lines: RuntimeLine[], after: number): RuntimeLine[] {
  const first = lines[0];
  return first === undefined || first.n > after ? lines : lines.slice(after + 1 - first.n);
}

/** The client's own `logs` reads all of a log into memory unless it follows, so this asks below it. */
async function openLog(
  client: Docker,
  { ref, follow, abortSignal }: { ref: ExternalRef; follow: boolean; abortSignal: AbortSignal },
): Promise<NodeJS.ReadableStream> {
  return await new Promise((resolve, reject) => {
    const request = {
      path: `/containers/${ref}/logs?`,
      method: "GET",
      options: { stdout: true, stderr: true, timestamps: true, follow },
      isStream: true,
      abortSignal,
      statusCodes: { 200: true, 404: "no such container", 409: "conflict", 500: "server error" },
    };
    client.modem.dial(request, (error: unknown, stream: unknown) => {
      if (error) reject(error);
      else resolve(stream as NodeJS.ReadableStream);
    });
  });
}
