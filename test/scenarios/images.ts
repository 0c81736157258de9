import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUSYBOX_IMAGE } from "../lab/docker.ts";
import { pushImage, startRegistry, type TestRegistry } from "../lab/registry.ts";
import { cancel, cleanedUp, ended, logsOf, reached, show, submit, type Target, until } from "./client.ts";
import { containersOf } from "./leftovers.ts";
import { dockerJob } from "./runtimes.ts";
import { expectNeverStarted } from "./unhappy.ts";

/** The registry's credentials, right and wrong, by the names under which a home must find them in its sources. */
export const REGISTRY_CREDENTIALS = {
  SCENARIO_REGISTRY: "user:open sesame",
  SCENARIO_BAD_REGISTRY: "user:wrong words",
};

/** Somebody who accepts connections and says nothing. */
async function startSilence(): Promise<{ host: string; asked: Promise<unknown>; stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
  });
  const asked = once(server, "connection");
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    host: `127.0.0.1:${port}`,
    asked,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/**
 * What can go wrong on the way to an image. For a home with Docker that finds `REGISTRY_CREDENTIALS` in a source; `from`
 * is what stands before their names in a spec.
 */
export function images(target: Target, { from }: { from: string }): void {
  describe("an image", () => {
    let open: TestRegistry;
    let closed: TestRegistry;
    let silence: Awaited<ReturnType<typeof startSilence>>;
    let known: string;
    let guarded: string;

    beforeAll(async () => {
      const [username = "", password = ""] = REGISTRY_CREDENTIALS.SCENARIO_REGISTRY.split(":");
      [open, closed, silence] = await Promise.all([
        startRegistry(),
        startRegistry({ username, password }),
        startSilence(),
      ]);
      known = await pushImage(open, BUSYBOX_IMAGE, "known:1");
      guarded = await pushImage(closed, BUSYBOX_IMAGE, "guarded:1");
    });
    afterAll(async () => {
      await Promise.all([open.stop(), closed.stop(), silence.stop()]);
      // What the jobs pulled: the engine keeps it, and the next run has other ports.
      const docker = new Docker();
      for (const name of [known, guarded]) await docker.getImage(name).remove();
    });

    async function failing(image: string, category: string, more: object = {}) {
      const { jobId } = await submit(target, dockerJob("true", { image, ...more }));
      const job = await ended(target, jobId);
      expectNeverStarted(job, category, category !== "NOT_FOUND");
      expect(job.attempts).toMatchObject([{ attempt: 1, exitCode: null, startedAt: null, error: { category } }]);
      await cleanedUp(target, jobId);
      expect(await containersOf(jobId)).toEqual([]);
      return job;
    }

    it("that is pulled runs, and is told about", async () => {
      const { jobId } = await submit(target, dockerJob("echo pulled", { image: known }));
      expect(await ended(target, jobId)).toMatchObject({ status: "SUCCEEDED" });
      expect((await logsOf(target, jobId)).map(({ text }) => text)).toEqual(["pulled"]);
      const pulling = (await cleanedUp(target, jobId)).find(({ type }) => type === "IMAGE_PULLING");
      expect(pulling?.data).toMatchObject({ image: known });
    });

    it("whose tag the registry does not know is NOT_FOUND", async () => {
      const job = await failing(known.replace(/:1$/, ":nope"), "NOT_FOUND");
      expect(job.error?.message).toContain("known:nope");
    });

    it("that the registry does not know is NOT_FOUND", async () => {
      await failing(`${open.host}/nobody/knows:1`, "NOT_FOUND");
    });

    it("of a host where nobody answers is IMAGE_PULL", async () => {
      await failing("127.0.0.1:1/some/image:1", "IMAGE_PULL");
    });

    it("of a host that does not exist is IMAGE_PULL", async () => {
      await failing("registry.invalid/some/image:1", "IMAGE_PULL");
    });

    it("of a registry that wants credentials is AUTH without any, with wrong ones, and with ones that cannot be had", async () => {
      await failing(guarded, "AUTH");
      await failing(guarded, "AUTH", { registryAuth: { from: `${from}SCENARIO_BAD_REGISTRY` } });
      const { jobId } = await submit(
        target,
        dockerJob("true", { image: guarded, registryAuth: { from: `${from}NOBODY_SET` } }),
      );
      const job = await ended(target, jobId);
      expect(["AUTH", "NOT_FOUND"]).toContain(job.error?.category);
      expect(job.exitCode).toBeNull();
    });

    it("of a registry that wants credentials runs with the right ones, which nobody is told", async () => {
      const spec = dockerJob("echo let in", { image: guarded, registryAuth: { from: `${from}SCENARIO_REGISTRY` } });
      const { jobId } = await submit(target, spec);
      expect(await ended(target, jobId)).toMatchObject({ status: "SUCCEEDED" });
      await cleanedUp(target, jobId);
      expect(JSON.stringify(await show(target, jobId))).not.toContain("sesame");
    });

    it("whose pull does not come to an end can be cancelled", async () => {
      const { jobId } = await submit(target, dockerJob("true", { image: `${silence.host}/some/image:1` }));
      await reached(target, jobId, "IMAGE_PULLING");
      await silence.asked;
      expect(await show(target, jobId)).toMatchObject({ status: "RUNNING", phase: "pulling" });
      await cancel(target, jobId);
      const job = await ended(target, jobId);
      expect(job).toMatchObject({ status: "CANCELLED", error: null, exitCode: null, startedAt: null });
      await cleanedUp(target, jobId);
      expect(await containersOf(jobId)).toEqual([]);
    });

    it("that fails again and again is tried as often as the policy says, with a wait in between that is told", async () => {
      const retry = { maxAttempts: 3, delaySeconds: 1, backoff: 1 };
      const { jobId } = await submit(target, dockerJob("true", { image: "127.0.0.1:1/some/image:1", retry }));
      await reached(target, jobId, "RETRY_SCHEDULED");
      const waiting = await until(target, jobId, ({ waitReason }) => expect(waitReason?.code).toBe("BACKOFF"));
      expect(waiting.status).toBe("RETRYING");
      const job = await ended(target, jobId);
      expectNeverStarted(job, "IMAGE_PULL", true);
      expect(job.attempts.map(({ attempt, error }) => [attempt, error?.category])).toEqual([
        [1, "IMAGE_PULL"],
        [2, "IMAGE_PULL"],
        [3, "IMAGE_PULL"],
      ]);
      const events = await cleanedUp(target, jobId);
      expect(events.filter(({ type }) => type === "RETRY_SCHEDULED").map(({ attempt }) => attempt)).toEqual([1, 2]);
      expect(await containersOf(jobId)).toEqual([]);
    });
  });
}
