import { type FollowOptions, follow } from "./follow.ts";
import { type Call, createTransport, type TransportOptions } from "./request.ts";
import type {
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
  Runtime,
  Status,
  Usage,
} from "./types.ts";

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
    /** The events so far. */
    events(jobId: string, options?: CallOptions): AsyncGenerator<Event, void>;
    /** The lines so far. */
    logs(jobId: string, filter?: LogFilter, options?: CallOptions): AsyncGenerator<LogLine, void>;
    /** The events so far and those to come, until the job has ended. */
    followEvents(jobId: string, options?: FollowOptions): AsyncGenerator<Event, void>;
    /** The lines so far and those to come, until the job has ended. */
    followLogs(jobId: string, options?: FollowOptions & LogFilter): AsyncGenerator<LogLine, void>;
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

  async function* pages<T>(path: string, query: NonNullable<Call["query"]>, call: CallOptions) {
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
      events: (jobId, call = {}) => pages(at(jobId, "/events"), {}, call),
      logs: (jobId, filter = {}, call = {}) =>
        pages(at(jobId, "/logs"), { ...startQuery(filter), ...streamQuery(filter) }, call),
      followEvents: (jobId, options = {}) =>
        follow(transport, { path: at(jobId, "/events"), event: "event", query: {}, start: {} }, options),
      followLogs: (jobId, options = {}) => {
        const query = streamQuery(options);
        return follow(
          transport,
          { path: at(jobId, "/logs"), event: "log", query, start: startQuery(options) },
          options,
        );
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

function deadLetterAt(id: string, rest = ""): string {
  return `/dead-letters/${encodeURIComponent(id)}${rest}`;
}

function listQuery({ labels, ...filter }: JobFilter): NonNullable<Call["query"]> {
  return { ...filter, label: Object.entries(labels ?? {}).map(([key, value]) => `${key}:${value}`) };
}

function startQuery({ tail, since }: LogFilter): NonNullable<Call["query"]> {
  return { tail, since };
}

function streamQuery({ streams }: LogFilter): NonNullable<Call["query"]> {
  return { stream: streams?.join(",") };
}
