import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { ensureBusybox } from "../lab/docker.ts";
import { type PrivateDocker, startPrivateDocker } from "../lab/private-docker.ts";
import {
  call,
  cancel,
  cleanedUp,
  ended,
  givesNothingAway,
  logsOf,
  printed,
  reached,
  show,
  submit,
  until,
} from "./client.ts";
import { oneHome } from "./homes.ts";
import { containersOf } from "./leftovers.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { dockerJob } from "./runtimes.ts";

interface Health {
  ok: boolean;
  checks: { name: string; ok: boolean; message: string }[];
}

/** A daemon's start and the sweep that takes up what was left may each take a while. */
const LONG_MS = 120_000;

const title = "a local home whose Docker goes away";
const ONLY_LOCAL =
  "its Docker Engine is ended and started beside it; the runtimes of AWS go away in other ways (test/adapters/runtime/ecs)";

describeWith("docker", { title, meta: oneHome("local", ONLY_LOCAL) }, () => {
  let daemon: PrivateDocker;
  let home: LocalHome;

  beforeAll(async () => {
    daemon = await startPrivateDocker();
    await ensureBusybox(daemon.client);
    home = await startLocalHome({
      docker: daemon.client,
      env: { DOCKER_HOST: daemon.host, LONGSHORE_RUNTIMES: "docker", LONGSHORE_RECONCILE_SECONDS: "1" },
    });
  }, LONG_MS);
  afterAll(async () => {
    await home.dispose();
    await daemon.dispose();
  }, LONG_MS);

  it("tells a job whose container went with it as RUNTIME_UNAVAILABLE, and leaves nothing", {
    timeout: LONG_MS,
  }, async () => {
    const { jobId } = await submit(home, dockerJob("echo ready; exec sleep 1000"));
    await printed(home, jobId, "ready");
    await daemon.end("SIGKILL");
    await daemon.start();
    const job = await ended(home, jobId);
    expect(job).toMatchObject({ status: "FAILED", attempt: 1 });
    expect(job.error).toMatchObject({ category: "RUNTIME_UNAVAILABLE", retryable: true });
    expect((await logsOf(home, jobId)).map(({ text }) => text)).toContain("ready");
    await cleanedUp(home, jobId);
    expect(await containersOf(jobId, daemon.client)).toEqual([]);
  });

  it("runs it once more in a fresh container where the policy says so", { timeout: LONG_MS }, async () => {
    const retry = { maxAttempts: 2, delaySeconds: 0 };
    const { jobId } = await submit(home, dockerJob("echo ready; exec sleep 1000", { retry, stopGraceSeconds: 0 }));
    await printed(home, jobId, "ready");
    const { externalRef } = await show(home, jobId);
    await daemon.end("SIGKILL");
    await daemon.start();
    await reached(home, jobId, "RETRY_SCHEDULED");
    await vi.waitFor(
      async () => expect((await logsOf(home, jobId)).filter(({ text }) => text === "ready")).toHaveLength(2),
      {
        timeout: 60_000,
        interval: 100,
      },
    );
    const again = await show(home, jobId);
    expect(again).toMatchObject({
      status: "RUNNING",
      attempt: 2,
      attempts: [{ error: { category: "RUNTIME_UNAVAILABLE" } }, {}],
    });
    expect(again.externalRef).not.toBe(externalRef);
    expect(await containersOf(jobId, daemon.client)).toHaveLength(1);
    await cancel(home, jobId);
    expect(await ended(home, jobId)).toMatchObject({ status: "CANCELLED", attempt: 2 });
    await cleanedUp(home, jobId);
    expect(await containersOf(jobId, daemon.client)).toEqual([]);
  });

  it("says so while it is away, and keeps a cancel until it is back", { timeout: LONG_MS }, async () => {
    const { jobId } = await submit(home, dockerJob("echo ready; exec sleep 1000"));
    await printed(home, jobId, "ready");
    await daemon.end("SIGKILL");

    const health = await call<Health>(home, "/health");
    expect(health.status).toBe(503);
    expect(health.body).toMatchObject({ ok: false });
    const docker = health.body.checks.find(({ name }) => name === "docker");
    expect(docker).toMatchObject({ ok: false });
    expect(docker?.message).toMatch(/Docker does not answer/);
    givesNothingAway(health.text);
    const runtime = await call<{ health: { ok: boolean } }>(home, "/runtimes/docker");
    expect(runtime.body.health.ok).toBe(false);

    // Jobs that come now wait for it, and say so; one that is cancelled meanwhile is over at once.
    const late = await submit(home, dockerJob("true"));
    const unwanted = await submit(home, dockerJob("true"));
    for (const one of [late, unwanted]) {
      await until(home, one.jobId, ({ waitReason }) => expect(waitReason?.code).toBe("RUNTIME_UNAVAILABLE"));
    }
    expect(await show(home, late.jobId)).toMatchObject({ status: "PENDING", attempt: 1, error: null });
    await cancel(home, unwanted.jobId);
    expect(await show(home, unwanted.jobId)).toMatchObject({ status: "CANCELLED", startedAt: null });

    const asked = await cancel(home, jobId);
    expect(asked.cancelRequestedAt).not.toBeNull();
    // Nobody knows whether it has stopped, so the record does not say so.
    expect(await show(home, jobId)).toMatchObject({ status: "RUNNING", finishedAt: null });
    await daemon.start();
    expect((await call<Health>(home, "/health")).status).toBe(200);
    expect(await ended(home, jobId)).toMatchObject({ status: "CANCELLED", error: null });
    expect(await ended(home, late.jobId)).toMatchObject({ status: "SUCCEEDED", attempt: 1 });
    for (const one of [jobId, late.jobId, unwanted.jobId]) {
      await vi.waitFor(async () => await cleanedUp(home, one), { timeout: 60_000 });
      expect(await containersOf(one, daemon.client)).toEqual([]);
    }
  });
});
