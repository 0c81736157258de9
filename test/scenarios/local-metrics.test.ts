import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { ensureBusybox } from "../lab/docker.ts";
import { type Family, readExposition, valueIn } from "../lab/exposition.ts";
import { call, cancel, cleanedUp, ended, eventsOf, logsOf, PATIENCE_MS, printed, submit } from "./client.ts";
import type { Job, Page, Spec } from "./contract.ts";
import { oneHome } from "./homes.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { dockerJob, processJob, stubJob } from "./runtimes.ts";

const WAIT = { timeout: PATIENCE_MS, interval: 50 };
const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT = `00-${ID}-00f067aa0ba902b7-01`;
const meta = oneHome("local", "Prometheus scrapes a home on one machine; in AWS CloudWatch has the same metrics (EMF)");

let home: LocalHome;

beforeAll(async () => {
  home = await startLocalHome({ env: { LONGSHORE_RECONCILE_SECONDS: "1" } });
});
afterAll(async () => {
  await home.dispose();
});

async function scrape(headers: Record<string, string> = {}): Promise<Map<string, Family>> {
  const { status, text } = await call<string>(home, "/metrics", { headers });
  expect(status).toBe(200);
  return readExposition(text);
}

const jobs = async () => (await call<Page<Job>>(home, "/jobs?limit=200")).body.items;
const sum = (found: Map<string, Family>, name: string) =>
  (found.get(name)?.lines ?? []).reduce((total, { value }) => total + value, 0);

/** Nothing that a home says of itself is ever below 0, whatever happened to it. */
function isNeverBelowZero(found: Map<string, Family>): void {
  for (const { name, lines } of found.values()) {
    if (name.startsWith("longshore_")) for (const { value } of lines) expect(value, name).toBeGreaterThanOrEqual(0);
  }
}

describe("the metrics of a local home", { meta }, () => {
  it("count what the API tells", async () => {
    const specs: Spec[] = [
      ...Array.from({ length: 6 }, () => stubJob({}, { lane: "blue" })),
      ...Array.from({ length: 3 }, () => stubJob({ STUB_EXIT_CODE: "1" })),
      stubJob({ STUB_FAIL: "IMAGE_PULL", STUB_FAIL_ATTEMPTS: "1" }, { retry: { maxAttempts: 2, delaySeconds: 0 } }),
      processJob("echo hello; exit 3"),
    ];
    const { status } = await call(home, "/jobs/batch", { body: { jobs: specs } });
    expect(status).toBe(202);
    const before = await vi.waitFor(async () => {
      const found = await scrape();
      expect(sum(found, "longshore_jobs_finished_total")).toBe(specs.length);
      return found;
    }, WAIT);
    isNeverBelowZero(before);
    const all = await jobs();
    const told = Map.groupBy(all, ({ runtime, lane, status: how }) => JSON.stringify({ runtime, lane, status: how }));
    for (const [labels, same] of told) {
      expect(valueIn(before, "longshore_jobs_finished_total", JSON.parse(labels)), labels).toBe(same.length);
    }
    expect(sum(before, "longshore_jobs_submitted_total")).toBe(specs.length);
    const events = (await Promise.all(all.map(({ jobId }) => eventsOf(home, jobId)))).flat();
    const number = (type: string) => events.filter((event) => event.type === type).length;
    expect(sum(before, "longshore_attempts_started_total")).toBe(number("STARTED"));
    expect(sum(before, "longshore_retries_scheduled_total")).toBe(number("RETRY_SCHEDULED"));
    expect(sum(before, "longshore_dead_letters_total")).toBe(number("DEAD_LETTERED"));
    const bytes = events.filter(({ type }) => type === "LOGS_COLLECTED").map(({ data }) => Number(data.bytes));
    expect(sum(before, "longshore_logs_stored_bytes_total")).toBe(bytes.reduce((total, one) => total + one, 0));
    expect(valueIn(before, "longshore_jobs_submitted_total", { runtime: "stub", lane: "blue" })).toBe(6);
    expect(valueIn(before, "longshore_queue_jobs")).toBe(0);
    const route = { method: "POST", route: "/v1/jobs/batch", code: "202" };
    expect(valueIn(await scrape(), "longshore_http_requests_total", route)).toBe(1);
  });

  it("are the same in the other format, and at the place where scrapers look", async () => {
    const open = await scrape({ Accept: "application/openmetrics-text; version=1.0.0" });
    const plain = readExposition(await (await fetch(home.api().replace("/api/v1", "/metrics"))).text());
    const labels = { runtime: "stub", lane: "blue" };
    for (const found of [open, plain]) expect(valueIn(found, "longshore_jobs_submitted_total", labels)).toBe(6);
  });

  it("count nothing twice when the home is killed: what was before is not counted again, what comes after is", async () => {
    const { jobId } = await submit(home, processJob("echo ready; exec sleep 1000"));
    await printed(home, jobId, "ready");
    await vi.waitFor(async () => expect(sum(await scrape(), "longshore_containers_measured")).toBe(1), WAIT);
    await home.end("SIGKILL");
    await home.start();
    const after = await scrape();
    isNeverBelowZero(after);
    const older = (await jobs()).length;
    // Of what the dead process had told last, some may come again; never more than there is, and none of it twice.
    expect(sum(after, "longshore_jobs_submitted_total")).toBeLessThanOrEqual(older);
    const green = async () => ended(home, (await submit(home, stubJob({}, { lane: "green" }))).jobId);
    await Promise.all(Array.from({ length: 5 }, green));
    await cancel(home, jobId);
    await cleanedUp(home, jobId);
    await vi.waitFor(async () => {
      const found = await scrape();
      const ofLane = { runtime: "stub", lane: "green" };
      expect(valueIn(found, "longshore_jobs_submitted_total", ofLane)).toBe(5);
      expect(valueIn(found, "longshore_jobs_finished_total", { ...ofLane, status: "SUCCEEDED" })).toBe(5);
      const labels = { runtime: "process", lane: "default", status: "CANCELLED" };
      expect(valueIn(found, "longshore_jobs_finished_total", labels)).toBe(1);
      expect(valueIn(found, "longshore_slots_in_use", { runtime: "process" })).toBe(0);
      isNeverBelowZero(found);
    }, WAIT);
  });
});

/** What a job was given of its trace. */
async function traceIn(jobId: string): Promise<Record<string, string>> {
  const lines = (await logsOf(home, jobId)).map(({ text }) => text.split("="));
  return Object.fromEntries(lines.map(([name = "", ...value]) => [name, value.join("=")]));
}

const SHOW = "env | grep ^TRACE; exit 0";

describe("the trace of a submission", { meta }, () => {
  it("reaches the process of each attempt, with a place of its own for each", async () => {
    const failing = `${SHOW.replace("exit 0", "exit 9")}`;
    const retry = { maxAttempts: 2, delaySeconds: 0, on: ["USER_CODE"] };
    const headers = { traceparent: TRACEPARENT, tracestate: "a=b,c@d=e" };
    const { jobId } = await submit(home, processJob(failing, { retry }), headers);
    await ended(home, jobId);
    const lines = await logsOf(home, jobId);
    const parents = lines.map(({ text }) => text).filter((text) => text.startsWith("TRACEPARENT="));
    expect(parents).toHaveLength(2);
    expect(new Set(parents).size).toBe(2);
    for (const one of parents) expect(one).toMatch(new RegExp(`^TRACEPARENT=00-${ID}-[0-9a-f]{16}-01$`));
    expect(lines.filter(({ text }) => text === "TRACESTATE=a=b,c@d=e")).toHaveLength(2);
  });

  it("is one of its own for a job without one, and the job's own word wins", async () => {
    const [plain, own] = [
      await submit(home, processJob(SHOW)),
      await submit(home, processJob(SHOW, { env: { TRACEPARENT: "mine" } }), {
        traceparent: TRACEPARENT,
        tracestate: "a=b",
      }),
    ];
    await ended(home, plain.jobId);
    await ended(home, own.jobId);
    expect(await traceIn(own.jobId)).toEqual({ TRACEPARENT: "mine" });
    const found = await traceIn(plain.jobId);
    expect(Object.keys(found)).toEqual(["TRACEPARENT"]);
    expect(found.TRACEPARENT).toMatch(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01$/);
  });
});

describeWith("docker", { title: "a container of a local home", meta }, () => {
  it("has its trace, and is measured", async () => {
    await ensureBusybox();
    const { jobId } = await submit(home, dockerJob("env | grep ^TRACE; echo ready=; exec sleep 1000"), {
      traceparent: TRACEPARENT,
    });
    await printed(home, jobId, "ready=");
    expect((await traceIn(jobId)).TRACEPARENT).toMatch(new RegExp(`^00-${ID}-[0-9a-f]{16}-01$`));
    await vi.waitFor(async () => {
      const found = await scrape();
      expect(valueIn(found, "longshore_containers_measured", { runtime: "docker" })).toBe(1);
      expect(valueIn(found, "longshore_containers_memory_bytes", { runtime: "docker" })).toBeGreaterThan(0);
      expect(valueIn(found, "longshore_runtime_up", { runtime: "docker" })).toBe(1);
    }, WAIT);
    await cancel(home, jobId);
    await cleanedUp(home, jobId);
  });
});
