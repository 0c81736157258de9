import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forbiddenBy, type Schema } from "../lab/hostile-schema.ts";
import { conforming, createJudge, type DescribedOperation } from "../lab/openapi.ts";
import { call, cancel, cleanedUp, follow, problemOf, reached, submit, type Target } from "./client.ts";
import type { Job } from "./contract.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { STUB, stubJob } from "./runtimes.ts";

const judge = createJudge();
const checked = conforming(judge);
let home: LocalHome;
const target: Target = { api: () => home.api(), fetch: checked.fetch };

beforeAll(async () => {
  home = await startLocalHome({ env: { LONGSHORE_RUNTIMES: "stub,process" } });
});
afterAll(async () => {
  await home.dispose();
});

const UNKNOWN: Record<string, string> = {
  "/jobs/{id}": "job_01J00000000000000000000000",
  "/runs/{id}": "job_01J00000000000000000000000",
  "/dead-letters/{id}": "dl_01J00000000000000000000000",
  "/runtimes/{name}": "nowhere",
};

/** The path of an operation with a name in it; default: one that nothing has. */
function pathOf({ template }: DescribedOperation, name?: string): string {
  const known = Object.entries(UNKNOWN).find(([prefix]) => template.startsWith(prefix))?.[1] ?? "";
  return template.replace(/\{\w+\}/, name ?? known).replace(/\{\w+\}/g, "x");
}

const takesBody = ({ method }: DescribedOperation) => method === "POST" || method === "DELETE";

/** How a status is brought about, where every operation that describes it can have it in the same way. */
const PROVOKE: Record<number, (operation: DescribedOperation) => Parameters<typeof call>[2] & { path: string }> = {
  400: (one) =>
    takesBody(one)
      ? { path: pathOf(one), method: one.method, body: "{" }
      : { path: pathOf(one, "%E0%A4%A"), method: one.method },
  403: (one) => ({ path: pathOf(one), method: one.method, headers: { Origin: "http://elsewhere.example" } }),
  404: (one) => ({ path: pathOf(one), method: one.method }),
  413: (one) => ({ path: pathOf(one), method: one.method, body: JSON.stringify("x".repeat(300_000)) }),
  415: (one) => ({ path: pathOf(one), method: one.method, body: "{}", headers: { "Content-Type": "text/plain" } }),
  422: (one) => {
    const [query] = (one.described.parameters ?? []).filter((parameter) => parameter.in === "query");
    if (one.method === "POST" || one.method === "DELETE") {
      return { path: `${pathOf(one)}?dryRun=perhaps`, method: one.method, body: "{}" };
    }
    return { path: `${pathOf(one)}?${query?.name}=%00`, method: one.method };
  },
};

/**
 * What no request to this home can bring about, or what other scenarios do: a WebSocket, an artifact that is elsewhere, calls
 * that are not signed, a full queue.
 */
const ELSEWHERE = new Set([101, 307, 401, 429, 500, 503]);
/** Two that a plain call cannot have: a WebSocket's parameters are looked at when it is opened, and metrics are there. */
const NOT_HERE = new Set(["streamLogs 422", "getMetrics 404"]);

describe("every operation", () => {
  it.each(judge.operations)("$id has the problems that it describes", async (operation) => {
    const described = Object.keys(operation.described.responses).map(Number);
    const here = described.filter((one) => !NOT_HERE.has(`${operation.id} ${one}`));
    for (const status of here.filter((one) => PROVOKE[one] !== undefined)) {
      const { path, ...options } = PROVOKE[status]?.(operation) ?? { path: "" };
      if (status === 422 && operation.method === "GET") {
        // The job is looked for first.
        const { jobId } = await submit(target, stubJob());
        const asked = path.replace(UNKNOWN["/jobs/{id}"] ?? "", jobId);
        expect((await call(target, asked, options)).status, asked).toBe(422);
      } else {
        // A HEAD has no body to be read.
        const { headers = {}, method = "GET", body } = { headers: { "Content-Type": "application/json" }, ...options };
        const answer = await checked.fetch(`${target.api()}${path}`, {
          method,
          headers,
          body: (body ?? null) as string,
        });
        expect(answer.status, `${operation.method} ${path}`).toBe(status);
        await answer.body?.cancel();
      }
    }
  });

  it("has the answers that it describes, each of them seen", async () => {
    const spec = stubJob({ STUB_EXIT_CODE: "3" }, { name: "conforms" });
    const key = { "Idempotency-Key": `key-${Date.now()}` };
    const accepted = await submit(target, spec, key);
    problemOf(await call(target, "/jobs", { body: stubJob(), headers: key }), 409, "CONFLICT");
    expect((await call(target, "/jobs?dryRun=true", { body: spec })).status).toBe(200);
    const nowhere = await call<{ runtime: null; cost: null }>(target, "/jobs?dryRun=", { body: { image: "alpine" } });
    expect(nowhere.body).toMatchObject({ runtime: null, cost: null });
    await cleanedUp(target, accepted.jobId);

    const batch = { jobs: [stubJob(), stubJob()] };
    const many = { "Idempotency-Key": `many-${Date.now()}` };
    const answer = await call<{ items: Job[] }>(target, "/jobs/batch", { body: batch, headers: many });
    expect(answer.status).toBe(202);
    expect(answer.body.items.map(({ spec: { runtime } }) => runtime)).toEqual(["stub", "stub"]);
    problemOf(await call(target, "/jobs/batch", { body: { jobs: [stubJob()] }, headers: many }), 409, "CONFLICT");
    for (const path of [
      "/jobs?limit=1&status=FAILED,SUCCEEDED",
      "/dead-letters?limit=1",
      "/runtimes/stub",
      "/runtimes",
    ])
      expect((await call(target, path)).status, path).toBe(200);

    const at = `/jobs/${accepted.jobId}`;
    for (const path of ["", "/events?limit=2", "/logs?tail=2", "/cost", "/logs?since=2026-01-01"])
      expect((await call(target, at + path)).status, path).toBe(200);
    const text = await call(target, `${at}/logs`, { headers: { Accept: "text/plain" } });
    expect(text.headers.get("content-type")).toMatch(/^text\/plain/);
    for (const path of ["/events", "/logs"]) {
      const messages = await Array.fromAsync(follow(target, at + path));
      expect(messages.at(-1)?.event).toBe("end");
    }

    const letter = `/dead-letters/${accepted.jobId.replace("job_", "dl_")}`;
    expect((await call(target, letter)).status).toBe(200);
    const replayed = await call<Job>(target, `${letter}/replay`, { method: "POST" });
    expect(replayed.status).toBe(202);
    problemOf(await call(target, `${letter}/replay`, { method: "POST" }), 409, "CONFLICT");
    await cleanedUp(target, replayed.body.jobId);
    expect((await call(target, letter, { method: "DELETE" })).status).toBe(204);
    const again = await call<Job>(target, `${at}/retry`, { method: "POST" });
    expect(again.status).toBe(202);
    await cleanedUp(target, again.body.jobId);

    for (const path of ["/runs?limit=1&status=FAILED", `/runs/${accepted.jobId}`])
      expect((await call(target, path)).status, path).toBe(200);
    for (const form of ["receipt", "summary", "events"])
      expect((await call(target, `/runs/${accepted.jobId}/${form}`)).status, form).toBe(200);

    const running = await submit(target, STUB.forever());
    await reached(target, running.jobId, "STARTED");
    problemOf(await call(target, `/runs/${running.jobId}`, { method: "DELETE" }), 409, "CONFLICT");
    problemOf(await call(target, `/jobs/${running.jobId}/logs/stream`), 426, "UPGRADE_REQUIRED");
    const { body: used } = await call<{ items: { jobId: string }[] }>(target, "/usage");
    expect(used.items.map(({ jobId }) => jobId)).toContain(running.jobId);
    problemOf(await call(target, `/jobs/${running.jobId}/retry`, { method: "POST" }), 409, "CONFLICT");
    await cancel(target, running.jobId);
    await cleanedUp(target, running.jobId);
    problemOf(await call(target, `/jobs/${running.jobId}/cancel`, { method: "POST" }), 409, "CONFLICT");

    expect((await call(target, `/runs/${running.jobId}`, { method: "DELETE" })).status).toBe(204);
    const old = { olderThan: "52w", status: "FAILED", dryRun: true };
    expect((await call(target, "/runs/cleanup", { body: old })).body).toMatchObject({ removed: 0, dryRun: true });

    const files = { STUB_FILES: JSON.stringify({ "/out/a/b c.csv": "1,2\n" }) };
    const { jobId: left } = await submit(target, stubJob(files, { artifacts: { paths: ["/out/**", "/none/*"] } }));
    await cleanedUp(target, left);
    const listed = await call<{ items: { name: string }[] }>(target, `/jobs/${left}/artifacts`);
    expect(listed.body).toMatchObject({ items: [{ name: "out/a/b c.csv" }], refusedCount: 1 });
    const place = `/jobs/${left}/artifacts/out/a/b%20c.csv`;
    const whole = await call(target, place);
    expect([whole.status, whole.text]).toEqual([200, "1,2\n"]);
    const etag = whole.headers.get("etag") ?? "";
    for (const [status, headers] of [
      [206, { Range: "bytes=2-" }],
      [304, { "If-None-Match": etag }],
      [416, { Range: "bytes=9-" }],
    ] as const) {
      expect((await call(target, place, { headers })).status).toBe(status);
      const head = await checked.fetch(target.api() + place, { method: "HEAD", headers });
      expect(head.status).toBe(status);
    }
    expect((await checked.fetch(target.api() + place, { method: "HEAD" })).status).toBe(200);

    for (const path of ["/health", "/metrics"]) expect((await call(target, path)).status, path).toBe(200);
    const described = await call(target, "/openapi.json");
    const held = await call(target, "/openapi.json", {
      headers: { "If-None-Match": described.headers.get("etag") ?? "" },
    });
    expect([described.status, held.status, held.text]).toEqual([200, 304, ""]);

    const wanted = judge.operations.flatMap(({ id, described: { responses } }) =>
      Object.keys(responses)
        .filter((status) => !ELSEWHERE.has(Number(status)))
        .map((status) => `${id} ${status}`),
    );
    expect(wanted.filter((one) => !checked.seen.has(one) && !NOT_HERE.has(one))).toEqual([]);
    expect(checked.faults.splice(0)).toEqual([]);
  });
});

/** Values for a parameter, of which its schema forbids some. */
const GIVEN = [
  "",
  " ",
  "x",
  "-1",
  "0",
  "1.5",
  "1e3",
  "0x10",
  "99999999999999999999",
  "true",
  "no",
  "PENDING,",
  "pending",
];
const MORE = ["2026-13-45T99:99Z", "yesterday", "a", ":b", "\0", "job_x", "💣", "..", "1,2", "null", "[]"];
/** Parameters that any text can be given for. */
const ANY_TEXT = ["runtime", "name", "follow"];

describe("a parameter", () => {
  const parameters = judge.operations.flatMap((operation) =>
    (operation.described.parameters ?? [])
      .filter(({ name, in: place }) => place === "query" && !ANY_TEXT.includes(name) && operation.id !== "streamLogs")
      .map((parameter) => ({ operation, name: parameter.name, id: operation.id })),
  );

  it.each(parameters)(
    "$name of $id is refused where the description forbids its value",
    async ({ operation, name }) => {
      const { jobId } = await submit(target, stubJob());
      const letter = { "/dead-letters/{id}": UNKNOWN["/dead-letters/{id}"] };
      const path = pathOf(operation, operation.template.startsWith("/jobs/{") ? jobId : Object.values(letter)[0]);
      const body = operation.described.requestBody === undefined ? null : JSON.stringify(stubJob());
      let forbidden = 0;
      for (const value of [...GIVEN, ...MORE]) {
        const asked = `${path}?${name}=${encodeURIComponent(value)}`;
        const against = judge.objections(operation, {
          method: operation.method,
          path: asked,
          headers: new Headers({ "Content-Type": "application/json" }),
          body,
        });
        if (against.length === 0) continue;
        forbidden += 1;
        const answer = await call(target, asked, { method: operation.method, ...(body === null ? {} : { body }) });
        expect([400, 422], `${asked}: ${against}`).toContain(answer.status);
      }
      expect(forbidden).toBeGreaterThan(0);
      expect(checked.faults.splice(0)).toEqual([]);
    },
  );

  it.each([
    { name: "Idempotency-Key", values: [" ", "a b", "x".repeat(256), "\u00e9"] },
    { name: "Last-Event-ID", values: ["x", "-1", "1.5", "9".repeat(20)] },
  ])("$name of a header too", async ({ name, values }) => {
    const { jobId } = await submit(target, stubJob());
    for (const value of values) {
      const answer =
        name === "Last-Event-ID"
          ? await call(target, `/jobs/${jobId}/events`, { headers: { [name]: value, Accept: "text/event-stream" } })
          : await call(target, "/jobs", { body: stubJob(), headers: { [name]: value } });
      // A header of spaces is one that is not there.
      if (value.trim() !== "") expect(answer.status, `${name}: ${value}`).toBe(422);
    }
    expect(checked.faults.splice(0)).toEqual([]);
  });
});

describe("a body", () => {
  const schemas = judge.document.components.schemas as Record<string, Schema>;
  const good = { name: "good", image: "alpine:3.20", runtime: "stub" };
  const bodies = [
    { name: "JobSpec", path: "/jobs?dryRun=true", good },
    { name: "RunCleanup", path: "/runs/cleanup", good: { olderThan: "52w", dryRun: true } },
  ];

  it.each(bodies)("$name is refused for every part that the description forbids", async ({ name, path, good }) => {
    const schema = schemas[name] as Schema;
    const allowed = judge.at("components", "schemas", name);
    expect(allowed(good), JSON.stringify(allowed.errors)).toBe(true);
    const bad = forbiddenBy(schema, good, judge.document).filter(({ value }) => !allowed(value));
    const parts = new Set(bad.map((one) => one.path.split(".")[0]));
    const properties = Object.entries(schema.properties ?? {});
    const walked = properties.filter(([, member]) => member.anyOf === undefined).map(([key]) => key);
    expect([...parts].sort()).toEqual(["", ...walked].sort());
    for (const { path: part, what, value } of bad) {
      const answer = await call(target, path, { body: JSON.stringify(value) });
      const status = JSON.stringify(value).length > 256 * 1024 ? 413 : 422;
      expect([answer.status, `${part}: ${what}`]).toEqual([status, `${part}: ${what}`]);
    }
    expect(checked.faults.splice(0)).toEqual([]);
  });

  it("is refused with its place in a batch", async () => {
    const answer = await call(target, "/jobs/batch", { body: { jobs: [good, { ...good, nobodyKnows: 1 }] } });
    expect(problemOf(answer, 422, "VALIDATION").violations?.[0]?.path).toBe("jobs.1.nobodyKnows");
    for (const body of [{}, { jobs: [] }, { jobs: {} }, [], { jobs: Array(101).fill(good) }]) {
      problemOf(await call(target, "/jobs/batch", { body: JSON.stringify(body) }), 422, "VALIDATION");
    }
    expect(checked.faults.splice(0)).toEqual([]);
  });
});
