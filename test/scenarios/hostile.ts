import { once } from "node:events";
import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Answer, call, givesNothingAway, problemOf, submit, type Target, until } from "./client.ts";
import type { Job, Page, Spec } from "./contract.ts";
import { onlyWhere } from "./homes.ts";
import { hostileBody } from "./hostile-specs.ts";
import { rawCall, talk } from "./raw-http.ts";
import { stubJob } from "./runtimes.ts";

/** A value that must come back in no answer, whatever is wrong with the request that held it. */
export const HOSTILE_SECRET = "zq7-Tr0ub4dor-and-3-more-words";
const env = { DB_PASSWORD: HOSTILE_SECRET };
const MANY = 10_000;
const READS_HTTP = "in AWS it is API Gateway that reads HTTP: what it refuses never reaches Longshore";
const HANDS_ON_TEXT = "in AWS API Gateway hands a body on as text, with a mark where it was not UTF-8";
const KNOWS_CALLERS = "in AWS every request is signed: no web page can send one";
const JSON_TYPE = { "Content-Type": "application/json" };

const post = (target: Target, body: string | Uint8Array, headers: Record<string, string> = JSON_TYPE) =>
  rawCall(target, "/jobs", { method: "POST", body, headers });
const stub = (more: Spec = {}) => stubJob(env, more);
const list = async (target: Target) => (await call<Page<Job>>(target, "/jobs?limit=200")).body.items;

/** What must be refused with a pointed message and leave no trace. `places` are prepared by the home's operator. */
export function hostileRequests(target: Target, places: () => { outside: string; linkInside: string }): void {
  describe("a hostile request", () => {
    const ids = async () => (await list(target)).map(({ jobId }) => jobId);
    let before: string[];
    beforeAll(async () => {
      before = await ids();
    });
    // A list takes the lab's AWS half a second: there it is looked at once.
    const look = target.home === "aws" ? afterAll : afterEach;
    look(async () => {
      expect(await ids()).toEqual(before);
    });

    it.each([
      "",
      "{",
      "nonsense",
      '{"runtime":"stub"}}',
      "{'runtime':'stub'}",
      "NaN",
      `{"env":{"DB_PASSWORD":"${HOSTILE_SECRET}"`,
    ])("is MALFORMED when its body is not JSON: %s", async (body) => {
      const { detail } = problemOf(await post(target, body), 400, "MALFORMED");
      expect(detail).toMatch(/JSON/);
      problemOf(await rawCall(target, "/jobs/batch", { method: "POST", body, headers: JSON_TYPE }), 400, "MALFORMED");
    });

    onlyWhere(target, "local", {
      reason: HANDS_ON_TEXT,
      fn: () => {
        it("is MALFORMED when its body is not UTF-8", async () => {
          const body = Buffer.concat([
            Buffer.from('{"runtime":"stub","env":{"A":"'),
            Buffer.from([0xc3, 0x28, 0xff]),
            Buffer.from('"}}'),
          ]);
          expect(problemOf(await post(target, body), 400, "MALFORMED").detail).toMatch(/UTF-8/);
        });
      },
    });

    it.each(["null", "[]", '"text"', "1", "true"])("is refused when its body is %s", async (body) => {
      expect(problemOf(await post(target, body), 422, "VALIDATION").violations?.[0]?.path).toBe("spec");
    });

    const wrong: Record<string, unknown> = {
      name: 1,
      image: [],
      command: "sh",
      args: { 0: "a" },
      env: ["A=1"],
      secrets: [],
      sensitive: "A",
      runtime: {},
      resources: 1,
      timeoutSeconds: "10",
      retry: 3,
      artifacts: ["/out"],
      logs: true,
      volumes: {},
      workdir: 1,
      user: 1000,
      network: "none",
      security: [],
      labels: "a=b",
      lane: null,
      priority: "high",
      concurrencyKey: {},
      stopGraceSeconds: [],
      cleanup: true,
      registryAuth: "env:A",
      sidecars: {},
      initContainers: "a",
      healthCheck: [],
      placement: true,
      budget: 5,
    };
    it.each(Object.entries(wrong))("is refused for the wrong type of %s", async (key, value) => {
      const { violations, detail } = problemOf(
        await call(target, "/jobs", { body: { ...stub(), [key]: value } }),
        422,
        "VALIDATION",
      );
      expect(violations?.map(({ path }) => path)).toContain(key);
      expect(detail).toContain(key);
    });

    it.each<[string, Spec, string]>([
      ["an unknown key", { imagee: "alpine" }, "imagee"],
      ["an unknown key inside", { retry: { maxAttemps: 3 } }, "retry.maxAttemps"],
      ["the prototype's key", JSON.parse('{"__proto__":{"image":"alpine"}}') as Spec, "__proto__"],
      ["../ in the name", { name: "../../etc/passwd" }, "name"],
      ["a name that is no DNS label", { name: "Nightly_Job" }, "name"],
      ["../ in the working directory", { workdir: "/work/../../etc" }, "workdir"],
      ["../ in an artifact", { artifacts: { paths: ["/out/../../etc/*"] } }, "artifacts.paths.0"],
      ["../ in a secret's file", { secrets: { A: { from: "file:/run/../etc/shadow" } } }, "secrets.A.from"],
      ["../ in a mount", { volumes: [{ source: "/data/../etc", target: "/data" }] }, "volumes.0.source"],
      ["../ in an image", { image: "../../etc/passwd" }, "image"],
      ["NUL in the name", { name: "a\0b" }, "name"],
      ["NUL in the command", { command: ["sh", "a\0b"] }, "command.1"],
      ["NUL in a variable", { env: { A: "a\0b" } }, "env.A"],
      ["NUL in a label", { labels: { a: "a\0b" } }, "labels.a"],
      ["a lone surrogate", { env: { A: "\ud800" } }, "env.A"],
      ["a malformed image", { image: "Alpine:3.20:4" }, "image"],
      ["a huge number", { priority: 1e300 }, "priority"],
      ["a timeout that no timer can hold", { timeoutSeconds: 2_000_001 }, "timeoutSeconds"],
      ["half an attempt", { retry: { maxAttempts: 1.5 } }, "retry.maxAttempts"],
      ["an added capability", { security: { addCapabilities: ["SYS_ADMIN"] } }, "security.addCapabilities"],
      ["a runtime that is not there", { runtime: "cloud9", image: "alpine" }, "runtime"],
      ["what the runtime cannot do", { sidecars: [{ name: "s", image: "alpine" }] }, "sidecars"],
    ])("is refused for %s, with the field", async (_, more, path) => {
      const body = { ...stub(), ...more, env: { ...env, ...(more.env as object | undefined) } };
      if (Object.hasOwn(more, "__proto__")) Object.defineProperty(body, "__proto__", { value: {}, enumerable: true });
      const { violations } = problemOf(await call(target, "/jobs", { body }), 422, "VALIDATION");
      expect(violations?.map((violation) => violation.path)).toContain(path);
    });

    it.each(['{"runtime":"stub","priority":1e999}', '{"runtime":"stub","timeoutSeconds":99999999999999999999}'])(
      "is refused for a number beyond all bounds: %s",
      async (body) => {
        problemOf(await post(target, body), 422, "VALIDATION");
      },
    );

    it("is refused for 10,000 variables", async () => {
      const variables = Object.fromEntries(Array.from({ length: MANY }, (_, n) => [`V${n}`, "x"]));
      const answer = await call(target, "/jobs", { body: stubJob({ ...env, ...variables }) });
      const { violations } = problemOf(answer, 422, "VALIDATION");
      expect(violations?.[0]).toMatchObject({ path: "env" });
      expect(violations?.[0]?.message).toContain(String(MANY + 1));
    });

    it("is refused for deep nesting", async () => {
      const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
      problemOf(await post(target, deep), 422, "VALIDATION");
      const inside = `{"runtime":"stub","env":{"A":${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}}}`;
      problemOf(await post(target, inside), 422, "VALIDATION");
      problemOf(await post(target, "[".repeat(200_000)), 400, "MALFORMED");
    });

    it.each([
      ["one byte more than 256 KiB", 256 * 1024 + 1],
      ["1 MiB", 1024 * 1024],
      ["20 MiB", 20 * 1024 * 1024],
    ])("is too large with %s", async (_, bytes) => {
      const frame = JSON.stringify(stubJob({ ...env, A: "" }));
      const body = frame.replace('"A":""', () => `"A":"${"x".repeat(bytes - Buffer.byteLength(frame))}"`);
      expect(Buffer.byteLength(body)).toBe(bytes);
      problemOf(await post(target, body), 413, "PAYLOAD_TOO_LARGE");
    });

    onlyWhere(target, "local", {
      reason: READS_HTTP,
      fn: () => {
        it("is too large in chunks that never end", async () => {
          const { hostname, port, host, pathname } = new URL(target.api());
          const socket = connect(Number(port), hostname);
          socket.on("error", () => undefined);
          await once(socket, "connect");
          const answered = new Promise<string>((resolve) => {
            let said = "";
            socket.setEncoding("utf8").on("data", (text: string) => {
              said += text;
              if (said.includes("instance")) resolve(said);
            });
            socket.once("close", () => resolve(said));
          });
          socket.write(
            `POST ${pathname}/jobs HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
          );
          const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
          const send = () => {
            while (!socket.destroyed && socket.write(chunk));
          };
          socket.on("drain", send);
          send();
          const said = await answered;
          socket.destroy();
          expect(said).toMatch(/^HTTP\/1.1 413 /);
          expect(said).toContain("PAYLOAD_TOO_LARGE");
        });

        it("keeps nobody else waiting with a body that does not come", async () => {
          const { hostname, port, host, pathname } = new URL(target.api());
          const slow = Array.from({ length: 50 }, () => connect(Number(port), hostname));
          for (const socket of slow) {
            socket.on("error", () => undefined);
            socket.write(
              `POST ${pathname}/jobs HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"`,
            );
          }
          await Promise.all(slow.map((socket) => once(socket, "connect")));
          expect((await call(target, "/health")).status).toBe(200);
          for (const socket of slow) socket.destroy();
          await Promise.all(slow.map((socket) => once(socket, "close")));
          expect((await call(target, "/health")).status).toBe(200);
        });
      },
    });

    onlyWhere(target, "local", {
      reason: KNOWS_CALLERS,
      fn: () => {
        it.each([
          ["a foreign origin", { Origin: "https://evil.example" }],
          ["no origin in particular", { Origin: "null" }],
          ["another port of this machine", { Origin: "http://127.0.0.1:1" }],
          ["a look-alike", { Origin: "http://127.0.0.1.evil.example" }],
          ["a foreign host", { Host: "evil.example" }],
          ["a host that was rebound to this machine", { Host: "evil.example:7070" }],
        ])("is FORBIDDEN from %s", async (_, headers) => {
          const body = JSON.stringify(stub());
          problemOf(await post(target, body, { ...JSON_TYPE, ...headers }), 403, "FORBIDDEN");
          problemOf(await rawCall(target, "/jobs", { headers }), 403, "FORBIDDEN");
        });
      },
    });

    it.each([
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/jsonp",
      "text/plain; application/json",
    ])("is refused with the content type %s", async (type) => {
      const body = JSON.stringify(stub());
      problemOf(await post(target, body, { "Content-Type": type }), 415, "UNSUPPORTED_MEDIA_TYPE");
    });

    it("is refused without a content type", async () => {
      problemOf(await post(target, JSON.stringify(stub()), {}), 415, "UNSUPPORTED_MEDIA_TYPE");
    });

    it.each([
      ["DELETE", "/jobs", ["GET", "POST"]],
      ["PUT", "/jobs", ["GET", "POST"]],
      ["GET", "/jobs/batch", ["POST"]],
      ["PATCH", "/jobs/job_01J00000000000000000000000", ["GET"]],
      ["GET", "/jobs/job_01J00000000000000000000000/cancel", ["POST"]],
      ["POST", "/jobs/job_01J00000000000000000000000/logs", ["GET"]],
      ["OPTIONS", "/jobs", ["GET", "POST"]],
      ["POST", "/health", ["GET"]],
    ])("is not allowed as %s %s", async (method, path, allowed) => {
      const answer = await rawCall(target, path, { method, headers: JSON_TYPE });
      problemOf(answer, 405, "METHOD_NOT_ALLOWED");
      expect(answer.headers.get("allow")?.split(", ").sort()).toEqual(allowed);
    });

    it.each([
      "/nope",
      "/jobs/job_01J00000000000000000000000/nope",
      "/jobs/xyz",
      "/jobs/job_",
      "/jobs/job_01j00000000000000000000000",
      "/jobs/job_Z1J00000000000000000000000",
      "/jobs/%00",
      "/jobs/..%2f..%2f..%2fetc%2fpasswd",
      "/../v2/jobs",
      "//jobs",
      "",
    ])("finds nothing at %s", async (path) => {
      problemOf(await rawCall(target, path), 404, "NOT_FOUND");
    });

    onlyWhere(target, "local", {
      reason: "in AWS what is mended on the way is not what was signed, and what is no stage is not Longshore's",
      fn: () => {
        it.each(["/jobs/../../../etc/passwd", "/runtimes/%2e%2e"])("finds nothing at %s", async (path) => {
          problemOf(await rawCall(target, path), 404, "NOT_FOUND");
        });
      },
    });

    it.each(["/jobs/%zz", "/jobs/%", "/jobs/%c3%28/events", "/runtimes/%e0%a4%a"])(
      "is MALFORMED with the path %s",
      async (path) => {
        problemOf(await rawCall(target, path), 400, "MALFORMED");
      },
    );

    onlyWhere(target, "local", {
      reason: READS_HTTP,
      fn: () => {
        it("is answered whatever its target looks like", async () => {
          const { host } = new URL(target.api());
          for (const place of ["//", "///", "http://[", "*", "/api/v1/jobs?%zz", "http://evil.example/api/v1/jobs"]) {
            const said = await talk(target, [`GET ${place} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`]);
            expect(said, place).toMatch(/^HTTP\/1\.1 (200|4\d\d) /);
            givesNothingAway(said);
          }
        });

        it.each([
          "GARBAGE\r\n\r\n",
          "\0\0\0\0\r\n\r\n",
          "GET /api/v1/health HTTP/1.1\r\n\r\n",
          `GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nA: ${"x".repeat(100_000)}\r\n\r\n`,
          "POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        ])("that is hardly HTTP is refused, and the next one answered", async (request) => {
          const said = await talk(target, [request]);
          expect(said).toMatch(/^HTTP\/1\.1 4\d\d /);
          givesNothingAway(said);
          expect((await call(target, "/health")).status).toBe(200);
        });

        it("behind a good one in a pipeline spoils nobody else's answer", async () => {
          const { host } = new URL(target.api());
          const good = `GET /api/v1/health HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
          const said = await talk(target, [`${good}\x16\x03\x01 garbage\r\n\r\n`]);
          expect(said).toMatch(/^HTTP\/1\.1 (200|400) /);
          givesNothingAway(said);
          expect((await call(target, "/health")).status).toBe(200);
        });
      },
    });

    it("is refused for a mount outside of the allowed roots, through a link too", async () => {
      const { outside, linkInside } = places();
      for (const source of [outside, "/", "/etc", linkInside, `${linkInside}/deeper`]) {
        const body = { runtime: "docker", image: "alpine", env, volumes: [{ source, target: "/data" }] };
        const { violations } = problemOf(
          await withoutItsOwnPath(call(target, "/jobs", { body }), source),
          422,
          "VALIDATION",
        );
        expect(violations?.map(({ path }) => path)).toEqual(["volumes.0.source"]);
      }
    });
  });
}

/** The submitter's own words may come back, and look like a place of the server's here. */
async function withoutItsOwnPath(answer: Promise<Answer<unknown>>, path: string): Promise<Answer<unknown>> {
  const said = await answer;
  return { ...said, text: said.text.replaceAll(path, "") };
}

/** Ids and cursors of nobody; on a job that is there. */
export function hostileParameters(target: Target): void {
  describe("a hostile parameter", () => {
    it.each([
      ["/events?cursor=x", "cursor"],
      ["/events?limit=0", "limit"],
      ["/events?limit=1001", "limit"],
      ["/logs?tail=-1", "tail"],
      ["/logs?tail=1e9", "tail"],
      ["/logs?since=yesterday", "since"],
      ["/logs?stream=stdin", "stream"],
      ["/logs?limit=99999999999999999999", "limit"],
      ["/logs?cursor=%00", "cursor"],
      ["/logs?follow=true&tail=x", "tail"],
    ])("at %s is refused by its name", async (query, name) => {
      const { jobId } = await submit(target, stub());
      const { violations } = problemOf(await call(target, `/jobs/${jobId}${query}`), 422, "VALIDATION");
      expect(violations?.[0]?.path).toBe(name);
    });

    it("named like an object's own members changes nothing", async () => {
      const body =
        '{"runtime":"stub","name":"proto","labels":{"constructor":"a","toString":"b"},"env":{"hasOwnProperty":"c"}}';
      const answer = await post(target, body);
      expect(answer.status, answer.text).toBe(202);
      const job = await until(target, (answer.body as Job).jobId, ({ status }) => expect(status).toBe("SUCCEEDED"));
      expect(job.labels).toEqual({ constructor: "a", toString: "b" });
      expect(job.spec.env).toEqual({ hasOwnProperty: "c" });
      const found = await call<Page<Job>>(target, "/jobs?label=constructor:a&name=proto");
      expect(found.body.items).toHaveLength(1);
      expect((await call<Page<Job>>(target, "/jobs?label=valueOf:a")).body.items).toEqual([]);
    });

    it("given twice in one object counts as it was written last", async () => {
      const answer = await post(target, '{"runtime":"stub","priority":1,"priority":2,"env":{"A":"1","A":"2"}}');
      expect(answer.status, answer.text).toBe(202);
      expect(answer.body).toMatchObject({ priority: 2, spec: { env: { A: "2" } } });
      problemOf(await post(target, '{"runtime":"stub","priority":1,"priority":1000}'), 422, "VALIDATION");
    });
  });
}

/** Ten thousand generated bodies: each is accepted or refused, none breaks anything. Only for a home without real runtimes. */
export function generatedSpecs(target: Target, many = MANY): void {
  it(`never answers 5xx to ${many} generated specs, and stores what it accepted`, { timeout: 180_000 }, async () => {
    const before = await count(target);
    const batch = Math.min(50, many);
    const counts = { accepted: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(hostileBody, { minLength: batch, maxLength: batch }), async (bodies) => {
        const answers = await Promise.all(bodies.map((body) => call(target, "/jobs", { body })));
        for (const answer of answers) {
          if (answer.status === 202) counts.accepted += 1;
          else {
            counts.refused += 1;
            expect([400, 413, 422], answer.text).toContain(answer.status);
            problemOf(
              answer,
              answer.status,
              answer.status === 400 ? "MALFORMED" : answer.status === 413 ? "PAYLOAD_TOO_LARGE" : "VALIDATION",
            );
          }
        }
      }),
      { numRuns: many / batch, endOnFailure: true },
    );
    console.log(`generated specs: ${counts.accepted} accepted, ${counts.refused} refused`);
    expect(counts.accepted).toBeGreaterThan(0);
    expect(counts.refused).toBeGreaterThan(0);
    expect((await count(target)) - before).toBe(counts.accepted);
    expect((await call(target, "/health")).status).toBe(200);
  });
}

async function count(target: Target): Promise<number> {
  let total = 0;
  let cursor = "";
  do {
    const { body } = await call<Page<Job>>(target, `/jobs?limit=200${cursor}`);
    total += body.items.length;
    cursor = body.nextCursor === null ? "" : `&cursor=${body.nextCursor}`;
  } while (cursor !== "");
  return total;
}
