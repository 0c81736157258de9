import { once } from "node:events";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeHandler as query } from "../../functions/query.ts";
import { makeHandler as streamed } from "../../functions/stream.ts";
import { makeHandler as submit } from "../../functions/submit.ts";
import { createChanges } from "../../local/changes.ts";
import { type Gateway, openGateway } from "../../local/gateway.ts";
import { invoke } from "../../local/invoke.ts";
import { everyJob } from "../engine/ledger/fixtures.ts";
import { lifeOf, openWorld, submitted, type World } from "../engine/operations/world.ts";
import { type Answer, type CallOptions, call, problemOf } from "../scenarios/client.ts";
import type { Job, Page } from "../scenarios/contract.ts";
import { rawCall, talk } from "../scenarios/raw-http.ts";

let world: World;
let gateway: Gateway;
let told: { method: string; route: string; code: number }[];
const target = { api: () => `${gateway.url}/api/v1` };

beforeEach(async () => {
  world = await openWorld();
  const { ctx, ledger } = world;
  told = [];
  const changes = createChanges(ledger.sqlite.feed);
  const functions = {
    submit: submit(ctx),
    query: query(ctx),
    stream: streamed({ ctx, changes, progressOf: () => null, onProgress: () => () => undefined }),
  };
  gateway = await openGateway(
    {
      submit: (event) => invoke(functions.submit, event),
      query: (event) => invoke(functions.query, event),
      stream: functions.stream,
      metrics: async (accept) => ({
        statusCode: 200,
        headers: { "Content-Type": "text/plain" },
        body: `for ${accept}\n`,
      }),
      answered: (request) => void told.push(request),
    },
    0,
    ctx.logger,
  );
});
afterEach(async () => {
  await gateway.close();
  await world.dispose();
});

const send = <T = unknown>(path: string, options?: CallOptions): Promise<Answer<T>> => call<T>(target, path, options);
const stored = async () => (await everyJob(world.ledger.sqlite)).map(({ jobId }) => jobId);
const job = { runtime: "stub", name: "nightly" };

describe("regression: a query parameter", () => {
  it.each(["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"])(
    "named as a member of every object (%s) is ignored like any unknown one",
    async (name) => {
      const jobId = await submitted(world);
      for (const path of ["/jobs", `/jobs/${jobId}`, `/jobs/${jobId}/events`, `/jobs/${jobId}/logs`, "/runtimes"]) {
        const answer = await send(`${path}?${name}=1&${name}=2`);
        expect(answer.status, `${path}: ${answer.text}`).toBe(200);
      }
      expect((await send<Page<Job>>(`/jobs?${name}=1&name=other`)).body.items).toEqual([]);
      expect((await send(`/jobs?${name}=1`, { body: job })).status).toBe(202);
    },
  );

  it("named as a member of every object stays in the Link to the next page", async () => {
    await submitted(world);
    await submitted(world);
    const { headers } = await send("/jobs?limit=1&toString=1&__proto__=2");
    const next = /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1] ?? "";
    const { searchParams } = new URL(next, gateway.url);
    expect([searchParams.get("toString"), searchParams.get("__proto__"), searchParams.get("limit")]).toEqual([
      "1",
      "2",
      "1",
    ]);
    const rest = await fetch(new URL(next, gateway.url));
    expect(((await rest.json()) as Page<Job>).items).toHaveLength(1);
  });

  it.each([
    "+010000-01-01T00:00:00Z",
    "-000001-01-01T00:00:00Z",
    "0000-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-01:00",
    "99999-01-01",
    "1",
    "job 7",
    "2026-13-01",
    "2026-01-01T00:00:00",
    "",
  ])("with the time %j is refused by its name", async (time) => {
    for (const name of ["createdAfter", "createdBefore"]) {
      const answer = await send(`/jobs?${name}=${encodeURIComponent(time)}`);
      const { violations, detail } = problemOf(answer, 422, "VALIDATION");
      expect(violations?.map(({ path }) => path)).toEqual([name]);
      expect(detail).toMatch(/RFC 3339/);
    }
  });

  it("with a time of any offset is understood", async () => {
    const jobId = await submitted(world);
    const { createdAt } = (await lifeOf(world, jobId)).job;
    const hourLater = new Date(Date.parse(createdAt) + 3_600_000).toISOString();
    const found = async (query: string) => (await send<Page<Job>>(`/jobs?${query}`)).body.items.length;
    expect(await found(`createdBefore=${encodeURIComponent(hourLater.replace("Z", "+00:00"))}`)).toBe(1);
    // One hour later on a clock that is two hours ahead: an hour ago.
    expect(await found(`createdBefore=${encodeURIComponent(hourLater.replace("Z", "+02:00"))}`)).toBe(0);
    expect(await found("createdAfter=0000-01-01T00:00:00Z&createdBefore=9999-12-31T23:59:59.999Z")).toBe(1);
    expect(await found("createdAfter=2000-01-01")).toBe(1);
  });
});

describe("regression: a header named as a member of every object", () => {
  it.each(["constructor", "__proto__", "toString"])("%s: is ignored", async (name) => {
    const headers = { "Content-Type": "application/json", [name]: "x" };
    const answer = await rawCall(target, "/jobs", { method: "POST", headers, body: JSON.stringify(job) });
    expect(answer.status, answer.text).toBe(202);
  });
});

describe("regression: the body of a cancel or a retry", () => {
  const wrong: [string, CallOptions, number, string][] = [
    [
      "a form",
      { body: "a=b", headers: { "Content-Type": "application/x-www-form-urlencoded" } },
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    ],
    ["plain text", { body: "{}", headers: { "Content-Type": "text/plain" } }, 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["not JSON", { body: "{" }, 400, "MALFORMED"],
  ];

  it.each(wrong)("that is %s is refused, and nothing happens", async (...[, options, status, code]) => {
    const jobId = await submitted(world);
    problemOf(await send(`/jobs/${jobId}/cancel`, options), status, code);
    expect((await lifeOf(world, jobId)).job.status).toBe("PENDING");
    expect((await send(`/jobs/${jobId}/cancel`, { method: "POST" })).status).toBe(202);
    problemOf(await send(`/jobs/${jobId}/retry`, options), status, code);
    expect(await stored()).toEqual([jobId]);
  });

  it("may be missing or JSON", async () => {
    const jobId = await submitted(world);
    expect((await send(`/jobs/${jobId}/cancel`, { body: {} })).status).toBe(202);
    expect((await send(`/jobs/${jobId}/retry`, { body: {} })).status).toBe(202);
    expect((await send(`/jobs/${jobId}/retry`, { method: "POST" })).status).toBe(202);
  });
});

describe("regression: dryRun", () => {
  it.each(["true", "1", ""])("is possible for one job (%j), and stores nothing", async (value) => {
    const answer = await send(`/jobs?dryRun=${value}`, { body: job });
    expect(answer.status, answer.text).toBe(200);
    expect(await stored()).toEqual([]);
  });

  it.each(["false", "0"])("that is %s submits", async (value) => {
    expect((await send(`/jobs?dryRun=${value}`, { body: job })).status).toBe(202);
    expect((await send(`/jobs/batch?dryRun=${value}`, { body: { jobs: [job] } })).status).toBe(202);
    expect(await stored()).toHaveLength(2);
  });

  it.each(["dryRun=yes", "dryRun=TRUE", "dryRun=tru", "dryRun=2", "dryRun=true&dryRun=false", "dryRun=%00"])(
    "that is unclear (%s) submits nothing",
    async (query) => {
      for (const [path, body] of [
        ["/jobs", job],
        ["/jobs/batch", { jobs: [job] }],
      ] as const) {
        const { violations } = problemOf(await send(`${path}?${query}`, { body }), 422, "VALIDATION");
        expect(violations?.map(({ path }) => path)).toEqual(["dryRun"]);
      }
      expect(await stored()).toEqual([]);
    },
  );

  it("of a batch, a cancel or a retry is refused instead of being done", async () => {
    const jobId = await submitted(world);
    const calls: [string, CallOptions][] = [
      ["/jobs/batch", { body: { jobs: [job] } }],
      [`/jobs/${jobId}/cancel`, { method: "POST" }],
      [`/jobs/${jobId}/retry`, { method: "POST" }],
    ];
    for (const [path, options] of calls) {
      const { violations } = problemOf(await send(`${path}?dryRun=true`, options), 422, "VALIDATION");
      expect(violations?.map(({ path }) => path)).toEqual(["dryRun"]);
    }
    expect((await lifeOf(world, jobId)).job.status).toBe("PENDING");
    expect(await stored()).toEqual([jobId]);
  });
});

describe("the contract's edges", () => {
  it.each(["HEAD", "OPTIONS", "PUT", "TRACE"])("%s is not allowed, and Allow says what is", async (method) => {
    for (const [path, allowed] of [
      ["/jobs", ["GET", "POST"]],
      ["/health", ["GET"]],
    ] as const) {
      const { hostname, port } = new URL(gateway.url);
      const call = request({ hostname, port, method, path: `/api/v1${path}`, agent: false }).end();
      const [answer] = await once(call, "response");
      const said = await text(answer);
      expect(answer.statusCode).toBe(405);
      expect(answer.headers.allow?.split(", ").sort()).toEqual(allowed);
      // The answer to a HEAD has no body, whatever it is.
      if (method === "HEAD") expect(said).toBe("");
      else expect(JSON.parse(said)).toMatchObject({ code: "METHOD_NOT_ALLOWED", status: 405 });
    }
  });

  it.each(["text/html", "application/xml", "image/*;q=0.1", "nonsense", ""])(
    "an Accept of %j, which cannot be satisfied, gets JSON",
    async (Accept) => {
      const jobId = await submitted(world);
      for (const path of ["/jobs", `/jobs/${jobId}`, `/jobs/${jobId}/events`, `/jobs/${jobId}/logs`]) {
        const answer = await send(path, { headers: { Accept } });
        expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
      }
      const missing = await send("/jobs/job_01J00000000000000000000000", { headers: { Accept } });
      problemOf(missing, 404, "NOT_FOUND");
    },
  );

  it("a trailing slash changes nothing", async () => {
    const jobId = await submitted(world);
    for (const path of [
      "/jobs",
      `/jobs/${jobId}`,
      `/jobs/${jobId}/events`,
      `/jobs/${jobId}/logs`,
      "/runtimes",
      "/runtimes/stub",
    ]) {
      const [plain, slashed] = [await send(path), await send(`${path}/`)];
      expect([slashed.status, slashed.body], path).toEqual([200, plain.body]);
    }
    expect((await send("/jobs/", { body: job })).status).toBe(202);
    expect((await send("/jobs/batch/", { body: { jobs: [job] } })).status).toBe(202);
    expect((await send(`/jobs/${jobId}/cancel/`, { method: "POST" })).status).toBe(202);
    const followed = await send(`/jobs/${jobId}/events/?follow=true`);
    expect(followed.headers.get("content-type")).toBe("text/event-stream");
  });

  it("labels are repeatable, and all of them must hold", async () => {
    const [both, one] = [
      await submitted(world, { labels: { team: "data", tier: "1" } }),
      await submitted(world, { labels: { team: "data" } }),
    ];
    const found = async (query: string) =>
      (await send<Page<Job>>(`/jobs?${query}`)).body.items.map(({ jobId }) => jobId);
    expect(await found("label=team:data")).toEqual([one, both]);
    expect(await found("label=team:data&label=tier:1")).toEqual([both]);
    expect(await found("label=team:data,tier:1")).toEqual([both]);
    expect(await found("label=team:data&label=team:web")).toEqual([]);
    expect(await found("label=team:web&label=team:data")).toEqual([]);
    expect(await found("label=__proto__:x")).toEqual([]);
  });
});

describe("the metrics", () => {
  const get = (path: string, headers: Record<string, string> = {}) => fetch(`${gateway.url}${path}`, { headers });

  it.each(["/metrics", "/api/v1/metrics"])("are at %s, for the formats that a scraper names", async (path) => {
    const answer = await get(path, { Accept: "text/x" });
    expect([answer.status, await answer.text()]).toEqual([200, "for text/x\n"]);
  });

  it("are only to be read, and not by web pages", async () => {
    const posted = await fetch(`${gateway.url}/metrics`, { method: "POST", body: "{}" });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET"]);
    expect(await posted.json()).toMatchObject({ code: "METHOD_NOT_ALLOWED" });
    const foreign = await get("/metrics", { Origin: "http://evil.example" });
    expect([foreign.status, await foreign.json()]).toMatchObject([403, { code: "FORBIDDEN" }]);
  });

  it("hear of every answer by its route, and never by its path", async () => {
    const jobId = await submitted(world);
    for (const path of [`/api/v1/jobs/${jobId}`, "/api/v1/jobs/nothing", "/api/v1/jobs/batch"])
      await (await get(path)).text();
    for (const path of ["/api/v1/nowhere/hunter2", "/abc/v1/jobs", "/metrics"]) await (await get(path)).text();
    await send("/jobs", { body: job });
    await expect.poll(() => told.length).toBe(7);
    expect(told).toEqual([
      { method: "GET", route: "/v1/jobs/{id}", code: 200 },
      { method: "GET", route: "/v1/jobs/{id}", code: 404 },
      { method: "GET", route: "/v1/jobs/batch", code: 405 },
      { method: "GET", route: "none", code: 404 },
      { method: "GET", route: "none", code: 404 },
      { method: "GET", route: "/v1/metrics", code: 200 },
      { method: "POST", route: "/v1/jobs", code: 202 },
    ]);
  });
});

describe("the trace of a submission", () => {
  const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
  const traceparent = `00-${ID}-00f067aa0ba902b7-01`;
  const tracesOf = async () => (await everyJob(world.ledger.sqlite)).map(({ trace }) => trace);

  it("is kept with each of its jobs, and the first one with an idempotency key", async () => {
    await send("/jobs", { body: job, headers: { traceparent, tracestate: "a=b" } });
    await send("/jobs/batch", { body: { jobs: [job, job] }, headers: { traceparent } });
    const found = (await tracesOf()).map((trace) => [trace?.traceparent, trace?.tracestate]);
    expect(found.toSorted()).toEqual([
      [traceparent, undefined],
      [traceparent, undefined],
      [traceparent, "a=b"],
    ]);
    const again = traceparent.replace(ID, ID.replaceAll("4", "5"));
    const first = await send<Job>("/jobs", { body: job, headers: { "Idempotency-Key": "k", traceparent } });
    const second = await send<Job>("/jobs", { body: job, headers: { "Idempotency-Key": "k", traceparent: again } });
    expect(second.body.jobId).toBe(first.body.jobId);
    expect(await tracesOf()).toHaveLength(4);
    expect(JSON.stringify(await tracesOf())).not.toContain(again);
  });

  it("is none where its headers are not valid, and the job is accepted all the same", async () => {
    const { host } = new URL(gateway.url);
    const body = JSON.stringify(job);
    const post = (traces: string[]) => {
      const headers = [`Host: ${host}`, "Content-Type: application/json", `Content-Length: ${body.length}`, ...traces];
      return talk(target, [
        `POST /api/v1/jobs HTTP/1.1\r\n${headers.join("\r\n")}\r\nConnection: close\r\n\r\n${body}`,
      ]);
    };
    for (const value of ["00-zz", `${traceparent}-`, `${traceparent} x`]) {
      expect(await post([`traceparent: ${value}`])).toMatch(/^HTTP\/1.1 202 /);
    }
    // Twice: nobody knows which one counts.
    expect(await post([`traceparent: ${traceparent}`, `Traceparent: ${traceparent}`])).toMatch(/^HTTP\/1.1 202 /);
    expect(await tracesOf()).toEqual([undefined, undefined, undefined, undefined]);
  });
});
