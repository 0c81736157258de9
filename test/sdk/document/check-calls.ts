import { isDeepStrictEqual } from "node:util";
import { OPERATIONS } from "../../../functions/api/operations.ts";
import { createClient } from "../../../sdk/client.ts";
import { createJudge, type DescribedOperation, type Judge } from "../../lab/openapi.ts";
import { CALLS, type ClientCall, CURSORS, NEVER_SENT, WITHOUT_METHOD } from "./calls.ts";

const ENDPOINT = "http://127.0.0.1:1/api/v1";
/** Headers that no operation describes: they are of HTTP itself. */
const OF_HTTP = new Set(["accept", "accept-encoding", "content-type"]);

/**
 * Calls every method of the client against the description: its requests must be described, and every operation and
 * parameter asked for. Resolves with a sentence for each difference.
 */
export async function differencesInCalls(): Promise<string[]> {
  const judge = createJudge();
  const sent = new Set<string>();
  const found: string[] = [];
  for (const [method, one] of Object.entries(CALLS)) {
    found.push(...(await differencesOf(judge, one, sent)).map((text) => `client.${method}: ${text}`));
  }
  for (const [name, { id, ...operation }] of Object.entries(OPERATIONS)) {
    if (Object.hasOwn(WITHOUT_METHOD, name)) continue;
    if (!sent.has(id)) found.push(`no method of the client calls ${name}`);
    const described = {
      ...("query" in operation ? operation.query : {}),
      ...("headers" in operation ? operation.headers : {}),
    };
    for (const parameter of Object.keys(described)) {
      const key = `${id} ${parameter}`;
      if (sent.has(key) === Object.hasOwn(NEVER_SENT, key)) {
        found.push(
          sent.has(key) ? `${key} is sent after all` : `no method of the client sends ${parameter} to ${name}`,
        );
      }
    }
  }
  return found;
}

async function differencesOf(judge: Judge, one: ClientCall, sent: Set<string>): Promise<string[]> {
  const found: string[] = [];
  const expected = OPERATIONS[one.operation];
  let calls = 0;
  const recording = async (input: Parameters<typeof fetch>[0], init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const path = url.href.slice(ENDPOINT.length);
    const [method, headers] = [init.method ?? "GET", new Headers(init.headers)];
    const operation = judge.find(method, path);
    calls += 1;
    if (operation === undefined || operation.id !== expected.id) {
      found.push(
        `${method} ${path} is ${operation === undefined ? "not described" : operation.id}, not ${expected.id}`,
      );
      return answer(url, { status: 404, body: "" });
    }
    sent.add(operation.id);
    const names = (place: string) =>
      (operation.described.parameters ?? []).filter(({ in: at }) => at === place).map(({ name }) => name);
    for (const name of url.searchParams.keys()) {
      if (!names("query").includes(name)) found.push(`the parameter ${name} of ${operation.id} is not described`);
      sent.add(`${operation.id} ${name}`);
    }
    for (const name of headers.keys()) {
      const described = names("header").find((header) => header.toLowerCase() === name);
      if (described !== undefined) sent.add(`${operation.id} ${described}`);
      else if (!OF_HTTP.has(name)) found.push(`the header ${name} of ${operation.id} is not described`);
    }
    const body = typeof init.body === "string" ? init.body : null;
    found.push(...judge.objections(operation, { method, path, headers, body }));
    if (body !== null && operation.described.requestBody === undefined) found.push(`${operation.id} takes no body`);
    return respond(one, operation, { url, headers, calls });
  };
  const client = createClient({ endpoint: ENDPOINT, fetch: recording as typeof fetch });
  try {
    const result = one.call(client);
    const given = result instanceof Promise ? [await result] : await Array.fromAsync(result);
    const wanted = expectedOf(one, exampleOf(one));
    if (calls === 0) found.push("it calls nothing");
    else if (!isDeepStrictEqual(given, wanted))
      found.push("it does not give what the description says that it is answered");
  } catch (thrown) {
    if (found.length === 0) found.push(`it throws ${thrown}`);
  }
  return found;
}

/** What a method has to give: its example once, or each item of it, for as many pages as there were. */
function expectedOf(one: ClientCall, example: unknown): unknown[] {
  const { items = [] } = (example ?? {}) as { items?: unknown[] };
  if (one.gives === "nothing") return [undefined];
  if (one.gives === "items") return [items];
  if (one.gives === "text") return [textOf(one).body];
  if (one.gives === "lines") return [[JSON.parse(textOf(one).body)]];
  if (one.gives === "bytes") return [...BYTES].map((byte) => new TextEncoder().encode(byte));
  // A stream is cut once and goes on; a list has two pages.
  return one.gives === "each" ? [...items, ...next(one, items)] : [example];
}

/** What the example of an artifact holds, a byte for each connection. */
const BYTES = "hi\n";

/** The example of an answer that is no JSON document, with its type. */
function textOf({ operation, status = 200 }: ClientCall): { type: string; body: string } {
  const answers = OPERATIONS[operation].answers as Record<
    number,
    { media?: readonly { type: string; example?: string }[] }
  >;
  const { type = "", example = "" } = answers[status]?.media?.[0] ?? {};
  return { type, body: example };
}

/** The items of a stream or of a second page: those of the first, with numbers that go on where they have some. */
function next({ operation }: ClientCall, items: unknown[]): unknown[] {
  return /\/(events|logs)$/.test(operation) ? items.map((item) => ({ ...(item as object), seq: 2 })) : items;
}

function exampleOf({ operation, status = 200 }: ClientCall): unknown {
  const answers = OPERATIONS[operation].answers as Record<number, { example?: unknown }>;
  return answers[status]?.example;
}

function respond(
  one: ClientCall,
  { described }: DescribedOperation,
  { url, headers, calls }: { url: URL; headers: Headers; calls: number },
): Response {
  const status = one.status ?? 200;
  const example = exampleOf(one) as { items?: unknown[] } | undefined;
  const items = calls === 1 ? (example?.items ?? []) : next(one, example?.items ?? []);
  if (headers.get("accept") === "text/event-stream") {
    const media = described.responses[200]?.content?.["text/event-stream"];
    const [event = ""] = Object.keys(media?.["x-messages"] ?? {});
    const messages = items.map((item) => ({ id: (item as { seq: number }).seq, event, data: item }));
    // The first connection breaks off before the end.
    const all = calls === 1 ? messages : [...messages, { id: undefined, event: "end", data: {} }];
    const text = all.map(
      ({ id, event, data }) =>
        `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`,
    );
    return answer(url, { status: 200, body: text.join(""), type: "text/event-stream" });
  }
  if (one.gives === "text" || one.gives === "lines") return answer(url, { status, ...textOf(one) });
  if (one.gives === "bytes") {
    // Each connection breaks off after a byte.
    const from = Number(/^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1] ?? 0);
    const response = answer(url, { status: from === 0 ? 200 : 206, body: BYTES[from] ?? "", type: "text/csv" });
    if (from > 0) response.headers.set("content-range", `bytes ${from}-${BYTES.length - 1}/${BYTES.length}`);
    return response;
  }
  const isPaged = one.gives === "each";
  const body = isPaged ? { items, nextCursor: calls === 1 ? CURSORS[one.operation] : null } : example;
  return answer(url, { status, body: status === 204 ? null : JSON.stringify(body) });
}

/** An answer that tells where it came from, as fetch's own do. */
function answer(url: URL, told: { status: number; body: string | null; type?: string }): Response {
  const { status, body, type = "application/json" } = told;
  const response = new Response(body, { status, headers: { "content-type": type } });
  Object.defineProperty(response, "url", { value: url.href });
  return response;
}
