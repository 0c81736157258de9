import { ApiError } from "./errors.ts";
import type { Sent } from "./sender.ts";

/** What API Gateway calls a request that it cannot tell the caller of, where it answers in its own words. */
const NOT_AUTHENTICATED =
  /^(ExpiredToken|IncompleteSignature|InvalidClientTokenId|InvalidSignature|MissingAuthenticationToken|UnrecognizedClient)/;

/** How far a signature's time may be from the clock of AWS. */
const MAX_SKEW_MS = 5 * 60_000;
const MINUTE_MS = 60_000;

const NOT_SIGNED =
  "the request was not signed: one to an execute-api host is; for another host say so (auth of the client, LONGSHORE_AUTH=aws for the command)";
const SIGNED_WRONG = [
  "the credentials are those of AWS's usual chain: `aws sts get-caller-identity` shows whose they are",
  "behind a domain of one's own the region must be that of the API (AWS_REGION for the command)",
];
const NOT_ALLOWED = "the caller's policies must allow execute-api:Invoke on this method and path of the API";

/** Whether the door did not let a request in because it could not tell the caller. */
export function isNotAuthenticated({ status, headers }: Response): boolean {
  return status === 401 || (status === 403 && NOT_AUTHENTICATED.test(headers.get("x-amzn-errortype") ?? ""));
}

/** An error answer with what may help: of one that was signed, and of one that should have been. `nowMs`: this clock. */
export function refusalOf(error: ApiError, { response, signedBy }: Sent, nowMs: number): ApiError {
  const { problem, retryAfterSeconds } = error;
  if (signedBy !== "caller" && isNotAuthenticated(response)) {
    const told = { ...problem, code: "UNAUTHENTICATED" } as const;
    if (signedBy === "nobody") return new ApiError(told, retryAfterSeconds, [NOT_SIGNED]);
    const skewMs = nowMs - Date.parse(response.headers.get("date") ?? "");
    if (!(Math.abs(skewMs) > MAX_SKEW_MS)) return new ApiError(told, retryAfterSeconds, SIGNED_WRONG);
    const minutes = Math.round(Math.abs(skewMs) / MINUTE_MS);
    const detail = `this machine's clock is ${minutes} minutes ${skewMs < 0 ? "behind" : "ahead of"} that of AWS`;
    return new ApiError({ ...told, detail }, retryAfterSeconds, [
      "a signature is good for five minutes: set the clock",
    ]);
  }
  if (signedBy === "nobody") return error;
  if (signedBy === "aws" && response.status === 403) return new ApiError(problem, retryAfterSeconds, [NOT_ALLOWED]);
  if (response.status < 300 || response.status >= 400) return error;
  const detail =
    "the answer is a redirect, which a signed request does not follow: the endpoint must be the API itself";
  return new ApiError({ ...problem, detail }, retryAfterSeconds);
}
