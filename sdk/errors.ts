import type { ErrorCode, Problem, Violation } from "./types.ts";

/** Longshore answered with an error; `problem` is its document. Decide by `code`, never by the message. */
export class ApiError extends Error {
  readonly problem: Problem;
  readonly status: number;
  readonly code: ErrorCode;
  readonly violations: Violation[];
  /** Seconds after which the same request may succeed; undefined when the answer did not say. */
  readonly retryAfterSeconds: number | undefined;
  /** What may help, a sentence each, for people. */
  readonly hints: readonly string[];

  constructor(problem: Problem, retryAfterSeconds?: number, hints: readonly string[] = []) {
    super(problem.detail ?? problem.title);
    this.name = "ApiError";
    this.problem = problem;
    this.status = problem.status;
    this.code = problem.code;
    this.violations = problem.violations ?? [];
    this.retryAfterSeconds = retryAfterSeconds;
    this.hints = hints;
  }
}

/** A request cannot be signed: there are no credentials, or none that can be used. The message holds nothing of them. */
export class CredentialsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "CredentialsError";
  }
}

/** The bytes of an artifact are not those that were stored: what was received must not be used. */
export class ChecksumError extends Error {
  /** The artifact's. */
  readonly artifact: string;
  constructor(artifact: string, what: string) {
    super(`${artifact} was not received as it was stored: ${what}`);
    this.name = "ChecksumError";
    this.artifact = artifact;
  }
}

/** Nothing answered, the connection broke, or what answered is no Longshore. */
export class ConnectionError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "ConnectionError";
  }
}

/** What a status says by itself. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  401: "UNAUTHENTICATED",
  403: "FORBIDDEN",
  404: "NOT_FOUND",
  503: "UNAVAILABLE",
};

/**
 * The problem document of an answer that is no success; one is made up from the status when the body holds none,
 * as when a proxy on the way answered.
 */
export async function problemOf(response: Response): Promise<ApiError> {
  const fallback: Problem = {
    type: "about:blank",
    title: response.statusText || `HTTP ${response.status}`,
    status: response.status,
    code: CODES[response.status] ?? "UNKNOWN",
  };
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfterSeconds = Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
  // A body that broke off says less than the status that came before it.
  const text = await response.text().catch(() => "");
  return new ApiError(parseProblem(text) ?? fallback, retryAfterSeconds);
}

function parseProblem(text: string): Problem | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return undefined;
  }
  const problem = body as Partial<Problem> | null;
  const complete =
    typeof problem === "object" &&
    typeof problem?.status === "number" &&
    typeof problem.code === "string" &&
    typeof problem.title === "string";
  return complete ? (problem as Problem) : undefined;
}
