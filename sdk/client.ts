import { type DownloadOptions, download } from "./download.ts";
import { eventStream } from "./event-stream.ts";
import { type FollowOptions, follow } from "./follow.ts";
import { encode, type Query } from "./query.ts";
import { createTransport, type TransportOptions } from "./request.ts";
import type {
  Artifact,
  Artifacts,
  Cost,
  DeadLetter,
  DryRun,
  Event,
  Health,
  Job,
  JobSpecInput,
  JobSummary,
  LogLine,
  Page,
  Run,
  RunCleanup,
  RunDetails,
  RunReceipt,
  Runtime,
  Status,
  TerminalStatus,
  Usage,
} from "./types.ts";
import { webSocket } from "./web-socket.ts";

export interface CallOptions {
  signal?: AbortSignal;
}

/** Where in a trace the caller is (W3C Trace Context); what is not valid is ignored. */
export interface Trace {
  traceparent: string;
  tracestate?: string;
}

export interface SubmitOptions extends CallOptions {
  /** The job becomes a part of this trace; its container gets TRACEPARENT. Default: the client's, else a trace of its own. */
  trace?: Trace;
  /** The same key and spec give the first job again; default: a fresh one, so that a lost answer is asked for again. */
  idempotencyKey?: string;
}

/** Filters of a list of jobs; those that are left out let everything pass. */
export interface JobFilter {
  status?: readonly Status[];
  runtime?: string;
  /** Labels that must all match. */
  labels?: Record<string, string>;
  name?: string;
  /** RFC 3339. */
  createdAfter?: string;
  /** RFC 3339. */
  createdBefore?: string;
  /** Jobs a page, 1–200; default 50. */
  limit?: number;
  cursor?: string;
}

/** Filters of a list of runs; those that are left out let everything pass. */
export interface RunFilter extends PageFilter {
  status?: readonly TerminalStatus[];
  runtime?: string;
  /** Labels that must all match. */
  labels?: Record<string, string>;
  name?: string;
  /** RFC 3339. */
  finishedAfter?: string;
  /** RFC 3339. */
  finishedBefore?: string;
}

/** Which runs are erased. */
export interface RunCleanupQuery {
  /** A whole number and a unit, s, m, h, d or w: `7d`. */
  olderThan: string;
  status?: readonly TerminalStatus[];
  /** So many of the newest stay, whatever their age; default 0. */
  keep?: number;
  /** Only tell what would go. */
  dryRun?: boolean;
  /** Where the call before ended. */
  cursor?: string;
}

/** A page of a list that has no filters. */
export interface PageFilter {
  /** Items a page, 1–200; default 50. */
  limit?: number;
  cursor?: string;
}

export interface LogFilter {
  /** Only the last so many lines. */
  tail?: number;
  /** A time (RFC 3339), or the number of the line after which to begin. */
  since?: string | number;
  streams?: readonly LogLine["stream"][];
}

export interface LogFollowOptions extends FollowOptions, LogFilter {
  /**
   * What carries the log. Server-sent events go at the pace of whoever reads them; a WebSocket, which needs the global
   * class of that name, takes what comes. Default `sse`.
   */
  transport?: "sse" | "websocket";
}

export interface ClientOptions extends TransportOptions {
  /** The trace that every submission is a part of. Default: each job begins one. */
  trace?: Trace | undefined;
}

/** Every route of Longshore's API, typed. Methods throw ApiError, ConnectionError, CredentialsError, or the signal's reason. */
export interface LongshoreClient {
  jobs: {
    submit(spec: JobSpecInput, options?: SubmitOptions): Promise<Job>;
    /** All are accepted or none. */
    submitBatch(specs: readonly JobSpecInput[], options?: SubmitOptions): Promise<Job[]>;
    /** What would become of the spec; nothing is stored. */
    dryRun(spec: JobSpecInput, options?: CallOptions): Promise<DryRun>;
    get(jobId: string, options?: CallOptions): Promise<Job>;
    /** Every job that matches, newest first, page after page. */
    list(filter?: JobFilter, options?: CallOptions): AsyncGenerator<JobSummary, void>;
    listPage(filter?: JobFilter, options?: CallOptions): Promise<Page<JobSummary>>;
    cancel(jobId: string, options?: CallOptions): Promise<Job>;
    /** A new job from one that did not succeed. */
    retry(jobId: string, options?: CallOptions & Pick<SubmitOptions, "trace">): Promise<Job>;
    cost(jobId: string, options?: CallOptions): Promise<Cost>;
    /** The files that the job left. */
    artifacts(jobId: string, options?: CallOptions): Promise<Artifacts>;
    /**
     * The bytes of one of them as they are stored: after a broken connection it goes on where it was. It ends with the check
     * of the hash, and throws ChecksumError when that fails.
     */
    download(jobId: string, artifact: Artifact, options?: DownloadOptions): AsyncGenerator<Uint8Array, void>;
    /** The events so far. */
    events(jobId: string, options?: CallOptions): AsyncGenerator<Event, void>;
    /** The lines so far. */
    logs(jobId: string, filter?: LogFilter, options?: CallOptions): AsyncGenerator<LogLine, void>;
    /** The events so far and those to come, until the job has ended. */
    followEvents(jobId: string, options?: FollowOptions): AsyncGenerator<Event, void>;
    /** The lines so far and those to come, until the job has ended. */
    followLogs(jobId: string, options?: LogFollowOptions): AsyncGenerator<LogLine, void>;
  };
  deadLetters: {
    /** Every dead letter, the latest failure first, page after page. */
    list(filter?: PageFilter, options?: CallOptions): AsyncGenerator<DeadLetter, void>;
    listPage(filter?: PageFilter, options?: CallOptions): Promise<Page<DeadLetter>>;
    get(id: string, options?: CallOptions): Promise<DeadLetter>;
    /** A new job from the one that failed, once. */
    replay(id: string, options?: SubmitOptions): Promise<Job>;
    remove(id: string, options?: CallOptions): Promise<void>;
  };
  runs: {
    /** Every finished job that matches, those submitted last first, page after page. */
    list(filter?: RunFilter, options?: CallOptions): AsyncGenerator<Run, void>;
    listPage(filter?: RunFilter, options?: CallOptions): Promise<Page<Run>>;
    get(jobId: string, options?: CallOptions): Promise<RunDetails>;
    receipt(jobId: string, options?: CallOptions): Promise<RunReceipt>;
    /** Markdown. */
    summary(jobId: string, options?: CallOptions): Promise<string>;
    /** Every event, in order. */
    events(jobId: string, options?: CallOptions): Promise<Event[]>;
    /** Erases a run and its job for good, with its logs and artifacts. */
    remove(jobId: string, options?: CallOptions): Promise<void>;
    /** Erases old runs, a bounded number: as long as there is a `nextCursor` it can be called again with it. */
    cleanup(query: RunCleanupQuery, options?: CallOptions): Promise<RunCleanup>;
  };
  runtimes: {
    list(options?: CallOptions): Promise<Runtime[]>;
    get(name: string, options?: CallOptions): Promise<Runtime>;
  };
  /** What the running jobs use at the moment. */
  usage(options?: CallOptions): Promise<Usage>;
  /** Resolves also when Longshore answers that it is not well. */
  health(options?: CallOptions): Promise<Health>;
}

/**
 * Makes a client of the Longshore at `endpoint`.
 * @throws TypeError when the endpoint is no http(s) URL, carries credentials, or cannot be signed for as `auth` wants.
 */
export function createClient(options: ClientOptions): LongshoreClient {
  const transport = createTransport(options);
  const bySse = { transport, connect: eventStream(transport) };

  async function* pages<T>(path: string, query: Query, call: CallOptions) {
    let cursor = query.cursor;
    do {
      const page: Page<T> = await transport.json("GET", path, { ...call, query: { ...query, cursor } });
      yield* page.items;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  function post<T>(path: string, body: unknown, { idempotencyKey, trace, ...call }: SubmitOptions): Promise<T> {
    const headers = { "idempotency-key": idempotencyKey ?? crypto.randomUUID(), ...(trace ?? options.trace) };
    return transport.json("POST", path, { ...call, body, headers, repeatable: true });
  }

  return {
    jobs: {
      submit: (spec, call = {}) => post("/jobs", spec, call),
      submitBatch: async (jobs, call = {}) => (await post<{ items: Job[] }>("/jobs/batch", { jobs }, call)).items,
      dryRun: (spec, call = {}) =>
        transport.json("POST", "/jobs", { ...call, query: { dryRun: true }, body: spec, repeatable: true }),
      get: (jobId, call = {}) => transport.json("GET", at(jobId), call),
      list: (filter = {}, call = {}) => pages("/jobs", listQuery(filter), call),
      listPage: (filter = {}, call = {}) => transport.json("GET", "/jobs", { ...call, query: listQuery(filter) }),
      cancel: (jobId, call = {}) => transport.json("POST", at(jobId, "/cancel"), { ...call, repeatable: true }),
      retry: (jobId, { trace = options.trace, ...call } = {}) =>
        transport.json("POST", at(jobId, "/retry"), { ...call, headers: { ...trace } }),
      cost: (jobId, call = {}) => transport.json("GET", at(jobId, "/cost"), call),
      artifacts: (jobId, call = {}) => transport.json("GET", at(jobId, "/artifacts"), call),
      download: (jobId, artifact, options = {}) =>
        download(transport, { path: at(jobId, `/artifacts/${pathOf(artifact)}`), artifact }, options),
      events: (jobId, call = {}) => pages(at(jobId, "/events"), {}, call),
      logs: (jobId, filter = {}, call = {}) =>
        pages(at(jobId, "/logs"), { ...startQuery(filter), ...streamQuery(filter) }, call),
      followEvents: (jobId, options = {}) =>
        follow(bySse, { path: at(jobId, "/events"), event: "event", query: {}, start: {} }, options),
      followLogs: (jobId, options = {}) => {
        const stream = { path: at(jobId, "/logs"), query: streamQuery(options), start: startQuery(options) };
        const by =
          options.transport === "websocket"
            ? { transport, connect: webSocket(transport, jobId, globalThis.WebSocket) }
            : bySse;
        return follow(by, { ...stream, event: "log" }, options);
      },
    },
    deadLetters: {
      list: (filter = {}, call = {}) => pages("/dead-letters", { ...filter }, call),
      listPage: (filter = {}, call = {}) => transport.json("GET", "/dead-letters", { ...call, query: { ...filter } }),
      get: (id, call = {}) => transport.json("GET", deadLetterAt(id), call),
      replay: (id, call = {}) => post(deadLetterAt(id, "/replay"), undefined, call),
      remove: async (id, call = {}) => {
        await transport.send("DELETE", deadLetterAt(id), call);
      },
    },
    runs: {
      list: (filter = {}, call = {}) => pages("/runs", listQuery(filter), call),
      listPage: (filter = {}, call = {}) => transport.json("GET", "/runs", { ...call, query: listQuery(filter) }),
      get: (jobId, call = {}) => transport.json("GET", runAt(jobId), call),
      receipt: (jobId, call = {}) => transport.json("GET", runAt(jobId, "/receipt"), call),
      summary: (jobId, call = {}) => transport.text("GET", runAt(jobId, "/summary"), call),
      events: async (jobId, call = {}) => {
        const text = await transport.text("GET", runAt(jobId, "/events"), call);
        return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Event]));
      },
      remove: async (jobId, call = {}) => {
        await transport.send("DELETE", runAt(jobId), call);
      },
      cleanup: (query, call = {}) =>
        transport.json("POST", "/runs/cleanup", { ...call, body: query, repeatable: true }),
    },
    runtimes: {
      list: async (call = {}) => (await transport.json<{ items: Runtime[] }>("GET", "/runtimes", call)).items,
      get: (name, call = {}) => transport.json("GET", `/runtimes/${encodeURIComponent(name)}`, call),
    },
    usage: (call = {}) => transport.json("GET", "/usage", call),
    health: (call = {}) => transport.json("GET", "/health", { ...call, accept: [503] }),
  };
}

function at(jobId: string, rest = ""): string {
  return `/jobs/${encodeURIComponent(jobId)}${rest}`;
}

/** A name's own slashes stay; as a signature wants it, all else is encoded. */
function pathOf({ name }: Artifact): string {
  return name.split("/").map(encode).join("/");
}

function runAt(jobId: string, rest = ""): string {
  return `/runs/${encodeURIComponent(jobId)}${rest}`;
}

function deadLetterAt(id: string, rest = ""): string {
  return `/dead-letters/${encodeURIComponent(id)}${rest}`;
}

function listQuery({ labels, ...filter }: JobFilter | RunFilter): Query {
  return { ...filter, label: Object.entries(labels ?? {}).map(([key, value]) => `${key}:${value}`) };
}

function startQuery({ tail, since }: LogFilter): Query {
  return { tail, since };
}

function streamQuery({ streams }: LogFilter): Query {
  return { stream: streams?.join(",") };
}
