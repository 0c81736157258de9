import type { EngineContext } from "../engine/context.ts";
import type { JobId } from "../engine/ids.ts";
import { readJob } from "../engine/ledger/read.ts";
import type { JobRecord } from "../engine/ledger/records.ts";
import { describeWholeJob } from "../engine/operations/describe.ts";
import type { LogLine } from "../engine/operations/log-line.ts";
import { followLogs, readLogs } from "../engine/operations/read-logs.ts";
import { type ApiEvent, header } from "./http.ts";
import { type LogParams, lastEventId, logParams } from "./params.ts";
import { firstSeq, selectLines } from "./query.ts";
import type { SseMessage } from "./sse.ts";
import type { StreamDeps } from "./stream.ts";

/** What is asked of a log that is followed; `resumed`: the last line that the reader has. */
export type LogQuery = LogParams & { resumed?: number };

/** One reader: the job, and the signal that aborts when he has gone. */
export interface LogReader {
  job: JobRecord;
  signal: AbortSignal;
  /** Told how far the log was read, before what was read is given: a seq, also of lines that were not asked for. */
  onRead?(seq: number): void;
}

/**
 * What a request asks of a log, checked before the answer begins. Who cannot send headers says his last line as
 * `lastEventId`.
 * @throws LongshoreError VALIDATION.
 */
export function logQuery(event: ApiEvent): LogQuery {
  const resumed = lastEventId(header(event, "last-event-id") ?? event.queryStringParameters?.lastEventId);
  return resumed === undefined ? logParams(event) : { ...logParams(event), resumed };
}

/** The messages of a log, batch by batch, from what is asked on until the job has ended. */
export async function* logMessages(
  { ctx, changes, live }: Required<Pick<StreamDeps, "ctx" | "changes" | "live">>,
  { job, signal, onRead = () => undefined }: LogReader,
  query: LogQuery,
): AsyncGenerator<SseMessage[]> {
  const { tail, resumed, ...rest } = query;
  const subscription = changes.subscribe(job.jobId);
  let after = resumed ?? firstSeq(query);
  try {
    // A reader that comes back gets what follows its last line; a new one may ask for the end of what is there.
    if (resumed === undefined && tail !== undefined) {
      // What was left out is not followed either: `tail=0` means only what comes from now on.
      const there = noted(readLogs(ctx, job, { after, signal }), (seq) => {
        after = seq;
      });
      for await (const lines of selectLines(there, query)) yield lines.map(messageOf);
      // Who is cut off before the next line comes back behind this one, and not at a tail that is another by then.
      yield [{ id: after, event: "heartbeat", data: {} }];
    }
    onRead(after);
    const changed = () => subscription.next(signal);
    const lines = noted(followLogs(ctx, job, { after, signal, changed, live }), onRead);
    for await (const batch of selectLines(lines, rest)) yield batch.map(messageOf);
    if (!signal.aborted) yield [await endMessage(ctx, job.jobId)];
  } finally {
    subscription.end();
  }
}

/** The last message of a stream: the job as it ended. */
export async function endMessage(ctx: EngineContext, jobId: JobId): Promise<SseMessage> {
  const job = await readJob(ctx.ledger, jobId);
  return { event: "end", data: job === undefined ? {} : await describeWholeJob(ctx, job) };
}

function messageOf(line: LogLine): SseMessage {
  return { id: line.seq, event: "log", data: line };
}

/** Tells the seq of the last line of each batch, before it is given. */
async function* noted(batches: AsyncIterable<LogLine[]>, note: (seq: number) => void): AsyncGenerator<LogLine[]> {
  for await (const lines of batches) {
    const last = lines.at(-1);
    if (last !== undefined) note(last.seq);
    yield lines;
  }
}
