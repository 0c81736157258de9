import { monotonicFactory } from "ulid";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { JobId } from "../../../engine/ids.ts";
import { type JobFilter, listJobs } from "../../../engine/ledger/list.ts";
import type { JobRecord } from "../../../engine/ledger/records.ts";
import { acceptJob, openLedger, type TestLedger } from "./fixtures.ts";

const SINCE = "2025-11-20T00:00:00.000Z";
let ledger: TestLedger;
/** Ids of any time, also one before the last: the mint itself never goes back. */
let mint: ReturnType<typeof monotonicFactory>;
beforeEach(() => {
  ledger = openLedger({ maxQueued: 100_000 });
  mint = monotonicFactory();
});
afterEach(() => ledger.sqlite.close());

async function jobsAt(times: string[], patch: (n: number) => Partial<JobRecord> = () => ({})): Promise<JobId[]> {
  const ids: JobId[] = [];
  for (const [n, time] of times.entries()) {
    const jobId = `job_${mint(Date.parse(time))}` as JobId;
    ledger.nowMs = Math.max(ledger.nowMs, Date.parse(time));
    ids.push(await acceptJob(ledger, { jobId, ...patch(n) }));
  }
  return ids;
}

/** All pages, in turn. `between` is called after each of them. */
async function everyPage(
  filter: JobFilter,
  limit: number,
  between: () => Promise<unknown> = async () => undefined,
): Promise<string[]> {
  const seen: string[] = [];
  let cursor: string | null | undefined;
  do {
    const page = { limit, since: SINCE, ...(cursor ? { cursor } : {}) };
    const { jobs, nextCursor } = await listJobs(ledger, filter, page);
    expect(jobs.length).toBeLessThanOrEqual(limit);
    seen.push(...jobs.map(({ jobId }) => jobId));
    cursor = nextCursor;
    await between();
  } while (cursor);
  return seen;
}

/** Five a month, at its edges too, over four months and a turn of the year. */
const TIMES = ["2025-11", "2025-12", "2026-01", "2026-03"].flatMap((month) =>
  ["28T23:59:59.999Z", "28T23:59:59.999Z", "29T00:00:00.000Z", "30T12:00:00.000Z", "30T23:59:59.999Z"].map(
    (rest) => `${month}-${rest}`,
  ),
);
const EDGES = ["2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00.000Z"];

describe("a list", () => {
  test("of none is empty", async () => {
    expect(await listJobs(ledger, {}, { limit: 10, since: SINCE })).toEqual({ jobs: [], nextCursor: null });
  });

  test.each([1, 2, 3, 7, 20, 200])("in pages of %i shows every job once, newest first, over months", async (limit) => {
    const ids = await jobsAt([...TIMES, ...EDGES]);
    const newestFirst = [...ids].sort().reverse();
    expect(await everyPage({}, limit)).toEqual(newestFirst);
  });

  test("is right on the first day of a month and on the 31st, when no month has as many days", async () => {
    const ids = await jobsAt(["2026-01-31T10:00:00.000Z", "2026-02-28T10:00:00.000Z", "2026-03-31T10:00:00.000Z"]);
    expect(await everyPage({}, 10)).toEqual([...ids].reverse());
    ledger.nowMs = Date.parse("2026-05-31T23:59:59.999Z");
    expect(await everyPage({}, 10)).toEqual([...ids].reverse());
  });

  test("loses none and shows none twice while others are submitted", async () => {
    const times = Array.from({ length: 40 }, (_, n) =>
      new Date(Date.parse("2026-03-30") + n * 6 * 3_600_000).toISOString(),
    );
    const ids = await jobsAt(times);
    let later = Date.parse("2026-04-20");
    const seen = await everyPage({}, 3, () => {
      later += 60_000;
      return jobsAt([new Date(later).toISOString()]);
    });
    expect(seen).toEqual([...ids].reverse());
  });

  test("regression: a cursor from the far future reads no month of it", async () => {
    const ids = await jobsAt(["2026-03-01T00:00:00.000Z"]);
    const asked = vi.spyOn(ledger.table, "query");
    const page = await listJobs(ledger, {}, { limit: 10, since: SINCE, cursor: "job_7ZZZZZZZZZZZZZZZZZZZZZZZZZ" });
    expect(page.jobs.map(({ jobId }) => jobId)).toEqual(ids);
    expect(asked.mock.calls.length).toBeLessThan(50);
  });

  test("reaches a home's oldest job, made in the moment of the home", async () => {
    const ids = await jobsAt([SINCE, "2026-03-01T00:00:00.000Z"]);
    expect(await everyPage({}, 1)).toEqual([...ids].reverse());
  });
});

describe("a filter", () => {
  const states = ["PENDING", "RUNNING", "SUCCEEDED", "FAILED"] as const;
  const patch = (n: number): Partial<JobRecord> => ({
    status: states[n % 4] ?? "PENDING",
    ...(n % 4 === 1 ? { phase: "running" as const } : {}),
    runtime: n % 3 === 0 ? "docker" : "process",
    name: n % 5 === 0 ? "nightly" : "other",
    labels: n % 2 === 0 ? { team: "data", tier: "1" } : { team: "web" },
  });

  const cases: [string, JobFilter, (n: number, time: string) => boolean][] = [
    ["one status", { status: ["RUNNING"] }, (n) => n % 4 === 1],
    ["two statuses", { status: ["RUNNING", "FAILED"] }, (n) => n % 4 === 1 || n % 4 === 3],
    ["a status that none has", { status: ["TIMED_OUT"] }, () => false],
    ["a runtime", { runtime: "docker" }, (n) => n % 3 === 0],
    ["a name", { name: "nightly" }, (n) => n % 5 === 0],
    ["a label", { labels: [["team", "data"]] }, (n) => n % 2 === 0],
    [
      "labels that must all be there",
      {
        labels: [
          ["team", "data"],
          ["tier", "2"],
        ],
      },
      () => false,
    ],
    [
      "one label with two values",
      {
        labels: [
          ["team", "web"],
          ["team", "data"],
        ],
      },
      () => false,
    ],
    ["a label that only objects inherit", { labels: [["toString", "x"]] }, () => false],
    ["all at once", { status: ["PENDING"], runtime: "docker", labels: [["team", "data"]] }, (n) => n % 12 === 0],
    ["after a time", { createdAfter: "2025-12-29T00:00:00.000Z" }, (_, time) => time > "2025-12-29T00:00:00.000Z"],
    ["before a time", { createdBefore: "2026-01-28T23:59:59.999Z" }, (_, time) => time < "2026-01-28T23:59:59.999Z"],
    [
      "between two times",
      { createdAfter: "2025-11-30T12:00:00.000Z", createdBefore: "2026-01-30T12:00:00.000Z" },
      (_, time) => time > "2025-11-30T12:00:00.000Z" && time < "2026-01-30T12:00:00.000Z",
    ],
    ["before the home", { createdBefore: "2025-01-01T00:00:00.000Z" }, () => false],
    ["after now", { createdAfter: "2027-01-01T00:00:00.000Z" }, () => false],
    ["before the future", { createdBefore: "2031-01-01T00:00:00.000Z" }, () => true],
    ["after a time that has no four-digit year", { createdAfter: "+010000-01-01T00:00:00.000Z" }, () => false],
    ["after a time before our era", { createdAfter: "-000044-03-15T00:00:00.000Z" }, () => true],
    ["before a time that has no four-digit year", { createdBefore: "+010000-01-01T00:00:00.000Z" }, () => true],
    ["before a time before our era", { createdBefore: "-000044-03-15T00:00:00.000Z" }, () => false],
    [
      "turned round",
      { createdAfter: "2026-01-01T00:00:00.000Z", createdBefore: "2025-12-01T00:00:00.000Z" },
      () => false,
    ],
  ];

  test.each(cases)("by %s shows exactly what has it, in pages of any size", async (...[, filter, has]) => {
    const ids = await jobsAt(TIMES, patch);
    const expected = ids
      .filter((_, n) => has(n, TIMES[n] ?? ""))
      .sort()
      .reverse();
    for (const limit of [1, 4, 200]) expect(await everyPage(filter, limit)).toEqual(expected);
  });

  test("that finds little gives a cursor after a bounded read, and all in the end", async () => {
    const times = Array.from({ length: 5_300 }, (_, n) => new Date(Date.parse("2026-03-02") + n * 1000).toISOString());
    const ids = await jobsAtOnce(times);
    const page = await listJobs(ledger, { name: "rare" }, { limit: 200, since: SINCE });
    expect(page.jobs).toEqual([]);
    expect(page.nextCursor).not.toBeNull();
    expect(await everyPage({ name: "rare" }, 200)).toEqual(ids.slice(0, 1));
  });
});

/** As `jobsAt`, sharing commits; the first is named `rare`. */
async function jobsAtOnce(times: string[]): Promise<JobId[]> {
  ledger.nowMs = Date.parse(times.at(-1) ?? "");
  const ids = times.map((time) => `job_${mint(Date.parse(time))}` as JobId);
  await Promise.all(ids.map((jobId, n) => acceptJob(ledger, { jobId, ...(n === 0 ? { name: "rare" } : {}) })));
  return ids;
}
