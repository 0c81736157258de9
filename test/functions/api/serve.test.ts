import { beforeAll, describe, expect, it } from "vitest";
import type { EngineContext } from "../../../engine/context.ts";
import type { ApiEvent, ApiResult } from "../../../functions/http.ts";
import { makeHandler } from "../../../functions/query.ts";
import { invoke } from "../../../local/invoke.ts";
import { silentLogger } from "../aws/silent.ts";

const query = makeHandler({ logger: silentLogger } as EngineContext);

/** Asks for the description as a front door hands it on. */
async function ask(given: { headers?: Record<string, string>; domainName?: string; path?: string } = {}) {
  const { headers = {}, domainName, path = "/api/v1/openapi.json" } = given;
  return await invoke<ApiEvent, ApiResult>(query, {
    httpMethod: "GET",
    path: "/v1/openapi.json",
    headers,
    requestContext: { path, ...(domainName === undefined ? {} : { domainName }) },
  } as ApiEvent);
}
const serversOf = ({ body }: ApiResult) => (JSON.parse(body) as { servers: { url: string }[] }).servers;

describe("the description of the API, where it is asked for", () => {
  let first: ApiResult;
  let etag: string;
  beforeAll(async () => {
    first = await ask({ headers: { Host: "127.0.0.1:7070" } });
    etag = String(first.headers?.ETag);
  });

  it("names the door that was asked", async () => {
    expect(first.statusCode).toBe(200);
    expect(first.headers?.["Content-Type"]).toBe("application/json");
    expect(serversOf(first)).toEqual([{ url: "http://127.0.0.1:7070/api/v1" }]);
    expect(serversOf(await ask({ headers: { host: "localhost:1" } }))).toEqual([{ url: "http://localhost:1/api/v1" }]);
  });

  it("names the API in AWS, also behind a domain of the operator's", async () => {
    const domainName = "abc.execute-api.eu-west-1.amazonaws.com";
    // What a caller writes into Host is not what API Gateway says.
    const headers = { Host: "elsewhere.example" };
    expect(serversOf(await ask({ domainName, headers }))).toEqual([{ url: `https://${domainName}/api/v1` }]);
    const own = await ask({ domainName: "jobs.example.org", path: "/base/v1/openapi.json/" });
    expect(serversOf(own)).toEqual([{ url: "https://jobs.example.org/base/v1" }]);
  });

  it("has a tag that stays while it is the same, and changes with it", async () => {
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    expect((await ask({ headers: { Host: "127.0.0.1:7070" } })).headers?.ETag).toBe(etag);
    expect((await ask({ headers: { Host: "127.0.0.1:7071" } })).headers?.ETag).not.toBe(etag);
  });

  it("is not sent again to who has it", async () => {
    for (const tags of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const answer = await ask({ headers: { Host: "127.0.0.1:7070", "If-None-Match": tags } });
      expect([answer.statusCode, answer.body, answer.headers?.ETag], tags).toEqual([304, "", etag]);
    }
    for (const tags of ['"other"', etag.slice(0, -2), ""]) {
      const answer = await ask({ headers: { Host: "127.0.0.1:7070", "If-None-Match": tags } });
      expect(answer.statusCode, tags).toBe(200);
    }
  });
});
