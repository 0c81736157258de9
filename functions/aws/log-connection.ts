import { setTimeout as delay } from "node:timers/promises";
import { isJobId } from "../../engine/ids.ts";
import type { Connections } from "../../engine/ports/connections.ts";
import type { Logger } from "../../engine/ports/logger.ts";
import { type ApiEvent, type ApiResult, header, problem } from "../http.ts";
import type { LogFeed } from "../log-socket.ts";
import type { Work } from "./work.ts";

/** What API Gateway tells of a WebSocket that somebody opens. */
export type ConnectEvent = Pick<ApiEvent, "headers" | "queryStringParameters" | "multiValueQueryStringParameters"> & {
  requestContext: { routeKey: string; connectionId: string };
};

/** A connection that has to be told of a log. */
export interface FollowTask {
  connectionId: string;
  jobId: string;
  /** Every value of every parameter. */
  query: Record<string, string[]>;
  /** The last line that the reader has; undefined when he has begun nowhere yet. */
  lastEventId?: string;
  /** Something was sent on the connection before: so it was there. */
  isOpen: boolean;
}

export interface LogConnectionDeps {
  logger: Logger;
  work: Work;
  connections: Connections;
  feed(event: ApiEvent, signal: AbortSignal): Promise<LogFeed>;
  /** Between two tries to reach a connection that is not there yet, ms; default 200. */
  pauseMs?: number;
}

/** How often a connection is tried that is being opened: API Gateway lets nothing through before `$connect` has answered. */
const OPENING_TRIES = 50;
const OPENING_PAUSE_MS = 200;
const ASKED: ReadonlySet<string> = new Set(["jobId", "tail", "since", "stream", "cursor", "lastEventId", "batch"]);
const HEARTBEAT = JSON.stringify({ event: "heartbeat", data: {} });

/**
 * The function behind the WebSockets of logs. When one is opened it checks what is asked for and hands the connection over
 * to an invocation that lasts: that one sends what the log has to say, until the job has ended, the reader has gone, or
 * its time is nearly over, when it hands over again, with the last line that was sent. What fails ends the connection, so
 * that the reader comes back with the last line that he has.
 */
export function logConnection(deps: LogConnectionDeps) {
  return async (event: ConnectEvent | { follow: FollowTask }): Promise<ApiResult> => {
    if ("follow" in event) await follow(deps, event.follow);
    else if (event.requestContext.routeKey === "$connect") return await connect(deps, event);
    return DONE;
  };
}

/** The job that an event is about; what is no job's id is none. */
export function jobIdOfConnection(event: ConnectEvent | { follow: FollowTask }): string | undefined {
  const id = "follow" in event ? event.follow.jobId : (event.queryStringParameters?.jobId ?? "");
  return isJobId(id) ? id : undefined;
}

const DONE: ApiResult = { statusCode: 200, body: "" };

async function connect(
  { logger, work, feed, connections }: LogConnectionDeps,
  event: ConnectEvent,
): Promise<ApiResult> {
  const { jobId: [jobId = ""] = [], ...query } = parametersOf(event);
  const lastEventId = header(event as ApiEvent, "last-event-id");
  const { connectionId } = event.requestContext;
  const task: FollowTask = { connectionId, jobId, query, isOpen: false, ...(lastEventId && { lastEventId }) };
  const asked = requestOf(task);
  try {
    // Only asked whether it can be had: what is not read has nothing to close.
    await feed(asked, work.signal());
    await connections.handOver({ follow: task });
    return DONE;
  } catch (error) {
    return problem(error, asked.path, logger);
  }
}

async function follow(deps: LogConnectionDeps, task: FollowTask): Promise<void> {
  const { logger, connections, work } = deps;
  const { connectionId } = task;
  try {
    if (!task.isOpen && !(await isReached(deps, connectionId))) return;
    const left = await tell(deps, task);
    if (left === "gone") return;
    if (left === "over") return await connections.close(connectionId);
    await connections.handOver({ follow: { ...task, ...left, isOpen: true } });
  } catch (error) {
    logger.warn({ error, jobId: task.jobId, outOfTime: work.signal().aborted }, "a WebSocket of a log broke off");
    await connections.close(connectionId).catch((failure: unknown) => {
      logger.warn({ error: failure }, "a connection could not be ended: its reader notices the silence");
    });
  }
}

/** Sends what the log says. Tells what is left: nothing, since it is over or nobody is there; or from where to go on. */
async function tell(
  { feed, connections, work }: LogConnectionDeps,
  task: FollowTask,
): Promise<"gone" | "over" | Pick<FollowTask, "lastEventId">> {
  const signal = work.signal();
  const { frames, position, isOver } = await feed(requestOf(task), signal);
  const left = (lastId?: number) => {
    const lastEventId = (lastId ?? position())?.toString() ?? task.lastEventId;
    return lastEventId === undefined ? {} : { lastEventId };
  };
  for await (const batch of frames) {
    let lastId: number | undefined;
    for (const { text, id } of batch) {
      if (signal.aborted) return left(lastId);
      if (!(await connections.post(task.connectionId, text))) return "gone";
      lastId = id ?? lastId;
    }
    if (isOver()) return "over";
  }
  return left();
}

/** Waits until a connection that is being opened takes something. */
async function isReached({ connections, work, pauseMs }: LogConnectionDeps, connectionId: string): Promise<boolean> {
  for (let tries = 0; tries < OPENING_TRIES && !work.signal().aborted; tries++) {
    if (tries > 0) await delay(pauseMs ?? OPENING_PAUSE_MS);
    if (await connections.post(connectionId, HEARTBEAT)) return true;
  }
  return false;
}

/** What is asked. A signature and a session's token are in the query too, and must not rest where a task waits. */
function parametersOf(event: ConnectEvent): Record<string, string[]> {
  const entries = Object.entries(event.multiValueQueryStringParameters ?? {}).filter(([name]) => ASKED.has(name));
  return Object.fromEntries(entries.map(([name, values]) => [name, values ?? []]));
}

/** The task as the request that the local home would get. */
function requestOf({ jobId, query, lastEventId }: FollowTask): ApiEvent {
  const path = `/v1/jobs/${encodeURIComponent(jobId)}/logs/stream`;
  return {
    httpMethod: "GET",
    path,
    resource: path,
    headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId },
    multiValueHeaders: {},
    queryStringParameters: Object.fromEntries(Object.entries(query).map(([name, values]) => [name, values.at(-1)])),
    multiValueQueryStringParameters: query,
    pathParameters: { id: encodeURIComponent(jobId) },
    stageVariables: null,
    body: null,
    isBase64Encoded: false,
    requestContext: { path } as ApiEvent["requestContext"],
  };
}
