import type { ServerResponse } from "node:http";
import { GATEWAY_PROBLEMS } from "../../infra/constructs/api.ts";

/** What API Gateway answers by itself, by its own names. */
const ERROR_TYPES = {
  MISSING_AUTHENTICATION_TOKEN: "MissingAuthenticationTokenException",
  INVALID_SIGNATURE: "InvalidSignatureException",
  EXPIRED_TOKEN: "ExpiredTokenException",
  ACCESS_DENIED: "AccessDeniedException",
  REQUEST_TOO_LARGE: "RequestEntityTooLargeException",
  INTEGRATION_FAILURE: "InternalServerErrorException",
} as const;

export type GatewayResponse = keyof typeof ERROR_TYPES;

/** Answers as API Gateway does by itself, in the words that the stack gives it. `path`: with the stage. */
export function answerByGateway(response: ServerResponse, type: GatewayResponse, path: string): void {
  const found = GATEWAY_PROBLEMS.find(([{ responseType }]) => responseType === type);
  if (found === undefined) throw new Error(`the stack has no answer for ${type}`);
  const [, status, code, title, detail] = found;
  const body = { type: "about:blank", title, status, detail, code, instance: path };
  response
    .writeHead(status, { "Content-Type": "application/problem+json", "x-amzn-ErrorType": ERROR_TYPES[type] })
    .end(JSON.stringify(body));
}
