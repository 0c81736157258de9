import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { ensureBusybox } from "../lab/docker.ts";
import { readExposition, valueIn } from "../lab/exposition.ts";
import { type PrivateDocker, startPrivateDocker } from "../lab/private-docker.ts";
import { call, cleanedUp, ended, eventsOf, givesNothingAway, show, submit } from "./client.ts";
import { oneHome } from "./homes.ts";
import { type LocalHome, startLocalHome, temporaryFolder } from "./local-home.ts";
import { dockerJob } from "./runtimes.ts";

/** Two stops and starts of a daemon, each with a cool-down after it. */
const LONG_MS = 180_000;
const WAIT = { timeout: 60_000, interval: 100 };

const title = "a local home whose Docker is stopped and started under load";
const ONLY_LOCAL =
  "its Docker Engine is ended and started beside it; the runtimes of AWS go away in other ways (test/adapters/runtime/ecs)";

describeWith("docker", { title, meta: oneHome("local", ONLY_LOCAL) }, () => {
  let daemon: PrivateDocker;
  let home: LocalHome;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let marks: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    marks = join(folder.path, "marks");
    await mkdir(marks);
    daemon = await startPrivateDocker();
    await ensureBusybox(daemon.client);
    home = await startLocalHome({
      docker: daemon.client,
      env: {
        DOCKER_HOST: daemon.host,
        LONGSHORE_RUNTIMES: "docker",
        LONGSHORE_MAX_CONCURRENT: "docker=12",
        LONGSHORE_ALLOWED_MOUNTS: marks,
        LONGSHORE_RECONCILE_SECONDS: "1",
      },
    });
  }, LONG_MS);
  afterAll(async () => {
    await home.dispose();
    await daemon.dispose();
    await folder.remove();
  }, LONG_MS);

  const jobIds: string[] = [];
  /** Each start of the command leaves a line with its container's id, in a file of its job's own. */
  async function load(jobs: number): Promise<string[]> {
    const added = Array.from({ length: jobs }, async () => {
      const mark = `job-${jobIds.length}-${crypto.randomUUID()}`;
      const script = `hostname >> /marks/${mark}; sleep 1`;
      const retry = { maxAttempts: 3, delaySeconds: 0 };
      const volumes = [{ source: marks, target: "/marks" }];
      const { jobId } = await submit(home, dockerJob(script, { retry, volumes, env: { MARK: mark } }));
      jobIds.push(jobId);
      return jobId;
    });
    return await Promise.all(added);
  }
  const circuit = async () => {
    const answer = await call<{ circuit: string }>(home, "/runtimes/docker");
    givesNothingAway(answer.text);
    return answer.body.circuit;
  };

  async function outage(waiting: number): Promise<void> {
    await daemon.end("SIGTERM");
    try {
      const late = await load(waiting);
      await vi.waitFor(async () => expect(await circuit()).toBe("open"), WAIT);
      const scraped = readExposition((await call<string>(home, "/metrics")).text);
      expect(valueIn(scraped, "longshore_runtime_up", { runtime: "docker" })).toBe(0);
      expect(valueIn(scraped, "longshore_circuit_state", { runtime: "docker", state: "open" })).toBe(1);
      expect(valueIn(scraped, "longshore_ledger_up")).toBe(1);
      for (const jobId of late) {
        const job = await vi.waitFor(async () => {
          const found = await show(home, jobId);
          expect(found.waitReason?.code).toBe("RUNTIME_UNAVAILABLE");
          return found;
        }, WAIT);
        expect(job).toMatchObject({ status: "PENDING", phase: "queued", attempt: 1, startedAt: null, error: null });
        expect(job.waitReason?.message).toMatch(
          /^docker does not answer \(Docker (does not answer: .+|is shutting down, .+)\); it is asked again from /,
        );
        expect(Date.parse(job.waitReason?.since ?? "")).toBeGreaterThanOrEqual(Date.parse(job.createdAt));
      }
    } finally {
      await daemon.start();
    }
    await vi.waitFor(async () => expect(await circuit()).toBe("closed"), WAIT);
  }

  it("lets jobs wait with RUNTIME_UNAVAILABLE, opens and closes the circuit, and ends all of them right", {
    timeout: LONG_MS,
  }, async () => {
    await load(5);
    await vi.waitFor(async () => expect((await readdir(marks)).length).toBeGreaterThan(0), WAIT);
    await outage(5);
    await load(5);
    await outage(5);

    expect(jobIds).toHaveLength(20);
    let started = 0;
    for (const jobId of jobIds) {
      const job = await ended(home, jobId);
      expect(job, JSON.stringify(await eventsOf(home, jobId), null, 1)).toMatchObject({ status: "SUCCEEDED" });
      const failed = job.attempts.slice(0, -1).map(({ error }) => error?.category);
      // UNKNOWN where Docker went away during a start: it may have forgotten that the command ran.
      expect(["RUNTIME_UNAVAILABLE", "UNKNOWN"]).toEqual(expect.arrayContaining(failed));
      const mark = (job.spec as { env: { MARK: string } }).env.MARK;
      const containers = (await readFile(join(marks, mark), "utf8")).trimEnd().split("\n");
      // One that was killed before its first line has left none.
      expect(containers.length).toBeLessThanOrEqual(job.attempts.length);
      expect(new Set(containers).size).toBe(containers.length);
      started += containers.length;
      const events = await vi.waitFor(async () => await cleanedUp(home, jobId), WAIT);
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, n) => n + 1));
    }
    expect(started).toBeGreaterThanOrEqual(jobIds.length);
    await vi.waitFor(async () => expect(await home.containers()).toEqual([]), WAIT);
  });
});
