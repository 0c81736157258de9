import { describe, expect, it } from "vitest";
import {
  type Answer,
  call,
  cancel,
  cleanedUp,
  ended,
  eventsOf,
  problemOf,
  reached,
  submit,
  type Target,
} from "./client.ts";
import { type JobEvent, type Page, TIME } from "./contract.ts";
import { type RuntimeFacts, stubJob } from "./runtimes.ts";

interface Run {
  jobId: string;
  name: string;
  status: string;
  runtime: string;
  startedAt: string | null;
  finishedAt: string;
  durationMs: number | null;
  exitCode: number | null;
  receiptUrl: string;
  summaryUrl: string;
  eventsUrl: string;
}

interface Receipt {
  schema: string;
  status: string;
  events: JobEvent[];
  attempts: { exitCode: number | null }[];
  logs: { lines: number; tail: { text: string }[] };
}

const KEYS = ["jobId", "name", "status", "runtime", "startedAt", "finishedAt", "durationMs", "exitCode"]
  .concat(["receiptUrl", "summaryUrl", "eventsUrl"])
  .sort();
const UNKNOWN = "job_01J00000000000000000000000";
const BASE = "/api/v1";

/**
 * The records of finished jobs: listed, shown in every form, erased. The last suite of its home: it erases what others left.
 * @param facts.forever a job that runs until it is stopped, on any runtime.
 */
export function runs(target: Target, { forever, talk }: Pick<RuntimeFacts, "forever" | "talk">): void {
  const list = async (query = "") => (await call<Page<Run>>(target, `/runs${query}`)).body;
  const show = (jobId: string) => call<Run & { receipt: Receipt }>(target, `/runs/${jobId}`);
  const remove = (jobId: string) => call(target, `/runs/${jobId}`, { method: "DELETE" });
  const cleanUp = (body: unknown) =>
    call<{ removed: number; dryRun: boolean; items: string[]; nextCursor: string | null }>(target, "/runs/cleanup", {
      body,
    });

  describe("a run", () => {
    it("is a finished job, listed and shown in every form that it names", async () => {
      const { jobId } = await submit(target, { ...talk(3), name: "recorded" });
      await cleanedUp(target, jobId);
      const { body } = await show(jobId);
      const { receipt, ...run } = body;
      expect(Object.keys(run).sort()).toEqual(KEYS);
      expect(run).toMatchObject({ jobId, name: "recorded", status: "FAILED", exitCode: 3 });
      expect([run.startedAt, run.finishedAt]).toEqual([expect.stringMatching(TIME), expect.stringMatching(TIME)]);
      expect((await list("?name=recorded&status=FAILED")).items).toContainEqual(run);
      expect(receipt).toMatchObject({ schema: "longshore.run-receipt.v1", status: "FAILED", logs: { lines: 3 } });
      expect(receipt.logs.tail.map(({ text }) => text).sort()).toEqual(["one", "oops", "two"]);
      const events = await eventsOf(target, jobId);
      expect(receipt.events).toEqual(events);

      const of = async (url: string) => await call(target, url.slice(BASE.length));
      const asReceipt = await of(run.receiptUrl);
      expect([asReceipt.status, asReceipt.headers.get("content-type")]).toEqual([200, "application/json"]);
      expect(asReceipt.body).toEqual(receipt);
      const summary = await of(run.summaryUrl);
      expect(summary.headers.get("content-type")).toMatch(/^text\/markdown/);
      expect(summary.text).toMatch(/^# FAILED: `recorded`\n/);
      expect(summary.text).toContain("exit code 3");
      const asEvents = await of(run.eventsUrl);
      expect(asEvents.headers.get("content-type")).toBe("application/x-ndjson");
      expect(
        asEvents.text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as unknown),
      ).toEqual(events);
    });

    it("is none while the job is not finished, and cannot be erased then", async () => {
      const { jobId } = await submit(target, forever({ name: "unfinished" }));
      await reached(target, jobId, "STARTED");
      for (const form of ["", "/receipt", "/summary", "/events"]) {
        problemOf(await call(target, `/runs/${jobId}${form}`), 404, "NOT_FOUND");
      }
      problemOf(await remove(jobId), 409, "CONFLICT");
      expect((await list("?name=unfinished")).items).toEqual([]);
      expect((await cleanUp({ olderThan: "0s", dryRun: true })).body.items).not.toContain(jobId);
      await cancel(target, jobId);
      await cleanedUp(target, jobId);
      expect((await show(jobId)).body).toMatchObject({ status: "CANCELLED", receipt: { status: "CANCELLED" } });
    });

    it("that is erased is gone, with its job, its log and its dead letter", async () => {
      const { jobId } = await submit(target, { ...talk(3), name: "erased" });
      await cleanedUp(target, jobId);
      expect((await remove(jobId)).status).toBe(204);
      for (const path of [`/runs/${jobId}`, `/jobs/${jobId}`, `/jobs/${jobId}/logs`, `/jobs/${jobId}/events`]) {
        problemOf(await call(target, path), 404, "NOT_FOUND");
      }
      problemOf(await call(target, `/dead-letters/${jobId.replace("job_", "dl_")}`), 404, "NOT_FOUND");
      problemOf(await call(target, `/jobs/${jobId}/retry`, { method: "POST" }), 404, "NOT_FOUND");
      problemOf(await remove(jobId), 404, "NOT_FOUND");
      expect((await list("?name=erased")).items).toEqual([]);
    });

    it.each([UNKNOWN, "x", "job_x", "%2e%2e", "receipt"])("with the id %s is none", async (id) => {
      problemOf(await show(id), 404, "NOT_FOUND");
      problemOf(await remove(id), 404, "NOT_FOUND");
    });
  });

  describe("the list of runs", () => {
    it("is paged, those submitted last first, and filtered", async () => {
      const ids: string[] = [];
      for (let n = 0; n < 5; n++) {
        const spec = stubJob({ STUB_EXIT_CODE: String(n % 2) }, { name: "paged", labels: { n: String(n) } });
        const { jobId } = await submit(target, spec);
        await ended(target, jobId);
        ids.unshift(jobId);
      }
      const seen: string[] = [];
      let link: string | null = "?name=paged&limit=2";
      for (let pages = 0; link !== null && pages < 20; pages++) {
        const { body, headers }: Answer<Page<Run>> = await call(target, `/runs${link}`);
        seen.push(...body.items.map(({ jobId }) => jobId));
        const next: string | undefined = /<[^?>]*(\?[^>]*)>; rel="next"/.exec(headers.get("link") ?? "")?.[1];
        expect(next !== undefined).toBe(body.nextCursor !== null);
        link = next ?? null;
      }
      expect(seen).toEqual(ids);
      const idsOf = async (query: string) => (await list(query)).items.map(({ jobId }) => jobId);
      expect(await idsOf("?name=paged&status=FAILED")).toEqual([ids[1], ids[3]]);
      expect(await idsOf("?name=paged&status=FAILED,SUCCEEDED&label=n:4")).toEqual([ids[0]]);
      expect(await idsOf("?name=paged&runtime=docker")).toEqual([]);
      const { finishedAt } = (await show(ids[2] ?? "")).body;
      expect(await idsOf(`?name=paged&finishedAfter=${finishedAt}`)).toEqual(ids.slice(0, 2));
      expect(await idsOf(`?name=paged&finishedBefore=${finishedAt}`)).toEqual(ids.slice(3));
    });

    it.each(["status=RUNNING", "status=DONE", "limit=0", "limit=201", "cursor=x", "finishedAfter=7d", "label=x"])(
      "refuses %s",
      async (query) => {
        problemOf(await call(target, `/runs?${query}`), 422, "VALIDATION");
      },
    );
  });

  describe("a cleanup of runs", () => {
    it.each([
      ...["7x", "-1d", "1e9d", "7", "d", "", " 7d", "7d ", "0x7d", "1.5d", "٣d", "99999999999d", "9999999999w", "NaNd"],
      ...[7, null, ["7d"], {}],
    ])("refuses the age %j", async (olderThan) => {
      problemOf(await cleanUp({ olderThan }), 422, "VALIDATION");
    });

    it.each([
      {},
      { olderThan: "7d", dryrun: true },
      { olderThan: "7d", dryRun: "yes" },
      { olderThan: "7d", status: "RUNNING" },
      { olderThan: "7d", status: [] },
      { olderThan: "7d", keep: -1 },
      { olderThan: "7d", keep: 1.5 },
      { olderThan: "7d", cursor: "x" },
      [],
    ])("refuses %j", async (body) => {
      problemOf(await cleanUp(body), 422, "VALIDATION");
    });

    it("tells in a dry run what would go, takes just that, and then nothing", async () => {
      const cancelled = await submit(target, stubJob({ STUB_DURATION_MS: "forever" }, forever({ name: "cleaned" })));
      await reached(target, cancelled.jobId, "STARTED");
      await cancel(target, cancelled.jobId);
      await cleanedUp(target, cancelled.jobId);
      const kept = await submit(target, stubJob({}, { name: "cleaned" }));
      await cleanedUp(target, kept.jobId);
      const query = { olderThan: "0s", status: "CANCELLED" };
      const told = await cleanUp({ ...query, dryRun: true });
      expect(told.body).toMatchObject({ dryRun: true, nextCursor: null, removed: told.body.items.length });
      expect(told.body.items).toContain(cancelled.jobId);
      expect((await show(cancelled.jobId)).status).toBe(200);
      expect((await cleanUp({ ...query, olderThan: "1d" })).body.removed).toBe(0);
      expect((await cleanUp(query)).body).toEqual({ ...told.body, dryRun: false });
      expect((await cleanUp(query)).body).toEqual({ removed: 0, dryRun: false, items: [], nextCursor: null });
      problemOf(await show(cancelled.jobId), 404, "NOT_FOUND");
      expect((await list("?name=cleaned")).items.map(({ jobId }) => jobId)).toEqual([kept.jobId]);
    });
  });
}
