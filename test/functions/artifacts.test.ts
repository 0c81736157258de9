import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { artifactId } from "../../engine/artifacts/record.ts";
import { artifactObject } from "../../engine/ledger/keys.ts";
import { finalizeAttempt } from "../../engine/operations/finalize.ts";
import { observeExit } from "../../engine/operations/observe.ts";
import { makeHandler as artifacts, type Signed } from "../../functions/artifacts.ts";
import type { ApiEvent } from "../../functions/http.ts";
import { makeHandler as query } from "../../functions/query.ts";
import { makeHandler as streamed } from "../../functions/stream.ts";
import { createChanges } from "../../local/changes.ts";
import { type Gateway, openGateway } from "../../local/gateway.ts";
import { invoke } from "../../local/invoke.ts";
import { createClient } from "../../sdk/index.ts";
import { launched, lifeOf, openWorld, type World } from "../engine/operations/world.ts";

let world: World;
let gateway: Gateway;
beforeEach(async () => {
  world = await openWorld();
  const { ctx, ledger } = world;
  const answer = query(ctx);
  const changes = createChanges(ledger.sqlite.feed);
  gateway = await openGateway(
    {
      submit: () => Promise.reject(new Error("nothing is submitted here")),
      query: (event) => invoke(answer, event),
      stream: streamed({ ctx, changes, progressOf: () => null, onProgress: () => () => undefined }),
    },
    0,
    ctx.logger,
  );
});
afterEach(async () => {
  await gateway.close();
  await world.dispose();
});

const NAMES = ["a.csv", "sub/dir/page.html", "sp ace é %2e%2f?#&+.txt", "100%", "empty", ".hidden", "constructor"];
const TEXT = "0123456789";
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function jobWith(files: Record<string, string>, gzip = false): Promise<string> {
  const paths = Object.fromEntries(Object.entries(files).map(([name, text]) => [`/${name}`, text]));
  const spec = { artifacts: { paths: ["/**"], gzip } };
  const task = await launched(world, spec, { STUB_FILES: JSON.stringify(paths) });
  await observeExit(world.ctx, task);
  await finalizeAttempt(world.ctx, task);
  return task.jobId;
}
const urlOf = (jobId: string, name: string) =>
  `${gateway.url}/api/v1/jobs/${jobId}/artifacts/${name.split("/").map(encodeURIComponent).join("/")}`;
/** The answer with its body read: a connection that is not read to its end keeps the door open. */
async function get(url: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  const answer = await fetch(url, { method, headers });
  const body = await answer.arrayBuffer();
  const isBare = [204, 304].includes(answer.status);
  return new Response(isBare ? null : body, { status: answer.status, headers: answer.headers });
}

describe("the files of a job over HTTP", () => {
  test("are listed, and each is handed over by its name, whatever that is made of", async () => {
    const jobId = await jobWith(Object.fromEntries(NAMES.map((name) => [name, name === "empty" ? "" : name])));
    const client = createClient({ endpoint: gateway.url });
    const { items, refused } = await client.jobs.artifacts(jobId);
    expect(items.map(({ name }) => name).sort()).toEqual([...NAMES].sort());
    expect(refused).toEqual([]);
    for (const name of NAMES) {
      const answer = await get(urlOf(jobId, name));
      const text = name === "empty" ? "" : name;
      expect([answer.status, await answer.text()], name).toEqual([200, text]);
      expect(answer.headers.get("etag"), name).toBe(`"${sha256(text)}"`);
      expect(answer.headers.get("content-length"), name).toBe(String(Buffer.byteLength(text)));
    }
  });

  test("do nothing in a browser but be saved", async () => {
    const jobId = await jobWith({ "page.html": "<script>alert(1)</script>", 'a"b\\é.txt': "x" });
    const page = await get(urlOf(jobId, "page.html"));
    expect(Object.fromEntries(page.headers)).toMatchObject({
      "content-type": "text/html",
      "content-disposition": "attachment; filename=\"page.html\"; filename*=UTF-8''page.html",
      "x-content-type-options": "nosniff",
      "content-security-policy": "default-src 'none'; sandbox",
      "accept-ranges": "bytes",
    });
    const odd = await get(urlOf(jobId, 'a"b_é.txt'));
    expect(odd.headers.get("content-disposition")).toBe(
      "attachment; filename=\"a_b__.txt\"; filename*=UTF-8''a%22b_%C3%A9.txt",
    );
  });

  test("that were compressed are handed over as they are stored, and say so", async () => {
    const jobId = await jobWith({ "a.csv": TEXT }, true);
    const answer = await get(urlOf(jobId, "a.csv"));
    expect(answer.headers.get("content-type")).toBe("application/gzip");
    expect(answer.headers.get("content-encoding")).toBeNull();
    expect(answer.headers.get("content-disposition")).toContain('filename="a.csv.gz"');
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect(answer.headers.get("etag")).toBe(`"${createHash("sha256").update(bytes).digest("hex")}"`);
  });

  test.each<[string | undefined, number, string, string | null]>([
    ["bytes=0-0", 206, "0", "bytes 0-0/10"],
    ["bytes=3-5", 206, "345", "bytes 3-5/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=7-99", 206, "789", "bytes 7-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=-99", 206, TEXT, "bytes 0-9/10"],
    ["bytes=10-", 416, "", "bytes */10"],
    ["bytes=-0", 416, "", "bytes */10"],
    // What is none, or more than one, is left out of account.
    ["bytes=5-3", 200, TEXT, null],
    ["bytes=0-1,4-5", 200, TEXT, null],
    ["lines=0-1", 200, TEXT, null],
    ["bytes=", 200, TEXT, null],
    ["bytes=-", 200, TEXT, null],
    ["bytes=99999999999999999999-", 200, TEXT, null],
    [undefined, 200, TEXT, null],
  ])("by the range %s", async (...[range, status, text, place]) => {
    const jobId = await jobWith({ a: TEXT });
    const answer = await get(urlOf(jobId, "a"), range === undefined ? {} : { range });
    expect([answer.status, answer.headers.get("content-range")]).toEqual([status, place]);
    if (status === 416) expect(await answer.json()).toMatchObject({ status: 416, code: "VALIDATION" });
    else expect(await answer.text()).toBe(text);
    const head = await get(urlOf(jobId, "a"), range === undefined ? {} : { range }, "HEAD");
    expect([head.status, await head.text()]).toEqual([status, ""]);
    if (status !== 416) expect(head.headers.get("content-length")).toBe(answer.headers.get("content-length"));
  });

  test("that the asker has already are not handed over again; a range only of the very same", async () => {
    const jobId = await jobWith({ a: TEXT });
    const etag = `"${sha256(TEXT)}"`;
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const answer = await get(urlOf(jobId, "a"), { "if-none-match": tag });
      expect([answer.status, await answer.text(), answer.headers.get("etag")], tag).toEqual([304, "", etag]);
    }
    expect((await get(urlOf(jobId, "a"), { "if-none-match": '"other"' })).status).toBe(200);
    const part = (ifRange: string) => get(urlOf(jobId, "a"), { range: "bytes=1-2", "if-range": ifRange });
    expect([(await part(etag)).status, (await part('"other"')).status, (await part(`W/${etag}`)).status]).toEqual([
      206, 200, 200,
    ]);
  });

  test("of which there are none are not found: also those whose bytes are gone, and other ways to say a name", async () => {
    const jobId = await jobWith({ "a/b": TEXT });
    for (const name of ["a", "a/b/c", "A/B", "../a/b", "a%2Fb%00", "..%2f..%2fledger.db", "a//b"]) {
      const answer = await get(`${gateway.url}/api/v1/jobs/${jobId}/artifacts/${name}`);
      expect([404], name).toContain(answer.status);
    }
    expect((await get(urlOf("job_01KGABCDEFGHJKMNPQRSTVWXYZ", "a"))).status).toBe(404);
    expect((await get(urlOf(jobId, "a/b"), {}, "DELETE")).status).toBe(405);
    await world.ctx.objects.delete(artifactObject(jobId, 1, artifactId("a/b")));
    const answer = await get(urlOf(jobId, "a/b"));
    expect([answer.status, await answer.json()]).toEqual([404, expect.objectContaining({ code: "NOT_FOUND" })]);
  });

  test("whose stored bytes were changed in their length are told to be damaged", async () => {
    const jobId = await jobWith({ a: TEXT });
    await world.ctx.objects.put(artifactObject(jobId, 1, artifactId("a")), Buffer.from("short"));
    expect((await get(urlOf(jobId, "a"))).status).toBe(503);
    expect((await get(urlOf(jobId, "a"), {}, "HEAD")).status).toBe(503);
  });

  test("that somebody leaves in the middle are let go of", async () => {
    const jobId = await jobWith({ a: "x".repeat(100_000) });
    const leaving = new AbortController();
    const answer = await fetch(urlOf(jobId, "a"), { signal: leaving.signal });
    const reader = answer.body?.getReader();
    await reader?.read();
    leaving.abort();
    await expect(reader?.read()).rejects.toThrow();
    expect(await (await get(urlOf(jobId, "a"))).text()).toHaveLength(100_000);
  });
});

describe("a home whose store has addresses of its own", () => {
  const event = (method: string, name: string, jobId: string) =>
    ({
      httpMethod: method,
      path: `/v1/jobs/${jobId}/artifacts/${name}`,
      pathParameters: { id: jobId, name },
      headers: {},
    }) as unknown as ApiEvent;

  test("sends to the one of the file, and only of one that is on record", async () => {
    const jobId = await jobWith({ "sub/a b.csv": TEXT });
    const signed: Signed[] = [];
    const handle = artifacts({
      ctx: world.ctx,
      sign: async (object) => {
        signed.push(object);
        return "https://bucket.example/key?signature";
      },
    });
    for (const method of ["GET", "HEAD"]) {
      const answer = await handle(event(method, "sub/a%20b.csv", jobId));
      expect([answer.statusCode, answer.headers]).toEqual([
        307,
        { Location: "https://bucket.example/key?signature", "Cache-Control": "no-store" },
      ]);
      expect(await Array.fromAsync(answer.body)).toEqual([]);
    }
    // A front door that has decoded the name already.
    expect((await handle(event("GET", "sub/a b.csv", jobId))).statusCode).toBe(307);
    expect(signed.map(({ key, method }) => [key, method])).toEqual(
      ["GET", "HEAD", "GET"].map((method) => [artifactObject(jobId, 1, artifactId("sub/a b.csv")), method]),
    );
    expect(signed[0]?.headers).toEqual({
      "Content-Type": "text/csv",
      "Content-Disposition": "attachment; filename=\"a b.csv\"; filename*=UTF-8''a%20b.csv",
    });
    await expect(handle(event("GET", "other", jobId))).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(signed).toHaveLength(3);
    expect((await lifeOf(world, jobId)).job.status).toBe("SUCCEEDED");
  });
});
