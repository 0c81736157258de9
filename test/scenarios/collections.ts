import { randomUUID } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import {
  type Answer,
  call,
  cancel,
  cleanedUp,
  ended,
  PATIENCE_MS,
  problemOf,
  reached,
  submit,
  type Target,
  until,
} from "./client.ts";
import { type Job, type Page, type Problem, type Spec, SUMMARY_KEYS } from "./contract.ts";
import { type RuntimeFacts, stubJob } from "./runtimes.ts";

interface Usage {
  at: string;
  items: (Pick<Job, "jobId" | "name" | "runtime"> & { usage: object | null })[];
  leftOut: number;
  failures: unknown[];
}

/** A look is kept for a second. */
const WAIT = { timeout: PATIENCE_MS, interval: 200 };

interface DryRun {
  spec: Spec;
  runtime: string | null;
  verdicts: { runtime: string; fits: boolean; reasons: { code: string; message: string }[] }[];
  cost: unknown;
}

const ids = (page: Page<Job>) => page.items.map(({ jobId }) => jobId);
const mark = () => `m-${randomUUID().slice(0, 8)}`;

export interface CollectionFacts extends Pick<RuntimeFacts, "forever"> {
  /** A runtime that the home has beside the stub. */
  other: string;
  /** Jobs in a large batch, and calls in a race, as many as the machine under the home bears; default 100 and 20. */
  batch?: number;
  race?: number;
}

/** What concerns many jobs or none: lists, batches, dry runs, idempotency, runtimes, health. */
export function collections(target: Target, { other, forever, batch = 100, race = 20 }: CollectionFacts): void {
  const list = async (query: string) => (await call<Page<Job>>(target, `/jobs?${query}`)).body;

  describe("the list of jobs", () => {
    it("filters by label, name, runtime, status and time", async () => {
      const run = mark();
      const labels = { run, "with:colon": "x" };
      const bad = await call(target, "/jobs", { body: stubJob({}, { labels }) });
      problemOf(bad, 422, "VALIDATION");
      const good = await submit(target, stubJob({}, { name: "alpha", labels: { run, kind: "good" } }));
      await ended(target, good.jobId);
      const failed = await submit(target, stubJob({ STUB_EXIT_CODE: "1" }, { name: "beta", labels: { run } }));
      await ended(target, failed.jobId);
      const running = await submit(target, forever({ name: "alpha", labels: { run } }));
      await reached(target, running.jobId, "STARTED");
      const all = [running.jobId, failed.jobId, good.jobId];

      expect(ids(await list(`label=run:${run}`))).toEqual(all);
      expect(ids(await list(`label=run:${run}&label=kind:good`))).toEqual([good.jobId]);
      expect(ids(await list(`label=run:other`))).toEqual([]);
      expect(ids(await list(`label=run:${run}&name=alpha`))).toEqual([running.jobId, good.jobId]);
      expect(ids(await list(`label=run:${run}&status=SUCCEEDED`))).toEqual([good.jobId]);
      expect(ids(await list(`label=run:${run}&status=FAILED&status=RUNNING`))).toEqual([running.jobId, failed.jobId]);
      const onStub = running.runtime === "stub" ? all : [failed.jobId, good.jobId];
      expect(ids(await list(`label=run:${run}&runtime=stub`))).toEqual(onStub);
      expect(ids(await list(`label=run:${run}&runtime=elsewhere`))).toEqual([]);
      const createdAt = encodeURIComponent(failed.createdAt);
      expect(ids(await list(`label=run:${run}&createdAfter=${createdAt}`))).toEqual([running.jobId]);
      expect(ids(await list(`label=run:${run}&createdBefore=${createdAt}`))).toEqual([good.jobId]);
      for (const item of (await list(`label=run:${run}`)).items) expect(Object.keys(item).sort()).toEqual(SUMMARY_KEYS);

      await cancel(target, running.jobId);
      await cleanedUp(target, running.jobId);
      expect(ids(await list(`label=run:${run}&status=CANCELLED`))).toEqual([running.jobId]);
    });

    it("gives every job once, newest first, page by page along the Link header", async () => {
      const run = mark();
      const submitted: string[] = [];
      for (let n = 0; n < 5; n++) submitted.push((await submit(target, stubJob({}, { labels: { run } }))).jobId);
      const seen: string[] = [];
      let path: string | undefined = `/jobs?label=run:${run}&limit=2`;
      const sizes: number[] = [];
      while (path !== undefined) {
        const { body, headers }: Answer<Page<Job>> = await call(target, path);
        seen.push(...ids(body));
        sizes.push(body.items.length);
        const next: string | undefined = /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
        expect(next === undefined).toBe(body.nextCursor === null);
        if (next !== undefined) expect(new URL(next, target.api()).searchParams.get("cursor")).toBe(body.nextCursor);
        path = next === undefined ? undefined : new URL(next, target.api()).href.replace(target.api(), "");
      }
      expect(seen).toEqual(submitted.toReversed());
      expect(sizes.slice(0, 2)).toEqual([2, 2]);
    });

    it.each([
      "limit=0",
      "limit=201",
      "limit=x",
      "limit=1.5",
      "limit=-1",
      "status=DONE",
      "label=nocolon",
      "createdAfter=yesterday",
      "cursor=garbage",
    ])("refuses %s with the parameter's name", async (query) => {
      const problem = problemOf(await call(target, `/jobs?${query}`), 422, "VALIDATION");
      expect(problem.violations?.[0]?.path).toBe(query.split("=")[0]);
    });
  });

  describe("a batch", () => {
    it.each([1, batch])("accepts %i jobs at once", async (count) => {
      const run = mark();
      const jobs = Array.from({ length: count }, (_, n) => stubJob({}, { name: `n${n}`, labels: { run } }));
      const answer = await call<{ items: Job[] }>(target, "/jobs/batch", { body: { jobs } });
      expect(answer.status, answer.text).toBe(202);
      expect(answer.body.items.map(({ name }) => name)).toEqual(jobs.map(({ name }) => name));
      expect(new Set(answer.body.items.map(({ jobId }) => jobId)).size).toBe(count);
      await Promise.all(answer.body.items.slice(-3).map(({ jobId }) => ended(target, jobId)));
      for (const { jobId } of answer.body.items) {
        await until(target, jobId, ({ status }) => expect(status).toBe("SUCCEEDED"));
      }
      expect((await list(`label=run:${run}&limit=200`)).items).toHaveLength(count);
    });

    it("accepts none when one is invalid, and says which", async () => {
      const run = mark();
      const jobs = [stubJob({}, { labels: { run } }), stubJob({}, { labels: { run }, priority: 101 }), { nonsense: 1 }];
      const problem = problemOf(await call(target, "/jobs/batch", { body: { jobs } }), 422, "VALIDATION");
      const paths = problem.violations?.map(({ path }) => path) ?? [];
      expect(paths).toContain("jobs.1.priority");
      expect(paths).toContain("jobs.2.nonsense");
      expect(paths.some((path) => path.startsWith("jobs.0"))).toBe(false);
      expect((await list(`label=run:${run}`)).items).toEqual([]);
    });

    it.each([
      [{ jobs: [] }],
      [{ jobs: Array.from({ length: 101 }, () => stubJob()) }],
      [{}],
      [[]],
      [null],
      [{ jobs: {} }],
    ])("refuses what is no list of 1 to 100 jobs", async (body) => {
      const problem = problemOf(await call(target, "/jobs/batch", { body: JSON.stringify(body) }), 422, "VALIDATION");
      expect(problem.violations?.[0]?.path).toBe("jobs");
    });
  });

  describe("a dry run", () => {
    it("tells what would become of a spec, and stores nothing", async () => {
      const run = mark();
      const body = stubJob({ DB_PASSWORD: "hunter2-hunter2", LEVEL: "debug" }, { labels: { run }, name: "dry" });
      const { status, body: dry, text } = await call<DryRun>(target, "/jobs?dryRun=true", { body });
      expect(status, text).toBe(200);
      expect(Object.keys(dry).sort()).toEqual(["cost", "runtime", "spec", "verdicts"]);
      expect(dry).toMatchObject({ runtime: "stub", cost: { amountUsd: 0, basis: "local" } });
      expect(dry.spec).toMatchObject({
        name: "dry",
        env: { DB_PASSWORD: "***REDACTED***", LEVEL: "debug" },
        timeoutSeconds: 3600,
        retry: { maxAttempts: 1, on: ["AUTH", "IMAGE_PULL", "RUNTIME_UNAVAILABLE", "UNKNOWN"] },
        cleanup: "always",
        network: { mode: "isolated" },
      });
      const verdicts = new Map(dry.verdicts.map((verdict) => [verdict.runtime, verdict]));
      expect(verdicts.get("stub")).toEqual({ runtime: "stub", fits: true, reasons: [] });
      expect(verdicts.get(other)).toMatchObject({ fits: false });
      for (const { fits, reasons } of dry.verdicts) expect(fits).toBe(reasons.length === 0);
      expect((await list(`label=run:${run}`)).items).toEqual([]);
    });

    it("gives the reason of every runtime that does not fit", async () => {
      const body = {
        image: "alpine:3.20",
        resources: { gpu: { count: 1 } },
        sidecars: [{ name: "s", image: "alpine" }],
      };
      const { body: dry } = await call<DryRun>(target, "/jobs?dryRun=true", { body });
      expect(dry.runtime).toBeNull();
      for (const { runtime, fits, reasons } of dry.verdicts) {
        expect(fits).toBe(false);
        for (const reason of reasons) {
          expect(reason.code).toMatch(/^[a-z_]+$/);
          expect(reason.message).toContain(runtime);
        }
      }
    });

    it("refuses an invalid spec as a submit does", async () => {
      problemOf(
        await call(target, "/jobs?dryRun=true", { body: { runtime: "stub", priority: 1000 } }),
        422,
        "VALIDATION",
      );
    });
  });

  describe("an idempotency key", () => {
    it("gives the first job again for the same body, and a conflict for another", async () => {
      const headers = { "Idempotency-Key": mark() };
      const first = await submit(target, stubJob({ A: "1" }), headers);
      const second = await call<Job>(target, "/jobs", { body: stubJob({ A: "1" }), headers });
      expect(second.status).toBe(202);
      expect(second.body.jobId).toBe(first.jobId);
      expect(second.headers.get("location")).toMatch(new RegExp(`${first.jobId}$`));
      problemOf(await call(target, "/jobs", { body: stubJob({ A: "2" }), headers }), 409, "CONFLICT");
      // Written in another order it is the same body.
      const turned = Object.fromEntries(Object.entries(stubJob({ A: "1" })).toReversed());
      expect((await submit(target, turned, headers)).jobId).toBe(first.jobId);
    });

    it("makes one job of a race", async () => {
      const headers = { "Idempotency-Key": mark() };
      const run = mark();
      const jobs = await Promise.all(
        Array.from({ length: race }, () => submit(target, stubJob({}, { labels: { run } }), headers)),
      );
      expect(new Set(jobs.map(({ jobId }) => jobId)).size).toBe(1);
      expect((await list(`label=run:${run}`)).items).toHaveLength(1);
    });

    it("lets one of two bodies win a race", async () => {
      const headers = { "Idempotency-Key": mark() };
      const answers = await Promise.all(
        Array.from({ length: race / 2 }, (_, n) =>
          call<Job>(target, "/jobs", { body: stubJob({ N: String(n % 2) }), headers }),
        ),
      );
      const won = answers.filter(({ status }) => status === 202);
      expect(won).toHaveLength(race / 4);
      expect(new Set(won.map(({ body }) => body.jobId)).size).toBe(1);
      for (const lost of answers.filter(({ status }) => status !== 202)) problemOf(lost, 409, "CONFLICT");
    });

    it.each([["with space"], ["x".repeat(256)]])("is refused when it is malformed", async (key) => {
      const answer = await call(target, "/jobs", { body: stubJob(), headers: { "Idempotency-Key": key } });
      expect(problemOf(answer, 422, "VALIDATION").violations?.[0]?.path).toBe("Idempotency-Key");
    });

    it("makes no second batch", async () => {
      const headers = { "Idempotency-Key": mark() };
      const body = { jobs: [stubJob(), stubJob()] };
      const [a, b] = await Promise.all([1, 2].map(() => call<Page<Job>>(target, "/jobs/batch", { body, headers })));
      expect(a?.status).toBe(202);
      expect(ids(b?.body as Page<Job>)).toEqual(ids(a?.body as Page<Job>));
    });
  });

  describe("runtimes and health", () => {
    it("lists every runtime with what it can do", async () => {
      const { body } = await call<Page<Record<string, unknown>>>(target, "/runtimes");
      expect(body.items.map(({ name }) => name)).toEqual(expect.arrayContaining([other, "stub"]));
      for (const runtime of body.items) {
        expect(Object.keys(runtime).sort()).toEqual(
          ["name", "kind", "capabilities", "constraints", "health", "circuit", "running", "maxConcurrent"].sort(),
        );
        expect(Object.keys(runtime.health as object).sort()).toEqual(["checkedAt", "message", "ok"]);
        expect(runtime.circuit).toBe("closed");
        const one = await call<Record<string, unknown>>(target, `/runtimes/${runtime.name}`);
        expect(one.body).toMatchObject({ name: runtime.name, constraints: runtime.constraints });
      }
      problemOf(await call(target, "/runtimes/nowhere"), 404, "NOT_FOUND");
    });

    it("tells what runs, and what it uses as far as the runtime knows", async () => {
      const { jobId, name, runtime } = await submit(target, forever());
      await reached(target, jobId, "STARTED");
      const item = await vi.waitFor(async () => {
        const { status, body, text } = await call<Usage>(target, "/usage");
        expect(status, text).toBe(200);
        expect(Object.keys(body).sort()).toEqual(["at", "failures", "items", "leftOut"]);
        const found = body.items.find((one) => one.jobId === jobId);
        expect(found, text).toMatchObject({ name, runtime, attempt: 1, lane: "default", status: "RUNNING" });
        return found;
      }, WAIT);
      const names = ["attempt", "jobId", "lane", "name", "phase", "runtime", "startedAt", "status", "usage"];
      expect(Object.keys(item ?? {}).sort()).toEqual(names);
      expect(item?.usage).toMatchObject({ cpuSeconds: expect.any(Number), memoryBytes: expect.any(Number) });
      await cancel(target, jobId);
      await cleanedUp(target, jobId);
    });

    it("is well", async () => {
      const { status, body } = await call<{ ok: boolean; version: string; checks: object[] }>(target, "/health");
      expect(status).toBe(200);
      expect(body.ok).toBe(true);
      expect(body.version).toMatch(/^\d+\.\d+\.\d+/);
      for (const check of body.checks) expect(Object.keys(check).sort()).toEqual(["message", "name", "ok"]);
      expect(body.checks).toContainEqual(expect.objectContaining({ name: "table", ok: true }));
    });
  });

  describe("an unknown job", () => {
    const path = "/jobs/job_01J00000000000000000000000";
    it.each(["", "/events", "/logs", "/cost"])("is NOT_FOUND at %s", async (rest) => {
      const problem: Problem = problemOf(await call(target, path + rest), 404, "NOT_FOUND");
      expect(problem.instance).toContain(path + rest);
    });
    it.each(["/cancel", "/retry"])("is NOT_FOUND at %s", async (rest) => {
      problemOf(await call(target, path + rest, { method: "POST" }), 404, "NOT_FOUND");
    });
    it("is NOT_FOUND to who follows it", async () => {
      problemOf(await call(target, `${path}/logs?follow=true`), 404, "NOT_FOUND");
      problemOf(await call(target, `${path}/events`, { headers: { Accept: "text/event-stream" } }), 404, "NOT_FOUND");
    });
  });
}
