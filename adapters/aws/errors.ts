import { LongshoreError } from "../../engine/errors.ts";

/** A service refuses more for now: https://docs.aws.amazon.com/general/latest/gr/api-retries.html */
const THROTTLES: ReadonlySet<string> = new Set([
  "BandwidthLimitExceeded",
  "LimitExceededException",
  "PriorRequestNotComplete",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "RequestThrottled",
  "RequestThrottledException",
  "SlowDown",
  "ThrottledException",
  "Throttling",
  "ThrottlingError",
  "ThrottlingException",
  "TooManyRequestsException",
]);

/** Nobody is to blame, and another try may help, though the service answered below 500. */
const TRANSIENT: ReadonlySet<string> = new Set([
  "RequestTimeout",
  "RequestTimeoutException",
  "TimeoutError",
  "TransactionInProgressException",
]);

/**
 * The name that a service or the network gave a failure, such as `ThrottlingException` or `ECONNRESET`, or the status of
 * an answer that could not be read; null for none.
 */
export function awsCode(thrown: unknown): string | null {
  if (!(thrown instanceof Error)) return null;
  const status = awsStatus(thrown);
  if (thrown.name === "SyntaxError" && status !== undefined) return `HTTP ${status}`;
  if (thrown.name !== "Error") return thrown.name;
  return "code" in thrown && typeof thrown.code === "string" ? thrown.code : null;
}

/** The HTTP status of the service's answer; undefined when none came. */
export function awsStatus(thrown: unknown): number | undefined {
  const { httpStatusCode } = (thrown as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata ?? {};
  return httpStatusCode;
}

/**
 * A failed call of an AWS service as Longshore's own error: UNAVAILABLE for a throttle, a 5xx or a network that failed,
 * INTERNAL for anything else (a deployment that lacks a right or a resource, or a bad request of ours). `what` says in
 * words what was tried. The service's own error is not handed on: its message may quote what was sent, and it
 * can hold the whole call with the credentials that signed it. The cause says where and by which request it failed.
 */
export function awsError(what: string, thrown: unknown): LongshoreError {
  if (thrown instanceof LongshoreError) return thrown;
  const providerCode = awsCode(thrown);
  const status = awsStatus(thrown);
  const passing =
    status === undefined ||
    status >= 500 ||
    status === 429 ||
    THROTTLES.has(providerCode ?? "") ||
    TRANSIENT.has(providerCode ?? "");
  return new LongshoreError(
    passing && thrown instanceof Error ? "UNAVAILABLE" : "INTERNAL",
    `${what} failed: ${providerCode ?? "unknown"}`,
    {
      cause: causeOf(thrown),
      providerCode,
    },
  );
}

/** What may be logged of a failed call: its code, the service's number for it, and where it was made. */
function causeOf(thrown: unknown): Error | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const { requestId } = (thrown as { $metadata?: { requestId?: string } }).$metadata ?? {};
  const cause = new Error(`${awsCode(thrown) ?? "unknown"}, request ${requestId ?? "without an answer"}`);
  const frames = thrown.stack?.split("\n").filter((line) => /^ {4}at /.test(line)) ?? [];
  cause.stack = [`Error: ${cause.message}`, ...frames].join("\n");
  return cause;
}

/** Runs one call of a service; its failure becomes a LongshoreError, as `awsError` tells. */
export async function calling<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    throw awsError(what, thrown);
  }
}
