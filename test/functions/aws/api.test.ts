import { describe, expect, it } from "vitest";
import { front, jobIdOfPath } from "../../../functions/aws/api.ts";
import { type ApiEvent, json } from "../../../functions/http.ts";
import { silentLogger } from "./silent.ts";

const ULID = "01JDZZZZZZ0000000000000001";
const jobOf = (path: string) => jobIdOfPath({ path } as ApiEvent);

describe("the job of a request, for its log and its trace", () => {
  it("is the one in its path, or that of the dead letter in its path", () => {
    const known = [`/v1/jobs/job_${ULID}`, `/v1/jobs/job_${ULID}/logs`, `/v1/dead-letters/dl_${ULID}/replay`];
    expect(known.map(jobOf)).toEqual(known.map(() => `job_${ULID}`));
  });

  it("is none where the path names none", () => {
    const others = ["/v1/jobs", "/v1/jobs/batch", `/v1/jobs/dl_${ULID}`, `/v1/dead-letters/job_${ULID}`];
    const odd = [`/v1/jobs/job_${ULID}x`, "/v1/jobs/job_", `/v1/runtimes/job_${ULID}`, "/v1/jobs/secret_value"];
    for (const path of [...others, ...odd]) expect(jobOf(path), path).toBeUndefined();
  });
});

describe("the front of a function behind the API", () => {
  const paths: string[] = [];
  const handler = front(silentLogger, async (event) => {
    paths.push(event.path);
    return json(200, {});
  });
  const call = async (httpMethod: string, path: string) => await handler({ httpMethod, path } as ApiEvent, {});

  it("takes a path with a slash behind it for the one without", async () => {
    for (const path of ["/v1/jobs", "/v1/jobs/", `/v1/jobs/job_${ULID}/`]) {
      expect((await call("GET", path)).statusCode, path).toBe(200);
    }
    expect(paths).toEqual(["/v1/jobs", "/v1/jobs", `/v1/jobs/job_${ULID}`]);
    expect((await call("GET", "/")).statusCode).toBe(404);
  });
});
