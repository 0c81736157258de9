import { setTimeout as delay } from "node:timers/promises";
import type { CloudWatchLogsClient, GetLogEventsCommandOutput } from "@aws-sdk/client-cloudwatch-logs";
import type { LogOptions, RuntimeLine } from "../../../engine/ports/runtime.ts";
import { awsCode } from "../../aws/errors.ts";
import { ecsFailure } from "./refusals.ts";

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
  for (;;) {
    ending.throwIfAborted();
    // In this order: what is written until the task has ended is read after that was seen.
    const complete = !follow || (await stream.isComplete());
    for (;;) {
      const page = await readPage(stream, token);
      const lines: RuntimeLine[] = [];
      for (const { timestamp = 0, message = "" } of page?.events ?? []) {
        n += 1;
        if (n <= after) continue;
        lines.push({ n, time: new Date(timestamp).toISOString(), stream: "stdout", text: message });
      }
      ending.throwIfAborted();
      if (lines.length > 0) yield lines;
      const next = page?.nextForwardToken;
      // The same token again is the end of what is there; a page may be empty and not be it.
      const ended = next === undefined || next === token;
      token = next ?? token;
      if (ended) break;
    }
    if (complete) return;
    await delay(stream.pollMs, undefined, { signal: ending }).catch(() => ending.throwIfAborted());
  }
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
