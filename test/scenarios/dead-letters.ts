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
import { type Job, type JobError, type Page, TIME } from "./contract.ts";
import { type RuntimeFacts, stubJob } from "./runtimes.ts";

interface DeadLetter {
  id: string;
  jobId: string;
  name: string;
  error: JobError;
  attempts: number;
  createdAt: string;
  replayedAs: string | null;
}

const KEYS = ["id", "jobId", "name", "error", "attempts", "createdAt", "replayedAs"].sort();
const UNKNOWN = "dl_01J00000000000000000000000";

/**
 * Jobs that failed for good: kept, listed, replayed, removed. For a home with the stub.
 * @param facts.forever a job that runs until it is stopped, on any runtime.
 */
export function deadLetters(target: Target, { forever }: Pick<RuntimeFacts, "forever">): void {
  const list = async (query = "") => (await call<Page<DeadLetter>>(target, `/dead-letters${query}`)).body;
  const show = (id: string) => call<DeadLetter>(target, `/dead-letters/${id}`);
  const replay = (id: string, headers: Record<string, string> = {}) =>
    call<Job>(target, `/dead-letters/${id}/replay`, { method: "POST", headers });
  const remove = (id: string) => call(target, `/dead-letters/${id}`, { method: "DELETE" });

  async function fails(spec = stubJob({ STUB_EXIT_CODE: "3" })): Promise<{ job: Job; letter: DeadLetter }> {
    const { jobId } = await submit(target, spec);
    await cleanedUp(target, jobId);
    const job = await ended(target, jobId);
    const letter = (await list()).items.find((one) => one.jobId === jobId);
    if (letter === undefined) throw new Error(`there is no dead letter of ${jobId}, which ended as ${job.status}`);
    return { job, letter };
  }

  describe("a dead letter", () => {
    it("tells of a job that failed for good, in an event before the last one too", async () => {
      const { job, letter } = await fails(stubJob({ STUB_EXIT_CODE: "3" }, { name: "doomed" }));
      expect(Object.keys(letter).sort()).toEqual(KEYS);
      expect(letter).toMatchObject({ name: "doomed", attempts: 1, replayedAs: null, error: job.error });
      expect(letter.id).toMatch(/^dl_[0-9A-HJKMNP-TV-Z]{26}$/);
      expect(letter.createdAt).toMatch(TIME);
      expect((await show(letter.id)).body).toEqual(letter);
      const events = await eventsOf(target, job.jobId);
      const at = events.findIndex(({ type }) => type === "DEAD_LETTERED");
      expect(events[at + 1]?.type).toBe("FAILED");
      expect(events[at]).toMatchObject({ at: letter.createdAt, data: { deadLetterId: letter.id, attempts: 1 } });
    });

    it("is there once the retries are used up, or the time is", async () => {
      const retry = { maxAttempts: 2, delaySeconds: 0, on: ["UNKNOWN"] };
      const doomed = await fails(stubJob({ STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: "2" }, { retry }));
      expect(doomed.letter).toMatchObject({ attempts: 2, error: { category: "UNKNOWN" } });
      const types = (await eventsOf(target, doomed.job.jobId)).map(({ type }) => type);
      expect(types.filter((type) => type === "DEAD_LETTERED")).toHaveLength(1);
      const late = await fails(stubJob({ STUB_DURATION_MS: "forever" }, { timeoutSeconds: 1 }));
      expect(late).toMatchObject({ job: { status: "TIMED_OUT" }, letter: { error: { category: "TIMEOUT" } } });
    });

    it("is not there of a job that succeeded, was cancelled, or succeeded in the end", async () => {
      const good = await submit(target, stubJob());
      const retry = { maxAttempts: 2, delaySeconds: 0, on: ["UNKNOWN"] };
      const saved = await submit(target, stubJob({ STUB_END_WITH: "UNKNOWN", STUB_FAIL_ATTEMPTS: "1" }, { retry }));
      const stopped = await submit(target, forever());
      await reached(target, stopped.jobId, "STARTED");
      await cancel(target, stopped.jobId);
      for (const { jobId } of [good, saved, stopped]) {
        expect((await cleanedUp(target, jobId)).map(({ type }) => type)).not.toContain("DEAD_LETTERED");
        problemOf(await show(jobId.replace("job_", "dl_")), 404, "NOT_FOUND");
      }
      expect(await ended(target, saved.jobId)).toMatchObject({ status: "SUCCEEDED", attempt: 2 });
    });

    it("is replayed once, as a new job of the same spec", async () => {
      const spec = stubJob({ STUB_EXIT_CODE: "3", DB_PASSWORD: "open-sesame-1" }, { labels: { try: "again" } });
      const { job, letter } = await fails(spec);
      const again = await replay(letter.id);
      expect(again.status, again.text).toBe(202);
      expect(again.headers.get("location")).toBe(`/api/v1/jobs/${again.body.jobId}`);
      expect(again.body).toMatchObject({ retryOf: job.jobId, attempt: 1, specHash: job.specHash, spec: job.spec });
      expect(again.text).not.toContain("open-sesame-1");
      expect((await show(letter.id)).body).toEqual({ ...letter, replayedAs: again.body.jobId });
      const refused = problemOf(await replay(letter.id), 409, "CONFLICT");
      expect(refused.detail).toContain(again.body.jobId);
      await cleanedUp(target, again.body.jobId);
    });

    it("that many replay at once gives one job; under one key, to all of them", async () => {
      const { letter } = await fails();
      const answers = await Promise.all(Array.from({ length: 8 }, () => replay(letter.id)));
      const accepted = answers.filter(({ status }) => status === 202);
      expect(accepted).toHaveLength(1);
      const jobId = accepted[0]?.body.jobId ?? "";
      for (const answer of answers.filter((one) => !accepted.includes(one))) {
        expect(problemOf(answer, 409, "CONFLICT").detail).toContain(jobId);
      }
      await cleanedUp(target, jobId);

      const { letter: other } = await fails();
      const headers = { "Idempotency-Key": other.id };
      const same = await Promise.all(Array.from({ length: 4 }, () => replay(other.id, headers)));
      expect(same.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
      expect(new Set(same.map(({ body }) => body.jobId)).size).toBe(1);
      await cleanedUp(target, same[0]?.body.jobId ?? "");
    });

    it("is removed with no content; then there is none, and its job is as it was", async () => {
      const { job, letter } = await fails();
      const removed = await remove(letter.id);
      expect([removed.status, removed.text, removed.headers.get("content-length")]).toEqual([204, "", null]);
      problemOf(await show(letter.id), 404, "NOT_FOUND");
      problemOf(await remove(letter.id), 404, "NOT_FOUND");
      problemOf(await replay(letter.id), 404, "NOT_FOUND");
      expect((await list()).items.map(({ id }) => id)).not.toContain(letter.id);
      expect((await call<Job>(target, `/jobs/${job.jobId}`)).body).toMatchObject({ status: "FAILED" });
      const again = await call<Job>(target, `/jobs/${job.jobId}/retry`, { method: "POST" });
      expect(again.status, again.text).toBe(202);
      await cleanedUp(target, again.body.jobId);
    });

    it.each([UNKNOWN, "dl_", "x", "job_01J00000000000000000000000", "..%2Fjobs"])("%s is none", async (id) => {
      for (const asked of [show, replay, remove]) problemOf(await asked(id), 404, "NOT_FOUND");
    });
  });

  describe("the list of dead letters", () => {
    it("gives each once, newest first, page by page along the Link header", async () => {
      const made: string[] = [];
      for (let n = 0; n < 3; n++) made.push((await fails()).letter.id);
      const seen: string[] = [];
      let path: string | undefined = "/dead-letters?limit=2";
      while (path !== undefined) {
        const { body, headers }: Answer<Page<DeadLetter>> = await call(target, path);
        seen.push(...body.items.map(({ id }) => id));
        const next: string | undefined = /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
        expect(next === undefined).toBe(body.nextCursor === null);
        path = next === undefined ? undefined : new URL(next, target.api()).href.replace(target.api(), "");
      }
      expect(seen.slice(0, 3)).toEqual(made.toReversed());
      expect(new Set(seen).size).toBe(seen.length);
      expect((await list("?limit=200")).items.map(({ id }) => id)).toEqual(seen);
    });

    it.each(["limit=0", "limit=201", "limit=x", "cursor=garbage", `cursor=${UNKNOWN}`])("refuses %s", async (query) => {
      const problem = problemOf(await call(target, `/dead-letters?${query}`), 422, "VALIDATION");
      expect(problem.violations?.[0]?.path).toBe(query.split("=")[0]);
    });
  });
}
