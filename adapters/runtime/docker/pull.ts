import type { IncomingMessage } from "node:http";
import { LongshoreError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/ports/clock.ts";
import type { Launch } from "../../../engine/ports/runtime.ts";
import type { Engine } from "./client.ts";
import { engineMessage, httpStatus, pullError, unreachable } from "./errors.ts";
import { readJsonLines } from "./json-lines.ts";
import { imageReference, registryOf } from "./spec.ts";

/** At most five reports a second. */
const REPORT_EVERY_MS = 200;

interface PullMessage {
  id?: string;
  status?: string;
  progressDetail?: { current?: number; total?: number };
  error?: string;
  errorDetail?: { message?: string };
}

/**
 * Pulls the launch's image and reports how far it is. An abort ends the connection, upon which the engine stops.
 * @throws LongshoreError AUTH, NOT_FOUND, IMAGE_PULL, VALIDATION or RUNTIME_UNAVAILABLE; the signal's reason.
 */
export async function pullImage(
  engine: Engine,
  launch: Launch,
  options: { signal: AbortSignal; clock: Clock },
): Promise<void> {
  const { signal, clock } = options;
  const fromImage = imageReference(launch.spec.image ?? "");
  let stream: NodeJS.ReadableStream;
  try {
    stream = await engine.open(
      (client, abortSignal) => client.createImage(authOf(launch), { fromImage, abortSignal }),
      signal,
    );
  } catch (error) {
    const status = httpStatus(error);
    if (status === undefined) throw error;
    throw pullError(engineMessage(error), launch, status);
  }
  const stop = () => (stream as IncomingMessage).destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await followPull(stream, launch, clock);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof LongshoreError ? error : unreachable(error);
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
  signal.throwIfAborted();
}

/** The engine takes credentials for Docker's own registry under its old name only. */
function authOf({ registryAuth, spec }: Launch): object | undefined {
  if (registryAuth === undefined) return undefined;
  const host = registryOf(spec.image ?? "");
  const { username, password } = registryAuth;
  const serveraddress = registryAuth.serverAddress ?? (host === "docker.io" ? "https://index.docker.io/v1/" : host);
  return { username, password, serveraddress };
}

async function followPull(stream: NodeJS.ReadableStream, launch: Launch, clock: Clock): Promise<void> {
  const progress = createPullProgress();
  let reportedAt = Number.NEGATIVE_INFINITY;
  for await (const message of readJsonLines<PullMessage>(stream)) {
    const failure = message.errorDetail?.message ?? message.error;
    if (failure !== undefined) throw pullError(failure, launch);
    if (!progress.add(message) || clock() - reportedAt < REPORT_EVERY_MS) continue;
    reportedAt = clock();
    launch.report({ phase: "pulling", progress: progress.sum() });
  }
}

/** Adds up the layers of one pull. */
export function createPullProgress(): {
  /** Takes a message in; false when it tells no bytes. */
  add(message: PullMessage): boolean;
  sum(): { currentBytes: number; totalBytes: number };
} {
  const layers = new Map<string, { current: number; total: number }>();
  return {
    add({ id, status, progressDetail }) {
      if (id === undefined) return false;
      const layer = layers.get(id);
      if (status === "Download complete" && layer !== undefined) {
        layer.current = layer.total;
        return true;
      }
      // Extracting counts the same bytes once more.
      if (status !== "Downloading" || progressDetail?.current === undefined) return false;
      const total = Math.max(progressDetail.total ?? 0, progressDetail.current);
      layers.set(id, { current: progressDetail.current, total });
      return true;
    },
    sum() {
      let [currentBytes, totalBytes] = [0, 0];
      for (const { current, total } of layers.values()) {
        currentBytes += current;
        totalBytes += total;
      }
      return { currentBytes, totalBytes };
    },
  };
}
