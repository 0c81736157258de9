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
  "/dead-letters/{id}": "dl_01J00000000000000000000000",
  "/runtimes/{name}": "nowhere",
};

/** The path of an operation with a name in it; default: one that nothing has. */
function pathOf({ template }: DescribedOperation, name?: string): string {
  const known = Object.entries(UNKNOWN).find(([prefix]) => template.startsWith(prefix))?.[1] ?? "";
  return template.replace(/\{\w+\}/, name ?? known).replace(/\{\w+\}/g, "x");
}

const takesBody = ({ method }: DescribedOperation) => method !== "GET";

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

/** What no request to this home can bring about, or what other scenarios do: a full queue, and calls that are not signed. */
const ELSEWHERE = new Set([401, 429, 500, 503]);

describe("every operation", () => {
  it.each(judge.operations)("$id has the problems that it describes", async (operation) => {
    const described = Object.keys(operation.described.responses).map(Number);
    for (const status of described.filter((one) => PROVOKE[one] !== undefined)) {
      const { path, ...options } = PROVOKE[status]?.(operation) ?? { path: "" };
      if (status === 422 && operation.method === "GET") {
        // The job is looked for first.
        const { jobId } = await submit(target, stubJob());
        const asked = path.replace(UNKNOWN["/jobs/{id}"] ?? "", jobId);
        expect((await call(target, asked, options)).status, asked).toBe(422);
      } else {
        expect((await call(target, path, options)).status, `${operation.method} ${path}`).toBe(status);
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

    const running = await submit(target, STUB.forever());
    await reached(target, running.jobId, "STARTED");
    problemOf(await call(target, `/jobs/${running.jobId}/retry`, { method: "POST" }), 409, "CONFLICT");
    await cancel(target, running.jobId);
    await cleanedUp(target, running.jobId);
    problemOf(await call(target, `/jobs/${running.jobId}/cancel`, { method: "POST" }), 409, "CONFLICT");

    expect((await call(target, "/health")).status).toBe(200);
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
    expect(wanted.filter((one) => !checked.seen.has(one))).toEqual([]);
    expect(checked.faults).toEqual([]);
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
const ANY_TEXT = ["runtime", "name", "follow", "If-None-Match"];

describe("a parameter", () => {
  const parameters = judge.operations.flatMap((operation) =>
    (operation.described.parameters ?? [])
      .filter(({ name, in: place }) => place === "query" && !ANY_TEXT.includes(name))
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
      expect(checked.faults).toEqual([]);
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
    expect(checked.faults).toEqual([]);
  });
});

describe("a body", () => {
  const schemas = judge.document.components.schemas as Record<string, Schema>;
  const good = { name: "good", image: "alpine:3.20", runtime: "stub" };
  const bad = forbiddenBy(schemas.JobSpec as Schema, good, judge.document);

  it("is refused for every part that the description forbids", async () => {
    const allowed = judge.at("components", "schemas", "JobSpec");
    expect(allowed(good), JSON.stringify(allowed.errors)).toBe(true);
    const parts = new Set(bad.map(({ path }) => path.split(".")[0]));
    expect([...parts].sort()).toEqual(["", ...Object.keys(schemas.JobSpec?.properties ?? {})].sort());
    for (const { path, what, value } of bad) {
      expect(allowed(value), `${path}: ${what} is allowed`).toBe(false);
      const answer = await call(target, "/jobs?dryRun=true", { body: JSON.stringify(value) });
      expect([answer.status, `${path}: ${what}`]).toEqual([
        JSON.stringify(value).length > 256 * 1024 ? 413 : 422,
        `${path}: ${what}`,
      ]);
    }
    expect(checked.faults).toEqual([]);
  });

  it("is refused with its place in a batch", async () => {
    for (const { value } of bad.filter(({ what }) => what === "unknown key").slice(0, 5)) {
      const answer = await call(target, "/jobs/batch", { body: { jobs: [good, value] } });
      expect(problemOf(answer, 422, "VALIDATION").violations?.[0]?.path).toMatch(/^jobs\.1\./);
    }
    for (const body of [{}, { jobs: [] }, { jobs: {} }, [], { jobs: Array(101).fill(good) }]) {
      problemOf(await call(target, "/jobs/batch", { body: JSON.stringify(body) }), 422, "VALIDATION");
    }
    expect(checked.faults).toEqual([]);
  });
});
