import { LongshoreError } from "../../engine/errors.ts";
import { isJobId, jobOfDeadLetter } from "../../engine/ids.ts";
import type { Logger } from "../../engine/ports/logger.ts";
import { type ApiEvent, type ApiResult, instanceOf, problem } from "../http.ts";
import { matchPath } from "../routes.ts";

/** Part of every answer, which API Gateway hands on as it is. */
const ALWAYS = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

/** The id of the job in a request's path, also where it names the job's run or dead letter. */
export function jobIdOfPath(event: ApiEvent): string | undefined {
  const [, of, id = ""] = /\/(jobs|runs|dead-letters)\/(\w+)(?:\/|$)/.exec(event.path) ?? [];
  return of !== "dead-letters" ? (isJobId(id) ? id : undefined) : jobOfDeadLetter(id);
}

/**
 * What is wrong with a request's path or method, as an answer: API Gateway hands on all that it has no route for.
 * Undefined when the API has the route.
 */
export function refusalOf(event: ApiEvent, logger: Logger): ApiResult | undefined {
  const { methods } = matchPath(event.path);
  if (methods.includes(event.httpMethod)) return undefined;
  if (methods.length === 0) {
    return problem(new LongshoreError("NOT_FOUND", "there is no such resource"), instanceOf(event), logger);
  }
  const error = new LongshoreError("METHOD_NOT_ALLOWED", `${event.httpMethod} is not possible here`);
  const refused = problem(error, instanceOf(event), logger);
  return { ...refused, headers: { ...refused.headers, Allow: methods.join(", ") } };
}

/** A handler of the API that is asked for anything, and answers what the API does not have by a problem document. */
export function front<C>(
  logger: Logger,
  handler: (event: ApiEvent, context: C) => Promise<ApiResult> | ApiResult,
): (event: ApiEvent, context: C) => Promise<ApiResult> {
  return async (called, context) => {
    // API Gateway takes a path with a slash behind it for another one, which it hands to the function of all the rest.
    const event = { ...called, path: called.path.replace(/(?<=.)\/$/, "") };
    const answer = refusalOf(event, logger) ?? (await handler(event, context));
    return { ...answer, headers: { ...ALWAYS, ...answer.headers } };
  };
}
