import { createParser } from "eventsource-parser";
import { expect, vi } from "vitest";
import type { Job, JobEvent, LogLine, Page, Problem, Spec } from "./contract.ts";
import { TERMINAL } from "./contract.ts";
import type { Home } from "./homes.ts";

/** What a scenario runs against: the URL of an API, known once the suite's hooks have run. */
export interface Target {
  /** Such as `http://127.0.0.1:7070/api/v1`. */
  api(): string;
  /** Which of the two homes it is; default the local one. */
  home?: Home;
  /** Sends requests where callers have to say who they are; default: the global fetch. */
  fetch?: typeof fetch;
  /** The headers of a request whose caller has to say who he is; default: as they are. */
  sign?(request: UnsignedRequest): Promise<Record<string, string>>;
  /** Gets the text of every answer, where a scenario wants to look through all of them. */
  record?(text: string): void;
}

/** What is signed of a request that is not sent by `fetch`. */
export interface UnsignedRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  body: string | undefined;
}

export interface Answer<T> {
  status: number;
  headers: Headers;
  text: string;
  body: T;
}

export interface CallOptions {
  method?: string;
  /** Sent as JSON; a text is sent as it is. */
  body?: unknown;
  headers?: Record<string, string>;
}

/** What waiting for a state takes at most: a machine under load may be slow, a lost wake-up takes for ever. */
export const PATIENCE_MS = 25_000;

/** One call of the API. `path` begins with a slash, below the base path. */
export async function call<T = unknown>(target: Target, path: string, options: CallOptions = {}): Promise<Answer<T>> {
  const { body, headers = {} } = options;
  const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const response = await (target.fetch ?? fetch)(`${target.api()}${path}`, {
    method: options.method ?? (body === undefined ? "GET" : "POST"),
    headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
    ...(sent === undefined ? {} : { body: sent }),
  });
  const text = await response.text();
  target.record?.(text);
  const isJson = /[/+]json\b/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, text, body: (isJson ? JSON.parse(text) : text) as T };
}

/** Submits a spec that must be accepted. */
export async function submit(target: Target, spec: Spec, headers: Record<string, string> = {}): Promise<Job> {
  const { status, body, text } = await call<Job>(target, "/jobs", { body: spec, headers });
  expect(status, text).toBe(202);
  return body;
}

export async function show(target: Target, jobId: string): Promise<Job> {
  const { status, body, text } = await call<Job>(target, `/jobs/${jobId}`);
  expect(status, text).toBe(200);
  return body;
}

export async function eventsOf(target: Target, jobId: string): Promise<JobEvent[]> {
  return (await call<Page<JobEvent>>(target, `/jobs/${jobId}/events?limit=1000`)).body.items;
}

export async function logsOf(target: Target, jobId: string, query = ""): Promise<LogLine[]> {
  const { status, body, text } = await call<Page<LogLine>>(target, `/jobs/${jobId}/logs${query}`);
  expect(status, text).toBe(200);
  return body.items;
}

export async function cancel(target: Target, jobId: string): Promise<Job> {
  const { status, body, text } = await call<Job>(target, `/jobs/${jobId}/cancel`, { method: "POST" });
  expect(status, text).toBe(202);
  return body;
}

/** Cancels whatever is not over, and waits for it: so that a suite leaves nothing running. */
export async function cancelAll(target: Target): Promise<void> {
  for (;;) {
    const { body } = await call<Page<Job>>(target, "/jobs?status=PENDING&status=RUNNING&status=RETRYING&limit=200");
    if (body.items.length === 0) return;
    for (const { jobId } of body.items) {
      const { status } = await call(target, `/jobs/${jobId}/cancel`, { method: "POST" });
      expect([202, 409]).toContain(status);
    }
    for (const { jobId } of body.items) {
      const { spec } = await ended(target, jobId);
      if (spec.cleanup === "always") await cleanedUp(target, jobId);
    }
  }
}

export interface Message {
  id: string | undefined;
  event: string | undefined;
  data: unknown;
}

/** The messages of an event stream until it ends; leaving the loop cuts the connection. */
export async function* follow(
  target: Target,
  path: string,
  headers: Record<string, string> = {},
): AsyncGenerator<Message> {
  const cut = new AbortController();
  const response = await (target.fetch ?? fetch)(`${target.api()}${path}`, {
    headers: { Accept: "text/event-stream", ...headers },
    signal: cut.signal,
  });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  const messages: Message[] = [];
  const parser = createParser({
    onEvent: ({ id, event, data }) => messages.push({ id, event, data: JSON.parse(data) }),
  });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) {
      const text = decoder.decode(chunk, { stream: true });
      target.record?.(text);
      parser.feed(text);
      while (messages.length > 0) yield messages.shift() as Message;
    }
  } finally {
    cut.abort();
  }
}

/** Follows a job's events until one has the type; the job must not end before. */
export async function reached(target: Target, jobId: string, type: string): Promise<JobEvent> {
  for await (const { event, data } of follow(target, `/jobs/${jobId}/events`)) {
    if (event === "event" && (data as JobEvent).type === type) return data as JobEvent;
    if (event === "end") throw new Error(`the job ended as ${(data as Job).status} without ${type}`);
  }
  throw new Error(`the stream broke off before ${type}`);
}

/** Follows a job's log until a line holds the text. */
export async function printed(target: Target, jobId: string, text: string): Promise<LogLine> {
  for await (const { event, data } of follow(target, `/jobs/${jobId}/logs`)) {
    if (event === "log" && (data as LogLine).text.includes(text)) return data as LogLine;
    if (event === "end") throw new Error(`the job ended as ${(data as Job).status} without the line ${text}`);
  }
  throw new Error(`the stream broke off before the line ${text}`);
}

/** Follows a job's events to the end; resolves with the job as it ended. */
export async function ended(target: Target, jobId: string): Promise<Job> {
  for await (const { event } of follow(target, `/jobs/${jobId}/events`)) {
    if (event === "end") return await show(target, jobId);
  }
  throw new Error("the stream broke off before its end message");
}

/** Resolves with all events once the job has ended and what it left is removed: no stream tells of the latter. */
export async function cleanedUp(target: Target, jobId: string): Promise<JobEvent[]> {
  await ended(target, jobId);
  return await vi.waitFor(
    async () => {
      const events = await eventsOf(target, jobId);
      const job = await show(target, jobId);
      const last = events.at(-1)?.type;
      // A job that never got as far as a resource has none to clean up.
      expect(last === "CLEANED_UP" || (job.externalName === null && TERMINAL.includes(last ?? ""))).toBe(true);
      return events;
    },
    { timeout: PATIENCE_MS, interval: 50 },
  );
}

/** Waits until a condition on the job holds; for what no event announces. */
export async function until(target: Target, jobId: string, condition: (job: Job) => void): Promise<Job> {
  return await vi.waitFor(
    async () => {
      const job = await show(target, jobId);
      condition(job);
      return job;
    },
    { timeout: PATIENCE_MS, interval: 50 },
  );
}

/** Checks that an answer is a problem document of the contract that gives nothing away; resolves with it. */
export function problemOf(answer: Answer<unknown>, status: number, code: string): Problem {
  expect(answer.status, answer.text).toBe(status);
  expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  const problem = answer.body as Problem;
  const keys = ["type", "title", "status", "detail", "code", "instance"];
  expect(Object.keys(problem).sort()).toEqual((status === 422 ? [...keys, "violations"] : keys).sort());
  expect(problem).toMatchObject({ status, code });
  for (const text of [problem.type, problem.title, problem.detail, problem.instance]) expect(text).toMatch(/\S/);
  if (status === 422) {
    expect(problem.violations?.length).toBeGreaterThan(0);
    for (const violation of problem.violations ?? []) {
      expect(Object.keys(violation).sort()).toEqual(["code", "message", "path"]);
      expect(violation.message).toMatch(/\S/);
    }
  }
  givesNothingAway(answer.text);
  return problem;
}

/** No stack and no place on the server's disk. */
export function givesNothingAway(text: string): void {
  expect(text).not.toMatch(
    /\bat .+:\d+:\d+|node:internal|node_modules|\.[cm]?[jt]s:\d+|\/engine\/|\/functions\/|\/tmp\//,
  );
}
