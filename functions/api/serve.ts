import { createHash } from "node:crypto";
import { type ApiEvent, type ApiResult, header, instanceOf, json } from "../http.ts";
import { makeDocument } from "./document.ts";

/** Answers with the description of the API, as it is where it was asked for; 304 to who has it already. */
export function describeApi(event: ApiEvent): ApiResult {
  const document = makeDocument({ serverUrl: serverUrlOf(event) });
  const answer = json(200, document);
  const etag = `"${createHash("sha256").update(answer.body).digest("base64url")}"`;
  const headers = { ETag: etag, "Cache-Control": "no-cache" };
  if (has(header(event, "if-none-match"), etag)) return { statusCode: 304, headers, body: "" };
  return { ...answer, headers: { ...answer.headers, ...headers } };
}

/** Whether one of the tags of an `If-None-Match` is this one; a proxy may have made it a weak one (RFC 9110, 13.1.2). */
function has(tags: string | undefined, etag: string): boolean {
  if (tags === undefined) return false;
  const given = tags.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return given.includes(etag) || given.includes("*");
}

/** The URL below which the routes are, as the caller reached it: API Gateway tells the domain, the local door its own. */
function serverUrlOf(event: ApiEvent): string {
  const base = instanceOf(event).replace(/\/openapi\.json\/?$/, "");
  const domain = event.requestContext?.domainName;
  if (domain !== undefined) return `https://${domain}${base}`;
  const host = header(event, "host");
  return host === undefined ? base : `http://${host}${base}`;
}
