import Docker from "dockerode";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { BUSYBOX_IMAGE, ensureBusybox } from "../lab/docker.ts";
import {
  cancel,
  cleanedUp,
  ended,
  eventsOf,
  logsOf,
  PATIENCE_MS,
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

const READY = "echo ready; exec sleep 1000";
const UNKNOWN_JOB = "job_01KGABCDEFGHJKMNPQRSTVWXYZ";

const title = "a local home whose containers are meddled with";
const ONLY_LOCAL =
  "a sweep in AWS leaves alone what was touched in the last half minute; its parts are tried in test/engine";

describeWith("docker", { title, meta: oneHome("local", ONLY_LOCAL) }, () => {
  const docker = new Docker();
  let home: LocalHome;

  beforeAll(async () => {
    await ensureBusybox(docker);
    home = await startLocalHome({ env: { LONGSHORE_RUNTIMES: "docker", LONGSHORE_RECONCILE_SECONDS: "1" } });
  });
  afterAll(async () => {
    await home.dispose();
  });

  /** As an operator does it by hand. */
  const removeByHand = async (ref: string | null) => await docker.getContainer(ref ?? "").remove({ force: true });

  it.each(["runs", "is dead"])("retries a job whose container is removed while the home %s", async (home_) => {
    const retry = { maxAttempts: 2, delaySeconds: 0 };
    const { jobId } = await submit(home, dockerJob(READY, { retry, stopGraceSeconds: 0 }));
    await printed(home, jobId, "ready");
    const { externalRef } = await reachedRunning(jobId);
    if (home_ === "is dead") await home.end("SIGKILL");
    await removeByHand(externalRef);
    if (home_ === "is dead") await home.start();
    await reached(home, jobId, "RETRY_SCHEDULED");
    const again = await until(home, jobId, (job) => expect([job.attempt, job.phase]).toEqual([2, "running"]));
    expect(again.attempts[0]?.error).toMatchObject({ category: "RUNTIME_UNAVAILABLE", retryable: true });
    expect(again.externalRef).not.toBe(externalRef);
    expect(await containersOf(jobId)).toHaveLength(1);
    await cancel(home, jobId);
    const events = await cleanedUp(home, jobId);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, n) => n + 1));
    expect(await containersOf(jobId)).toEqual([]);
  });

  it("fails one without a retry left, saying why, and keeps no container", async () => {
    const { jobId } = await submit(home, dockerJob(READY));
    await printed(home, jobId, "ready");
    await removeByHand((await reachedRunning(jobId)).externalRef);
    const job = await ended(home, jobId);
    expect(job).toMatchObject({ status: "FAILED", error: { category: "RUNTIME_UNAVAILABLE" } });
    expect(job.error?.message).toMatch(/\w/);
    await cleanedUp(home, jobId);
  });

  it("removes what carries its label and belongs to nobody, and announces it", async () => {
    const running = await submit(home, dockerJob(READY));
    const over = await submit(home, dockerJob("true"));
    await printed(home, running.jobId, "ready");
    await cleanedUp(home, over.jobId);
    const own = await reachedRunning(running.jobId);
    const { Config } = await docker.getContainer(own.externalRef ?? "").inspect();
    const stray = async (jobId: string, name: string) => {
      const labels = { ...Config.Labels, "longshore.job": jobId };
      const made = { name, Image: BUSYBOX_IMAGE, Cmd: ["sleep", "1000"], Labels: labels };
      const container = await docker.createContainer({ ...made, HostConfig: { NetworkMode: "none" } });
      await container.start();
      return container.id;
    };
    const names = [`longshore-stray-${home.pid()}-1`, `longshore-stray-${home.pid()}-2`];
    await stray(UNKNOWN_JOB, names[0] as string);
    const ofOver = await stray(over.jobId, names[1] as string);
    await vi.waitFor(async () => expect(await home.containers()).toEqual([`/${own.externalName}`]), {
      timeout: PATIENCE_MS,
      interval: 100,
    });
    const events = await eventsOf(home, over.jobId);
    expect(events.map(({ type }) => type).slice(-3)).toEqual(["SUCCEEDED", "CLEANED_UP", "ORPHAN_DETECTED"]);
    expect(events.at(-1)?.data).toEqual({ attempt: 1, externalName: names[1], externalRef: ofOver });
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, n) => n + 1));
    expect(home.output()).toContain(names[0]);
    // A stream of the events still ends with the job.
    expect(await ended(home, over.jobId)).toMatchObject({ status: "SUCCEEDED" });

    // What runs was left alone, and is seen alive.
    const { lastHeartbeatAt } = own;
    const job = await until(home, running.jobId, (one) => expect(one.lastHeartbeatAt).not.toBe(lastHeartbeatAt));
    expect(job).toMatchObject({ status: "RUNNING", attempt: 1, version: own.version, externalRef: own.externalRef });
    expect((await logsOf(home, running.jobId)).map(({ text }) => text)).toEqual(["ready"]);
    await cancel(home, running.jobId);
    await cleanedUp(home, running.jobId);
  });

  async function reachedRunning(jobId: string) {
    await until(home, jobId, (job) => expect(job.phase).toBe("running"));
    return await show(home, jobId);
  }
});
