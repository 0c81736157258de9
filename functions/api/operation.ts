import * as z from "zod";
import { IDEMPOTENCY_KEY, MAX_IDEMPOTENCY_KEY } from "../params.ts";
import type { LOCAL_ROUTES, ROUTES } from "../routes.ts";
import { deadLetterId, jobId } from "./shapes.ts";

/** A route as its method and its path under the stage: `GET /v1/jobs/{id}`. */
export type RouteName = NameOf<(typeof ROUTES | typeof LOCAL_ROUTES)[number]>;
type NameOf<R> = R extends readonly [infer M extends string, infer P extends string] ? `${M} ${P}` : never;

export interface Parameter {
  schema: z.ZodType;
  description: string;
  required?: boolean;
  /** A list that is given by naming the parameter again; default: one value. */
  repeatable?: boolean;
  default?: unknown;
}

/** What an answer may hold besides JSON. */
export interface Media {
  type: string;
  description: string;
  /** The messages of a stream of events, by the name of the event. */
  messages?: Readonly<Record<string, z.ZodType>>;
  example?: string;
}

export interface Answer {
  description: string;
  /** The JSON document of the answer; default: there is none. */
  schema?: z.ZodType;
  example?: unknown;
  /** What comes instead where the request asks for it. */
  media?: readonly Media[];
  /** The messages of the connection that the answer opens, by the name of the event. */
  messages?: Readonly<Record<string, z.ZodType>>;
  /** Headers that always come (`always`) or sometimes (`sometimes`), with what they say. */
  headers?: Readonly<Record<string, { when: "always" | "sometimes"; description: string }>>;
}

/** One call of the API as its description tells it. */
export interface Operation {
  /** The name that clients give it. */
  id: string;
  tag: Tag;
  summary: string;
  description?: string;
  path?: Readonly<Record<string, Parameter>>;
  query?: Readonly<Record<string, Parameter>>;
  headers?: Readonly<Record<string, Parameter>>;
  /** The body of the request; default: it needs none. */
  body?: { schema: z.ZodType; examples: Readonly<Record<string, unknown>> };
  answers: Readonly<Record<number, Answer>>;
  /** Statuses of problem documents beyond those that every call may have. */
  problems: readonly number[];
}

export const TAGS = {
  jobs: "Submit container jobs, follow them, stop them.",
  runs: "The durable accounts of finished jobs.",
  "dead letters": "Jobs that failed for good: read, run again, forget.",
  runtimes: "The places that run jobs.",
  home: "Longshore itself.",
} as const;
export type Tag = keyof typeof TAGS;

/** An operation, its types kept: the client's types are compared with them. */
export function operation<const O extends Operation>(one: O): O {
  return one;
}

/** The parameters that a handler parses with the schema, each with what is to be said of it. */
export function queryOf<S extends z.ZodRawShape>(
  { shape }: z.ZodObject<S>,
  descriptions: Record<keyof S & string, string>,
): Record<string, Parameter> {
  const entries = Object.entries(shape as z.ZodRawShape).map(([name, schema]) => [
    name,
    parameter(schema as z.ZodType, descriptions[name as keyof typeof descriptions]),
  ]);
  return Object.fromEntries(entries);
}

function parameter(schema: z.ZodType, description: string): Parameter {
  if (schema instanceof z.ZodOptional) return parameter(schema.unwrap() as z.ZodType, description);
  if (schema instanceof z.ZodDefault) {
    return { ...parameter(schema.unwrap() as z.ZodType, description), default: schema.def.defaultValue };
  }
  return { schema, description, ...(schema instanceof z.ZodArray ? { repeatable: true } : {}) };
}

export const JOB_IN_PATH = { id: { schema: jobId, description: "the job", required: true } } as const;
export const DEAD_LETTER_IN_PATH = {
  id: { schema: deadLetterId, description: "the dead letter", required: true },
} as const;

export const IDEMPOTENCY = {
  "Idempotency-Key": {
    schema: z.string().min(1).max(MAX_IDEMPOTENCY_KEY).regex(IDEMPOTENCY_KEY),
    description:
      "the same key and request give the first job again; the same key with another request is a conflict, per caller",
  },
} as const;

export const LAST_EVENT_ID = {
  "Last-Event-ID": {
    schema: z.string().regex(/^\d{1,15}$/),
    description: "of a stream: go on after the message with this id",
  },
} as const;

/** Where in a trace the caller is, by W3C Trace Context. */
export const TRACE = {
  traceparent: {
    schema: z.string(),
    description: "the trace that the job becomes a part of (W3C Trace Context); what is not valid is ignored",
  },
  tracestate: { schema: z.string(), description: "the vendors' part of it" },
} as const;

export const IF_NONE_MATCH = {
  "If-None-Match": { schema: z.string(), description: "the `ETag` of what the caller has" },
} as const;

export const LOCATION = { Location: { when: "always", description: "the path of the new job" } } as const;
export const NEXT_LINK = {
  Link: { when: "sometimes", description: '`rel="next"`: the path of the next page, while there may be one' },
} as const;

/** What comes with a body of the request's: it may be no JSON, too large, of another type, or wrong. */
export const BODY_PROBLEMS = [400, 413, 415, 422] as const;
