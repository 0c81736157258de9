import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeWith } from "../lab/counterparts.ts";
import { artifactsKept } from "./artifacts.ts";
import { cleanedUp, ended, submit, type Target } from "./client.ts";
import { images, REGISTRY_CREDENTIALS } from "./images.ts";
import { containersOf, processesOf } from "./leftovers.ts";
import { type LocalHome, startLocalHome } from "./local-home.ts";
import { dockerJob, processJob } from "./runtimes.ts";
import { retries, unhappyLives } from "./unhappy.ts";

let home: LocalHome;
const target: Target = { api: () => home.api() };

beforeAll(async () => {
  home = await startLocalHome({ env: REGISTRY_CREDENTIALS });
});
afterAll(async () => {
  await home.dispose();
});

describe("a local home", () => {
  unhappyLives(target, { name: "process", job: processJob, left: (jobId) => processesOf({ jobId }) });
  retries(target);
  artifactsKept(target, { name: "process", job: processJob });
});

describeWith("docker", "a local home with Docker", () => {
  unhappyLives(target, { name: "docker", job: dockerJob, left: containersOf });

  artifactsKept(target, { name: "docker", job: dockerJob });

  it("tells a job that takes more memory than it may as OOM", async () => {
    const more = { resources: { memoryMiB: 16 }, retry: { maxAttempts: 3, delaySeconds: 0 } };
    const { jobId } = await submit(target, dockerJob("tail /dev/zero", more));
    const job = await ended(target, jobId);
    expect(job).toMatchObject({ status: "FAILED", exitCode: 137, attempt: 1 });
    expect(job.error).toMatchObject({ category: "OOM", retryable: false, exitCode: 137 });
    await cleanedUp(target, jobId);
    expect(await containersOf(jobId)).toEqual([]);
  });
});

describeWith(["docker", "registry"], "a local home with a registry", () => {
  images(target, { from: "env:" });
});
