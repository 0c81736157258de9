import { setTimeout as delay } from "node:timers/promises";
import type { CloudWatchLogsClient, GetLogEventsCommandOutput, OutputLogEvent } from "@aws-sdk/client-cloudwatch-logs";
import type { LogOptions, RuntimeLine } from "../../../engine/ports/runtime.ts";
import { awsCode } from "../../aws/errors.ts";
import { ecsFailure } from "./refusals.ts";

/** What the awslogs driver cuts lines at: https://docs.docker.com/engine/logging/drivers/awslogs/ */
const MAX_EVENT_BYTES = 262_118;

export interface Stream {
  client: CloudWatchLogsClient;
  logGroup: string;
  logStream: string;
  /** Between two reads at the end of the log of a task that goes on, ms. */
  pollMs: number;
  /** Whether all of the log is there: the task has ended, and long enough ago. Asked before the read that shall be the last. */
  isComplete(): Promise<boolean>;
  /** Aborted when the adapter is disposed of. */
  closing: AbortSignal;
}

/**
 * The lines of a task's log stream, numbered from its beginning. The awslogs driver writes both streams of a container
 * into one and says of no line which it came from: all are `stdout`. It leaves empty lines out and cuts very long ones.
 * @throws LongshoreError RUNTIME_UNAVAILABLE when CloudWatch Logs does not answer, UNKNOWN when it refuses.
 */
export async function* readStream(stream: Stream, options: LogOptions): AsyncGenerator<RuntimeLine[], void, undefined> {
  const { follow = false, after = 0, signal } = options;
  const ending = signal === undefined ? stream.closing : AbortSignal.any([signal, stream.closing]);
  let n = 0;
  let token: string | undefined;
  const pieces = createPieces();
  const numbered = (lines: Piece[]): RuntimeLine[] =>
    lines.flatMap((line): RuntimeLine[] => {
      n += 1;
      return n > after ? [{ n, stream: "stdout", ...line }] : [];
    });
  for (;;) {
    ending.throwIfAborted();
    // In this order: what is written until the task has ended is read after that was seen.
    const complete = !follow || (await stream.isComplete());
    for (;;) {
      const page = await readPage(stream, token);
      const lines = numbered(pieces.take(page?.events ?? []));
      ending.throwIfAborted();
      if (lines.length > 0) yield lines;
      const next = page?.nextForwardToken;
      // The same token again is the end of what is there; a page may be empty and not be it.
      const ended = next === undefined || next === token;
      token = next ?? token;
      if (ended) break;
    }
    if (complete) {
      const rest = numbered(pieces.end());
      if (rest.length > 0) yield rest;
      return;
    }
    await delay(stream.pollMs, undefined, { signal: ending }).catch(() => ending.throwIfAborted());
  }
}

type Piece = Pick<RuntimeLine, "time" | "text" | "around">;

/** Makes lines of events; one that was cut is given when the one behind it is there, since a value may reach into it. */
function createPieces() {
  let held: OutputLogEvent | undefined;
  let before: string | undefined;
  const toPiece = ({ timestamp = 0, message = "" }: OutputLogEvent, after = ""): Piece => {
    const wasCut = isCut(message);
    const around =
      before === undefined && !wasCut ? {} : { around: { before: before ?? "", after: wasCut ? after : "" } };
    before = wasCut ? message : undefined;
    return { time: new Date(timestamp).toISOString(), text: message, ...around };
  };
  return {
    take(events: readonly OutputLogEvent[]): Piece[] {
      const all = held === undefined ? [...events] : [held, ...events];
      held = isCut(all.at(-1)?.message ?? "") ? all.pop() : undefined;
      return all.map((event, index) => toPiece(event, (all[index + 1] ?? held)?.message));
    },
    end(): Piece[] {
      const rest = held === undefined ? [] : [toPiece(held)];
      held = undefined;
      return rest;
    },
  };
}

/** Whether an event is as long as the driver makes them, up to a character. */
function isCut(message: string): boolean {
  return message.length >= (MAX_EVENT_BYTES - 3) / 3 && Buffer.byteLength(message) >= MAX_EVENT_BYTES - 3;
}

/** Undefined while there is no such stream: the container has not been started, or the log was removed. */
async function readPage(
  { client, logGroup, logStream }: Stream,
  nextToken: string | undefined,
): Promise<GetLogEventsCommandOutput | undefined> {
  const { GetLogEventsCommand } = await import("@aws-sdk/client-cloudwatch-logs");
  try {
    const input = { logGroupName: logGroup, logStreamName: logStream, startFromHead: true };
    return await client.send(new GetLogEventsCommand(nextToken === undefined ? input : { ...input, nextToken }));
  } catch (thrown) {
    if (awsCode(thrown) === "ResourceNotFoundException") return undefined;
    throw ecsFailure("reading a log", thrown);
  }
}
