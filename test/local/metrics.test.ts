import { tmpdir } from "node:os";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EventRecord, JobRecord } from "../../engine/ledger/records.ts";
import { METRICS } from "../../engine/metrics.ts";
import { admitWaiting } from "../../engine/operations/admit.ts";
import { publishEvents } from "../../engine/operations/publish.ts";
import type { ReconcileReport } from "../../engine/operations/reconcile.ts";
import { createUsageReader } from "../../engine/operations/usage.ts";
import type { FeedRecord } from "../../engine/ports/table.ts";
import { createHomeMetrics, type HomeMetrics } from "../../local/metrics.ts";
import { createScrape } from "../../local/scrape.ts";
import { everyEvent, everyJob } from "../engine/ledger/fixtures.ts";
import { launched, openWorld, runExecutions, submitted, type World } from "../engine/operations/world.ts";
import { type Family, readExposition, valueIn } from "../lab/exposition.ts";

let world: World;
let metrics: HomeMetrics;
let scrape: (accept?: string) => Promise<Map<string, Family>>;

beforeEach(async () => {
  world = await openWorld();
  open();
});
afterEach(() => world.dispose());

/** As a process begins: with nothing counted. */
function open(sinceMs = 0): void {
  const { ctx } = world;
  metrics = createHomeMetrics(ctx.clock);
  const usage = createUsageReader(ctx);
  const answer = createScrape({ ctx, metrics, usage, directory: tmpdir(), sinceMs });
  scrape = async (accept) => {
    const { statusCode, body } = await answer(accept);
    expect(statusCode).toBe(200);
    return readExposition(body);
  };
}

const nobody = { publish: async () => ({ failed: [] }) };

async function feed(): Promise<FeedRecord[]> {
  return await world.ledger.sqlite.feed.read(0, 1000);
}

async function count(records: FeedRecord[], bus: Parameters<typeof publishEvents>[1]["bus"] = nobody): Promise<void> {
  await publishEvents(world.ctx, { bus, taken: metrics.taken }, records);
}

const onStub = (labels: Record<string, string> = {}) => ({ runtime: "stub", ...labels });

describe("what is counted", () => {
  it("is what happened to the jobs, each thing once, however often the feed brings it", async () => {
    await submitted(world, { lane: "blue" });
    await submitted(world, {}, { STUB_EXIT_CODE: "3" });
    await submitted(world, { retry: { maxAttempts: 2, delaySeconds: 0 } }, { STUB_FAIL: "IMAGE_PULL" });
    await admitWaiting(world.ctx, "stub");
    await runExecutions(world);
    const records = await feed();
    for (let round = 0; round < 3; round++) await count(records);
    await count(records.slice(2));
    const found = await scrape();
    const jobs = await everyJob(world.ledger.sqlite);
    const events = (await Promise.all(jobs.map(({ jobId }) => everyEvent(world.ledger.sqlite, jobId)))).flat();
    const number = (type: string) => events.filter((event) => event.type === type).length;
    const value = (name: string, labels: Record<string, string>) => valueIn(found, name, labels);
    expect(jobs).toHaveLength(3);
    expect(value("longshore_jobs_submitted_total", onStub({ lane: "blue" }))).toBe(1);
    expect(value("longshore_jobs_submitted_total", onStub({ lane: "default" }))).toBe(2);
    expect(value("longshore_jobs_finished_total", onStub({ lane: "blue", status: "SUCCEEDED" }))).toBe(1);
    const failed = jobs.filter(({ status }) => status === "FAILED").length;
    expect(failed).toBeGreaterThan(0);
    expect(value("longshore_jobs_finished_total", onStub({ lane: "default", status: "FAILED" }))).toBe(failed);
    expect(value("longshore_attempts_started_total", onStub())).toBe(number("STARTED"));
    expect(value("longshore_retries_scheduled_total", onStub())).toBe(number("RETRY_SCHEDULED"));
    expect(value("longshore_dead_letters_total", onStub())).toBe(number("DEAD_LETTERED"));
    expect(value("longshore_cost_usd_total", onStub())).toBe(0);
    expect(value("longshore_job_wait_seconds_count", onStub({ lane: "blue" }))).toBe(1);
  });

  it("is not what the bus did not take, until it takes it", async () => {
    await submitted(world);
    const records = await feed();
    await count(records, { publish: async (entries) => ({ failed: entries.map(({ id }) => id) }) });
    expect(valueIn(await scrape(), "longshore_jobs_submitted_total", onStub({ lane: "default" }))).toBeUndefined();
    await count(records);
    expect(valueIn(await scrape(), "longshore_jobs_submitted_total", onStub({ lane: "default" }))).toBe(1);
  });

  it("says how long jobs waited and took", async () => {
    const { jobId } = await launched(world, {}, { STUB_DURATION_MS: "forever", STUB_ON_TERM: "end" });
    const job = (await everyJob(world.ledger.sqlite)).find((one) => one.jobId === jobId) as JobRecord;
    const at = (ms: number) => new Date(Date.parse(job.createdAt) + ms).toISOString();
    const event = (seq: number, type: EventRecord["type"], data = {}): EventRecord => {
      return { jobId, seq, type, at: at(0), attempt: 1, status: "RUNNING", phase: null, runtime: "stub", data };
    };
    metrics.taken(event(5, "STARTED", { startedAt: at(2_000) }), job);
    // The runtime's clock is behind: nothing takes less than no time.
    metrics.taken({ ...event(6, "STARTED", { startedAt: at(-9_000) }) }, job);
    metrics.taken({ ...event(7, "STARTED", { startedAt: at(9_000) }), attempt: 2 }, job);
    metrics.taken(event(8, "SUCCEEDED"), { ...job, startedAt: at(2_000), finishedAt: at(72_000) });
    // It never started: it took no time that could be told.
    metrics.taken(event(9, "FAILED"), { ...job, startedAt: null, finishedAt: at(72_000) });
    const found = await scrape();
    const lane = onStub({ lane: "default" });
    expect(valueIn(found, "longshore_job_wait_seconds_sum", lane)).toBe(2);
    expect(valueIn(found, "longshore_job_wait_seconds_count", lane)).toBe(2);
    expect(valueIn(found, "longshore_job_duration_seconds_sum", { ...lane, status: "SUCCEEDED" })).toBe(70);
    expect(valueIn(found, "longshore_job_duration_seconds_bucket", { ...lane, status: "SUCCEEDED", le: "60" })).toBe(0);
    expect(valueIn(found, "longshore_job_duration_seconds_bucket", { ...lane, status: "SUCCEEDED", le: "300" })).toBe(
      1,
    );
    expect(valueIn(found, "longshore_job_duration_seconds_count", { ...lane, status: "FAILED" })).toBeUndefined();
    expect(valueIn(found, "longshore_jobs_finished_total", { ...lane, status: "FAILED" })).toBe(1);
  });

  it("tells twenty lanes apart, whatever their names, and puts all others together", async () => {
    const jobId = await submitted(world);
    const job = (await everyJob(world.ledger.sqlite)).find((one) => one.jobId === jobId) as JobRecord;
    const hostile = fc.sample(fc.string({ unit: "binary", minLength: 1, maxLength: 20 }), 60);
    const lanes = ["constructor", "__proto__", 'a"b\\c\nd', ...hostile];
    for (const [n, lane] of lanes.entries()) {
      const event = { jobId, seq: n + 1, type: "SUBMITTED", attempt: 1, runtime: "stub", data: {} } as EventRecord;
      metrics.taken(event, { ...job, lane });
    }
    const submissions = (await scrape()).get("longshore_jobs_submitted_total")?.lines ?? [];
    expect(submissions.length).toBeLessThanOrEqual(21);
    expect(submissions.reduce((sum, { value }) => sum + value, 0)).toBe(lanes.length);
    expect(submissions.find(({ labels }) => labels.lane === "_other")?.value).toBeGreaterThan(30);
    expect(submissions.map(({ labels }) => labels.lane)).toContain('a"b\\c\nd');
  });

  it("tells requests by known methods only", async () => {
    for (const method of ["GET", "BREW", "PROPFIND"]) metrics.answered({ method, route: "/v1/jobs", code: 200 });
    const lines = (await scrape()).get("longshore_http_requests_total")?.lines;
    expect(lines?.map(({ labels, value }) => [labels.method, value])).toEqual([
      ["GET", 1],
      ["other", 2],
    ]);
  });

  it("adds up what sweeps did", async () => {
    const nothing = { looked: 0, active: null, repaired: 0, lost: 0, orphans: 0, erased: 0, failed: 0 };
    const report: ReconcileReport = { ...nothing, corrected: [], failures: [], stopped: null };
    metrics.swept({ ...report, active: 3, repaired: 2, orphans: 1 });
    metrics.swept({ ...report, repaired: 1, failed: 4, stopped: "time" });
    const endedAtMs = world.ctx.clock();
    world.ledger.nowMs += 60_000;
    metrics.swept({ ...report, stopped: "lease" });
    const found = await scrape();
    const values = ["active_jobs", "sweep_repairs_total", "sweep_orphans_total", "sweep_failures_total"];
    expect(values.map((name) => valueIn(found, `longshore_${name}`))).toEqual([3, 3, 1, 4]);
    expect(valueIn(found, "longshore_sweep_last_timestamp_seconds")).toBe(endedAtMs / 1000);
  });
});

describe("what is measured", () => {
  it("is how queue, lanes and slots stand now", async () => {
    await launched(world, { lane: "blue" });
    await submitted(world, { lane: "blue" });
    await submitted(world);
    const found = await scrape();
    expect(valueIn(found, "longshore_queue_jobs")).toBe(2);
    expect(valueIn(found, "longshore_lane_waiting_jobs", onStub({ lane: "blue" }))).toBe(1);
    expect(valueIn(found, "longshore_lane_running_jobs", onStub({ lane: "blue" }))).toBe(1);
    expect(valueIn(found, "longshore_slots_in_use", onStub())).toBe(1);
    expect(valueIn(found, "longshore_ledger_up")).toBe(1);
    expect(valueIn(found, "longshore_runtime_up", onStub())).toBe(1);
    expect(valueIn(found, "longshore_circuit_state", onStub({ state: "closed" }))).toBe(1);
    expect(valueIn(found, "longshore_circuit_state", onStub({ state: "open" }))).toBe(0);
    for (const { type, lines, name } of found.values()) {
      if (type === "gauge" && name.startsWith("longshore_"))
        for (const { value } of lines) expect(value, name).toBeGreaterThanOrEqual(0);
    }
  });

  it("is what the runtime tells of its jobs, and what they have used since they were seen last", async () => {
    const script = { STUB_DURATION_MS: "forever", STUB_CPU: "2", STUB_MEMORY_BYTES: "4096" };
    await launched(world, {}, script);
    world.ledger.nowMs += 10_000;
    let found = await scrape();
    expect(valueIn(found, "longshore_containers_memory_bytes", onStub())).toBe(4096);
    expect(valueIn(found, "longshore_containers_measured", onStub())).toBe(1);
    expect(valueIn(found, "longshore_containers_cpu_seconds_total", onStub())).toBe(20);
    world.ledger.nowMs += 5_000;
    await launched(world, {}, script);
    found = await scrape();
    expect(valueIn(found, "longshore_containers_cpu_seconds_total", onStub())).toBe(30);
    expect(valueIn(found, "longshore_containers_memory_bytes", onStub())).toBe(8192);
    // Nothing is told of the network: the stub has none.
    expect(found.get("longshore_containers_network_sent_bytes_total")?.lines).toEqual([]);
    // It grows no more when its jobs have gone, and does not fall.
    for (const ref of [...world.starts.keys()]) await world.runtime.cleanup(ref);
    world.ledger.nowMs += 5_000;
    found = await scrape();
    expect(valueIn(found, "longshore_containers_cpu_seconds_total", onStub())).toBe(30);
    expect(valueIn(found, "longshore_containers_measured", onStub())).toBe(0);
    expect(valueIn(found, "longshore_containers_not_measured")).toBe(2);
  });

  it("is not what a job had used before the process began: the one before may have counted it", async () => {
    await launched(world, {}, { STUB_DURATION_MS: "forever", STUB_CPU: "1" });
    world.ledger.nowMs += 60_000;
    open(world.ledger.nowMs);
    let found = await scrape();
    expect(valueIn(found, "longshore_containers_cpu_seconds_total", onStub())).toBeUndefined();
    world.ledger.nowMs += 3_000;
    found = await scrape();
    expect(valueIn(found, "longshore_containers_cpu_seconds_total", onStub())).toBe(3);
  });
});

describe("a scrape while something is away", () => {
  it("says which runtime does not answer, and tells all the rest", async () => {
    await launched(world);
    world.runtime.health = async () => ({ ok: false, message: "away" });
    world.runtime.usage = async () => {
      throw new Error("ENOENT /var/run/secret-path.sock");
    };
    const found = await scrape();
    expect(valueIn(found, "longshore_runtime_up", onStub())).toBe(0);
    expect(valueIn(found, "longshore_ledger_up")).toBe(1);
    expect(valueIn(found, "longshore_slots_in_use", onStub())).toBe(1);
    // Not known is not 0.
    expect(valueIn(found, "longshore_containers_memory_bytes", onStub())).toBeUndefined();
    expect(valueIn(found, "longshore_containers_not_measured")).toBe(1);
  });

  it("does not wait for a runtime that never answers", async () => {
    await launched(world);
    const never = new Promise<never>(() => undefined);
    world.runtime.health = () => never;
    world.runtime.usage = () => never;
    const found = await scrape();
    expect(valueIn(found, "longshore_runtime_up", onStub())).toBe(0);
    expect(valueIn(found, "longshore_slots_in_use", onStub())).toBe(1);
  });

  it("takes back what it said of a ledger that does not answer any more", async () => {
    await launched(world);
    const before = await scrape();
    expect(valueIn(before, "longshore_slots_in_use", onStub())).toBe(1);
    world.ctx.ledger.table.get = async () => {
      throw new Error("disk I/O error");
    };
    const found = await scrape();
    expect(valueIn(found, "longshore_ledger_up")).toBe(0);
    for (const name of ["longshore_slots_in_use", "longshore_queue_jobs", "longshore_lane_running_jobs"])
      expect(found.get(name)?.lines, name).toEqual([]);
    expect(valueIn(found, "longshore_runtime_up", onStub())).toBe(1);
  });
});

describe("the text", () => {
  it("has every metric of the table under its name, and those of the process", async () => {
    const found = await scrape();
    expect([...found.keys()].filter((name) => name.startsWith("longshore_")).sort()).toEqual(
      Object.keys(METRICS).sort(),
    );
    for (const name of ["process_cpu_seconds_total", "nodejs_eventloop_lag_p99_seconds"]) {
      expect(valueIn(found, name), name).toBeGreaterThanOrEqual(0);
    }
  });

  it("is OpenMetrics for whom asks for it, and the other format again for the next one", async () => {
    await submitted(world);
    await count(await feed());
    const labels = onStub({ lane: "default" });
    const accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    const both = await Promise.all([scrape(accept), scrape(), scrape(accept), scrape()]);
    expect(both.map((found) => found.has("longshore_jobs_submitted"))).toEqual([true, false, true, false]);
    for (const found of both) expect(valueIn(found, "longshore_jobs_submitted_total", labels)).toBe(1);
  });
});

describe("the table of metrics", () => {
  it("keeps to the conventions for names", () => {
    for (const [name, metric] of Object.entries(METRICS)) {
      expect(name).toMatch(/^longshore_[a-z]+(_[a-z]+)*$/);
      expect(name.endsWith("_total"), name).toBe(metric.kind === "counter");
      if (metric.unit !== "none") expect(name).toMatch(new RegExp(`_${metric.unit}(_total)?$`));
      const told: readonly string[] = "cloudwatch" in metric ? metric.cloudwatch : [];
      for (const label of told) expect(metric.labels).toContain(label);
    }
  });
});
