import { ERRORS, type ErrorCode } from "../../engine/errors.ts";
import { WITHOUT_IMAGE } from "../../engine/spec/schema.ts";
import { VERSION } from "../../engine/version.ts";
import { LOCAL_ROUTES, ROUTES } from "../routes.ts";
import { problemExample } from "./examples.ts";
import { type JsonSchema, opened } from "./json-schema.ts";
import { type Answer, type Media, type Operation, type Parameter, type RouteName, TAGS } from "./operation.ts";
import { OPERATIONS } from "./operations.ts";
import { COMPONENTS } from "./shapes.ts";
import { SPEC_FIELDS } from "./spec-fields.ts";

/** An OpenAPI document, 3.1. */
export type OpenApi = Record<string, unknown> & {
  paths: Record<string, Record<string, JsonSchema>>;
  components: Record<string, Record<string, JsonSchema>>;
};

/** Problems that any call may have: at the door, or because Longshore or what it stands on fails. */
const EVERYWHERE = [401, 403, 429, 500, 503] as const;
/** What only calls with something in their path can get wrong: its percent-encoding. */
const PATH_PROBLEM = 400;
/** A range that is not inside of a file has a status of its own, and the code of any other invalid request. */
const RANGE_PROBLEM = 416;

const DESCRIPTION = `Longshore runs container jobs on any runtime: submit a job spec, follow the job, read its log and events.

Times are RFC 3339, UTC, with milliseconds. Errors are RFC 9457 problem documents; programs decide by \`code\`. Changes are
additive: answers may come to have members that are not described here. A method that a path does not have is answered 405
with an \`Allow\` header.`;

/**
 * The description of the API, made of the schemas that it works with.
 * @param serverUrl where the API is: the URL below which the paths are.
 * @param exact objects of answers may have no members that are not described; default: later versions may add some.
 */
export function makeDocument({ serverUrl, exact = false }: { serverUrl: string; exact?: boolean }): OpenApi {
  const document: OpenApi = {
    openapi: "3.1.0",
    info: {
      title: "Longshore",
      version: VERSION,
      summary: "Container jobs on any runtime",
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: serverUrl }],
    // The home on one machine listens on loopback and asks for nothing.
    security: [{}, { iam: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: pathsOf(),
    components: { schemas: schemasOf(exact), responses: problemResponses(), securitySchemes: SECURITY },
  };
  return document;
}

const SECURITY = {
  iam: {
    type: "apiKey",
    in: "header",
    name: "Authorization",
    description: "In AWS: AWS Signature Version 4 for the service `execute-api`",
    "x-amazon-apigateway-authtype": "awsSigv4",
  },
};

/** Names of components that are sent and not answered: these are exact in any case. */
const SENT = new Set(["JobSpec", "Batch", "RunCleanup"]);

function schemasOf(exact: boolean): Record<string, JsonSchema> {
  const schemas = Object.entries(COMPONENTS.schemas()).map(([name, schema]) => {
    const told = name === "JobSpec" ? specSchema(schema) : name === "AcceptedSpec" ? redactable(schema) : schema;
    return [name, exact || SENT.has(name) ? told : opened(told)];
  });
  return Object.fromEntries(schemas);
}

/** The spec with what its fields mean, and with the one rule between fields that a schema can say. */
function specSchema(schema: JsonSchema): JsonSchema {
  const properties = Object.entries(schema.properties as Record<string, JsonSchema>).map(([name, field]) => [
    name,
    { ...field, description: SPEC_FIELDS[name as keyof typeof SPEC_FIELDS] },
  ]);
  return {
    ...schema,
    description: "What a job is to run, and how. Texts are well-formed Unicode without NUL. Unknown keys are an error.",
    properties: Object.fromEntries(properties),
    anyOf: [{ required: ["image"] }, { required: ["runtime"], properties: { runtime: { enum: [...WITHOUT_IMAGE] } } }],
  };
}

const OF_TEXTS = new Set(["pattern", "minLength", "maxLength", "propertyNames"]);

/** Without the rules for texts: a part of any may be replaced by `***REDACTED***`. */
function redactable<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(redactable) as T;
  if (typeof schema !== "object" || schema === null) return schema;
  const members = Object.entries(schema).filter(([key]) => !OF_TEXTS.has(key));
  return Object.fromEntries(members.map(([key, value]) => [key, redactable(value)])) as T;
}

function pathsOf(): OpenApi["paths"] {
  const paths: OpenApi["paths"] = {};
  for (const [method, path] of [...ROUTES, ...LOCAL_ROUTES]) {
    const operation: Operation | undefined = OPERATIONS[`${method} ${path}` as RouteName];
    if (operation === undefined) throw new Error(`${method} ${path} is not described`);
    const template = templateOf(path);
    paths[template] = {
      ...paths[template],
      [method.toLowerCase()]: operationObject(operation, template),
    };
  }
  return paths;
}

/** A route's path as the document has it: below the server's URL; OpenAPI has no sign for a name that holds slashes. */
export function templateOf(path: string): string {
  return path.replace(/^\/v1/, "").replace(/\+\}/g, "}");
}

function operationObject(operation: Operation, template: string): JsonSchema {
  const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const described = Object.keys(operation.path ?? {});
  if (names.join() !== described.join()) throw new Error(`${template} has no such parameters as ${described.join()}`);
  const parameters = [
    ...parametersOf("path", operation.path),
    ...parametersOf("query", operation.query),
    ...parametersOf("header", operation.headers),
  ];
  return {
    operationId: operation.id,
    tags: [operation.tag],
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.body === undefined ? {} : { requestBody: bodyObject(operation.body) }),
    responses: responsesOf(operation),
  };
}

function parametersOf(place: "path" | "query" | "header", parameters: Operation["path"] = {}): JsonSchema[] {
  return Object.entries(parameters).map(([name, parameter]) => ({
    name,
    in: place,
    description: parameter.description,
    ...(parameter.required === true ? { required: true } : {}),
    schema: parameterSchema(parameter),
  }));
}

function parameterSchema({ schema, ...parameter }: Parameter): JsonSchema {
  const { description: _, ...made } = COMPONENTS.inline(schema, "input");
  return { ...made, ...(parameter.default === undefined ? {} : { default: parameter.default }) };
}

function bodyObject({ schema, examples }: NonNullable<Operation["body"]>): JsonSchema {
  const given = Object.entries(examples).map(([name, value]) => [name, { value }]);
  return {
    required: true,
    content: {
      "application/json": { schema: COMPONENTS.inline(schema, "input"), examples: Object.fromEntries(given) },
    },
  };
}

function responsesOf({ answers, problems, path }: Operation): Record<string, JsonSchema> {
  const statuses = [...EVERYWHERE, ...problems, ...(path === undefined ? [] : [PATH_PROBLEM])];
  const refused = statuses.map((status) => [status, { $ref: `#/components/responses/Problem${status}` }]);
  const answered = Object.entries(answers).map(([status, answer]) => [
    status,
    answerObject(answer, refused.some(([other]) => String(other) === status) ? Number(status) : undefined),
  ]);
  return Object.fromEntries([...refused, ...answered]);
}

/** `problem`: the same status is also one of problems. */
function answerObject({ description, media = [], headers = {}, ...answer }: Answer, problem?: number): JsonSchema {
  const { schema, example, messages } = answer;
  const json = schema === undefined ? {} : { "application/json": jsonMedia(schema, example) };
  const content = Object.fromEntries(media.map((one) => [one.type, mediaObject(one)]));
  const problemContent = problem === undefined ? {} : problemMedia(problem);
  const all = { ...json, ...content, ...problemContent };
  const sent = Object.entries(headers).map(([name, { when, description }]) => [
    name,
    { description, ...(when === "always" ? { required: true } : {}), schema: { type: "string" } },
  ]);
  return {
    description,
    ...(sent.length === 0 ? {} : { headers: Object.fromEntries(sent) }),
    ...(Object.keys(all).length === 0 ? {} : { content: all }),
    ...messagesOf(messages),
  };
}

function jsonMedia(schema: NonNullable<Answer["schema"]>, example: unknown): JsonSchema {
  return { schema: COMPONENTS.inline(schema, "output"), ...(example === undefined ? {} : { example }) };
}

function mediaObject({ type, description, messages, example }: Media): JsonSchema {
  return {
    // Bytes of any kind have no schema.
    schema: type === "*/*" ? { description } : { type: "string", description },
    ...(example === undefined ? {} : { example }),
    ...messagesOf(messages),
  };
}

/** OpenAPI 3.1 has no words for the messages inside of a stream. */
function messagesOf(messages: Media["messages"]): JsonSchema {
  if (messages === undefined) return {};
  const data = Object.entries(messages).map(([name, schema]) => [name, COMPONENTS.inline(schema, "output")]);
  return { "x-messages": Object.fromEntries(data) };
}

/** One response for each status that a problem document may have, with the codes that come with it. */
function problemResponses(): Record<string, JsonSchema> {
  const statuses = new Set([...Object.values(ERRORS).map(({ http }) => http), RANGE_PROBLEM]);
  const responses = [...statuses].sort().map((status) => [
    `Problem${status}`,
    {
      description: codesOf(status)
        .map((code) => ERRORS[code].title)
        .join(", or: "),
      ...([429, 503].includes(status)
        ? { headers: { "Retry-After": { description: "seconds", schema: { type: "integer", minimum: 0 } } } }
        : {}),
      content: problemMedia(status),
    },
  ]);
  return Object.fromEntries(responses);
}

function problemMedia(status: number): Record<string, JsonSchema> {
  const codes = codesOf(status);
  const schema = {
    allOf: [{ $ref: "#/components/schemas/Problem" }],
    properties: { status: { const: status }, code: { enum: codes } },
  };
  const examples = Object.fromEntries(codes.map((code) => [code, { value: { ...problemExample(code), status } }]));
  return { "application/problem+json": { schema, examples } };
}

function codesOf(status: number): ErrorCode[] {
  if (status === RANGE_PROBLEM) return ["VALIDATION"];
  const codes = Object.keys(ERRORS) as ErrorCode[];
  return codes.filter((code) => ERRORS[code].http === status);
}
