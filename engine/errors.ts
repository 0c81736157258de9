/** The ten categories by which Longshore decides about a failed attempt. */
export const CATEGORIES = [
  "AUTH",
  "QUOTA",
  "NOT_FOUND",
  "RUNTIME_UNAVAILABLE",
  "IMAGE_PULL",
  "OOM",
  "TIMEOUT",
  "USER_CODE",
  "VALIDATION",
  "UNKNOWN",
] as const;
export type Category = (typeof CATEGORIES)[number];

/** Codes of the HTTP contract that are no category of a failed attempt. */
export const PROTOCOL_CODES = [
  "CONFLICT",
  "QUEUE_FULL",
  "PAYLOAD_TOO_LARGE",
  "MALFORMED",
  "UNAUTHENTICATED",
  "FORBIDDEN",
  "METHOD_NOT_ALLOWED",
  "UNSUPPORTED_MEDIA_TYPE",
  "UPGRADE_REQUIRED",
  "UNAVAILABLE",
  "INTERNAL",
] as const;
export type ErrorCode = Category | (typeof PROTOCOL_CODES)[number];

/**
 * The one error table: the HTTP status that a code has as an answer, whether another attempt may help
 * (the default of `error.retryable`), and the title of its problem document.
 */
export const ERRORS: Readonly<Record<ErrorCode, { http: number; retryable: boolean; title: string }>> = {
  AUTH: { http: 502, retryable: true, title: "Credentials were refused" },
  QUOTA: { http: 429, retryable: false, title: "Quota exceeded" },
  NOT_FOUND: { http: 404, retryable: false, title: "Not found" },
  RUNTIME_UNAVAILABLE: { http: 503, retryable: true, title: "Runtime unavailable" },
  IMAGE_PULL: { http: 502, retryable: true, title: "Image pull failed" },
  OOM: { http: 500, retryable: false, title: "Out of memory" },
  TIMEOUT: { http: 504, retryable: false, title: "Timed out" },
  USER_CODE: { http: 500, retryable: false, title: "The job's own command failed" },
  VALIDATION: { http: 422, retryable: false, title: "Invalid request" },
  UNKNOWN: { http: 500, retryable: true, title: "Unknown failure" },
  CONFLICT: { http: 409, retryable: false, title: "Conflict" },
  QUEUE_FULL: { http: 429, retryable: true, title: "Queue full" },
  PAYLOAD_TOO_LARGE: { http: 413, retryable: false, title: "Payload too large" },
  MALFORMED: { http: 400, retryable: false, title: "Malformed request" },
  UNAUTHENTICATED: { http: 401, retryable: false, title: "Not authenticated" },
  FORBIDDEN: { http: 403, retryable: false, title: "Forbidden" },
  METHOD_NOT_ALLOWED: { http: 405, retryable: false, title: "Method not allowed" },
  UNSUPPORTED_MEDIA_TYPE: { http: 415, retryable: false, title: "Unsupported media type" },
  UPGRADE_REQUIRED: { http: 426, retryable: false, title: "Upgrade required" },
  UNAVAILABLE: { http: 503, retryable: true, title: "Unavailable" },
  INTERNAL: { http: 500, retryable: true, title: "Internal error" },
};

/** One thing wrong with a request: the path of the field (`env.A`, `volumes.0.source`), a stable code, a sentence. */
export interface Violation {
  path: string;
  code: string;
  message: string;
}

export interface ErrorDetails {
  cause?: unknown;
  violations?: Violation[];
  /** The provider's own code or HTTP status, such as `404` of a Docker Engine. */
  providerCode?: string | null;
  /** Seconds after which the caller may try again. */
  retryAfterSeconds?: number;
  /** Of a launch: the runtime's own id for what it made for it and ended before the command was started. */
  unstarted?: string;
}

/** The only error that Longshore throws on purpose. Decisions use `code`, never the message. */
export class LongshoreError extends Error {
  readonly code: ErrorCode;
  readonly violations: Violation[] | undefined;
  readonly providerCode: string | null;
  readonly retryAfterSeconds: number | undefined;
  readonly unstarted: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "LongshoreError";
    this.code = code;
    this.violations = details.violations;
    this.providerCode = details.providerCode ?? null;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.unstarted = details.unstarted;
  }
}

/** Why an attempt or a job failed, as the record and the API show it. */
export interface JobError {
  category: Category;
  message: string;
  retryable: boolean;
  providerCode: string | null;
  exitCode: number | null;
}

export function isCategory(code: string): code is Category {
  return (CATEGORIES as readonly string[]).includes(code);
}

/** Bytes of an error's message and of its provider's code: a job's item has to stay small. */
const MAX_MESSAGE_BYTES = 512;
const MAX_CODE_BYTES = 128;

/** A text of at most so many bytes in UTF-8; what is left out is marked by an ellipsis, and no character is cut in two. */
function atMost(bytes: number, text: string): string {
  const whole = Buffer.from(text);
  if (whole.length <= bytes) return text;
  let end = bytes - Buffer.byteLength("…");
  // A byte 10xxxxxx goes on with the character before it.
  while (end > 0 && ((whole[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${whole.toString("utf8", 0, end)}…`;
}

/**
 * A job's error from a category; `retryable` is the table's, whatever the spec's `retry.on` says. Of a message no more
 * than 512 bytes is kept.
 */
export function jobError(
  category: Category,
  message: string,
  facts: { providerCode?: string | null; exitCode?: number | null } = {},
): JobError {
  return {
    category,
    message: atMost(MAX_MESSAGE_BYTES, message),
    retryable: ERRORS[category].retryable,
    providerCode: facts.providerCode == null ? null : atMost(MAX_CODE_BYTES, facts.providerCode),
    exitCode: facts.exitCode ?? null,
  };
}

/**
 * Anything thrown, as a LongshoreError. What is not one already becomes `fallback` with the original as its cause, and
 * without its text: nobody wrote that for people to read, and it may hold a path of the server. Whoever shows the error
 * logs its cause.
 */
export function asLongshoreError(thrown: unknown, fallback: ErrorCode = "INTERNAL"): LongshoreError {
  if (thrown instanceof LongshoreError) return thrown;
  return new LongshoreError(fallback, "an unforeseen error in Longshore; see its log", { cause: thrown });
}
