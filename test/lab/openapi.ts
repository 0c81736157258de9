import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { createParser } from "eventsource-parser";
import { makeDocument, type OpenApi, templateOf } from "../../functions/api/document.ts";
import { ROUTES } from "../../functions/routes.ts";

/** One operation of the document with the route behind it. */
export interface DescribedOperation {
  id: string;
  method: string;
  /** As the document has it, below the server's URL. */
  template: string;
  pattern: RegExp;
  /** Fewer parameters go first: `/jobs/batch` is no job. */
  parameters: number;
  described: Described;
}

interface Described {
  operationId: string;
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { examples: Record<string, { value: unknown }> }> };
  responses: Record<string, Described200 & { $ref?: string }>;
}
interface Described200 {
  headers?: Record<string, { required?: boolean }>;
  content?: Record<string, { example?: unknown; "x-messages"?: Record<string, unknown> }>;
}
type Schema = { type?: string | string[]; items?: Schema };

/** A request as far as the document has something to say of it. */
export interface Asked {
  method: string;
  /** Below the server's URL, with its query. */
  path: string;
  headers: Headers;
  body: string | null;
}

/**
 * Judges requests and answers by the API's own description, as a validating proxy would. Answers are judged exactly: a
 * member that is not described is a fault here.
 */
export function createJudge(document: OpenApi = makeDocument({ serverUrl: "/api/v1", exact: true })) {
  const ajv = new Ajv2020({ strict: false, allErrors: false });
  formats.default(ajv);
  ajv.addSchema({ ...document, $id: "api" });
  const compiled = new Map<string, ValidateFunction>();
  const at = (...pointer: string[]): ValidateFunction => {
    const path = pointer.map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1")));
    const ref = `api#/${path.join("/")}`;
    const known = compiled.get(ref) ?? ajv.compile({ $ref: ref });
    compiled.set(ref, known);
    return known;
  };
  const operations = operationsOf(document);

  function find(method: string, path: string): DescribedOperation | undefined {
    const [pathname = ""] = path.split("?");
    return operations.find((one) => one.method === method && one.pattern.test(pathname));
  }

  /** What the document has against a request; nothing when it allows it. */
  function objections({ template, method, pattern, described }: DescribedOperation, asked: Asked): string[] {
    const [pathname = "", search = ""] = asked.path.split("?");
    const query = new URLSearchParams(search);
    const inPath = pattern.exec(pathname)?.groups ?? {};
    const place = ["paths", template, method.toLowerCase()];
    const found = (described.parameters ?? []).flatMap((parameter, index) => {
      const given =
        parameter.in === "path"
          ? [decoded(inPath[parameter.name] ?? "")]
          : parameter.in === "query"
            ? query.getAll(parameter.name)
            : [asked.headers.get(parameter.name)].filter((value) => value !== null);
      if (given.length === 0) return parameter.required === true ? [`${parameter.name} is missing`] : [];
      const isList = parameter.schema.type === "array";
      const check = at(...place, "parameters", String(index), "schema");
      const values = isList ? [given.flatMap((one) => one.split(","))] : [typed(given.at(-1) ?? "", parameter.schema)];
      return values.flatMap((value) => complaints(check, value, parameter.name));
    });
    return [...found, ...bodyObjections(described, place, asked)];
  }

  function bodyObjections({ requestBody }: Described, place: string[], { headers, body }: Asked): string[] {
    if (requestBody === undefined) return [];
    if (body === null || body === "") return ["the body is missing"];
    const type = headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
    if (type !== "application/json") return [`the body is ${type}`];
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch {
      return ["the body is no JSON"];
    }
    return complaints(at(...place, "requestBody", "content", "application/json", "schema"), value, "the body");
  }

  /** Where the document has the response to a status, with what it says of it. */
  function responseOf({ template, method, described }: DescribedOperation, status: number) {
    const response = described.responses[status];
    if (response === undefined) return undefined;
    const shared = response.$ref?.split("/").at(-1);
    if (shared === undefined) {
      return { place: ["paths", template, method.toLowerCase(), "responses", String(status)], told: response };
    }
    return {
      place: ["components", "responses", shared],
      told: document.components.responses?.[shared] as unknown as Described200,
    };
  }

  /** What is wrong with the head and the whole body of an answer; of a stream's only the head is looked at. */
  function faults(operation: DescribedOperation, response: Response, text: string | null): string[] {
    const { status, headers } = response;
    const found = responseOf(operation, status);
    if (found === undefined) return [`the status ${status} is not described`];
    const missing = Object.entries(found.told.headers ?? {})
      .filter(([name, { required }]) => required === true && !headers.has(name))
      .map(([name]) => `the header ${name} is missing`);
    const type = headers.get("content-type")?.split(";")[0] ?? null;
    const content = found.told.content ?? {};
    if (Object.keys(content).length === 0) return text === "" ? missing : [...missing, "there is a body"];
    if (content["*/*"] !== undefined && type !== "application/problem+json") return missing;
    if (type === null || content[type] === undefined) return [...missing, `the type ${type} is not described`];
    if (operation.method === "HEAD") return text === "" ? missing : [...missing, "there is a body"];
    if (text === null || !/[/+]json$/.test(type)) return missing;
    const check = at(...found.place, "content", type, "schema");
    return [...missing, ...complaints(check, parsed(text), `the answer ${status}`)];
  }

  /** What is wrong with one message of a stream. */
  function messageFaults(
    operation: DescribedOperation,
    type: string,
    { event, data }: { event: string; data: string },
  ) {
    const found = responseOf(operation, 200);
    const described = found?.told.content?.[type]?.["x-messages"]?.[event];
    if (found === undefined || described === undefined) return [`the message ${event} is not described`];
    const check = at(...found.place, "content", type, "x-messages", event);
    return complaints(check, parsed(data), `the message ${event}`);
  }

  return { document, operations, find, objections, faults, messageFaults, at };
}
export type Judge = ReturnType<typeof createJudge>;

/**
 * A fetch that holds every call to the description, in both directions: what it forbids must be refused, what is answered
 * must be described. What is wrong is collected; streams pass through as they come, and their messages are looked at too.
 */
export function conforming(judge: Judge, over: typeof fetch = globalThis.fetch) {
  const faults: string[] = [];
  const seen = new Set<string>();
  const conformingFetch = async (input: Parameters<typeof fetch>[0], init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const [, path = ""] = /\/api\/v1(\/.*)$/.exec(url.pathname) ?? [];
    const asked: Asked = {
      method: init.method ?? "GET",
      path: path + url.search,
      headers: new Headers(init.headers),
      body: typeof init.body === "string" ? init.body : null,
    };
    const response = await over(input, init);
    const operation = judge.find(asked.method, path.replace(/(.)\/$/, "$1"));
    const tell = (found: string[]) =>
      void faults.push(...found.map((fault) => `${asked.method} ${asked.path}: ${response.status}: ${fault}`));
    if (operation === undefined) {
      if (response.ok) tell(["there is no such operation"]);
      return response;
    }
    seen.add(`${operation.id} ${response.status}`);
    const against = judge.objections(operation, asked);
    if (against.length > 0 && response.status < 400) tell(against.map((text) => `was accepted, though ${text}`));
    const type = response.headers.get("content-type")?.split(";")[0] ?? "";
    if (type === "text/event-stream" || type === "text/plain") {
      tell(judge.faults(operation, response, null));
      return type === "text/plain"
        ? response
        : watched(response, (one) => tell(judge.messageFaults(operation, type, one)));
    }
    tell(judge.faults(operation, response, await response.clone().text()));
    return response;
  };
  return { fetch: conformingFetch as typeof fetch, faults, seen };
}

/** The same answer, whose messages are looked at while they pass. */
function watched(response: Response, look: (message: { event: string; data: string }) => void): Response {
  const parser = createParser({ onEvent: ({ event = "", data }) => look({ event, data }) });
  const decoder = new TextDecoder();
  const passing = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      parser.feed(decoder.decode(chunk, { stream: true }));
      controller.enqueue(chunk);
    },
  });
  const { status, statusText, headers, url } = response;
  const same = new Response(response.body?.pipeThrough(passing) ?? null, { status, statusText, headers });
  Object.defineProperty(same, "url", { value: url });
  return same;
}

function operationsOf(document: OpenApi): DescribedOperation[] {
  const greedy = new Set<string>(ROUTES.filter(([, path]) => path.includes("+}")).map(([, path]) => templateOf(path)));
  const all = Object.entries(document.paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, described]) => ({
      id: String(described.operationId),
      method: method.toUpperCase(),
      template,
      pattern: new RegExp(`^${template.replace(/\{(\w+)\}/g, greedy.has(template) ? "(?<$1>.+?)" : "(?<$1>[^/]+)")}$`),
      parameters: template.split("{").length - 1,
      described: described as unknown as Described,
    })),
  );
  return all.sort((a, b) => a.parameters - b.parameters);
}

/** A value of a query as its schema would have it. */
function typed(text: string, schema: Schema): unknown {
  if (schema.type === "integer" || schema.type === undefined) return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
  if (schema.type === "boolean") return text === "true" ? true : text === "false" ? false : text;
  return text;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "%";
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function complaints(check: ValidateFunction, value: unknown, what: string): string[] {
  if (check(value)) return [];
  return (check.errors ?? []).slice(0, 3).map((error: ErrorObject) => {
    const more = JSON.stringify(error.params);
    return `${what}${error.instancePath} ${error.message} ${more}`;
  });
}
