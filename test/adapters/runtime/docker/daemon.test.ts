import { afterAll, beforeAll, expect, it } from "vitest";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import type { RuntimeAdapter } from "../../../../engine/ports/runtime.ts";
import { launchOf, readLines, untilLine } from "../../../contracts/runtime-harness.ts";
import { describeWith } from "../../../lab/counterparts.ts";
import { BUSYBOX_IMAGE, ensureBusybox, leftovers } from "../../../lab/docker.ts";
import { type PrivateDocker, startPrivateDocker } from "../../../lab/private-docker.ts";

const facts = { image: BUSYBOX_IMAGE };
const offline = { spec: { network: { mode: "none" as const } } };
const never = () => new AbortController().signal;
const sleeper = () => launchOf(facts, { act: "shell", script: "echo ready; exec sleep 1000" }, offline);
/** Says that it was told to end, and goes on. */
const stubborn = () => {
  const script = "trap 'echo told' TERM; echo ready; while :; do sleep 0.1; done";
  return launchOf(facts, { act: "shell", script }, offline);
};
const wentAway = { category: "RUNTIME_UNAVAILABLE", message: expect.stringContaining("Docker went away") };

describeWith("docker", "docker runtime when its engine goes away", () => {
  const homeId = mintHomeId(Date.now());
  let daemon: PrivateDocker;
  let adapter: RuntimeAdapter;

  beforeAll(async () => {
    daemon = await startPrivateDocker();
    await ensureBusybox(daemon.client);
    adapter = createDockerRuntime({ homeId, dockerHost: daemon.host, allowedMounts: [] });
  }, 60_000);
  afterAll(async () => {
    try {
      expect(await leftovers(homeId, daemon.client)).toEqual([]);
    } finally {
      await adapter.dispose();
      await daemon.dispose();
    }
  }, 60_000);

  it("is a failure of the runtime when a stopped engine ended the container", { timeout: 60_000 }, async () => {
    const ref = await adapter.submit(sleeper(), never());
    await untilLine(adapter, ref, "ready");
    const waiting = adapter.wait(ref, never());
    await daemon.end("SIGTERM");
    await daemon.start();
    const status = await waiting;
    expect(status).toMatchObject({ phase: "exited", exitCode: 143, oom: false, failure: wentAway });
    expect(status.failure?.providerCode).toBe("143");
    expect(await adapter.status(ref)).toEqual(status);
    await adapter.cleanup(ref);
  });

  it("is one when the engine was killed and ended the container at its next start", { timeout: 60_000 }, async () => {
    const waited = await adapter.submit(sleeper(), never());
    const unwaited = await adapter.submit(sleeper(), never());
    await untilLine(adapter, waited, "ready");
    const waiting = adapter.wait(waited, never());
    await daemon.end("SIGKILL");
    expect(await adapter.health()).toMatchObject({ ok: false });
    await expect(adapter.status(waited)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    const waitingSince = adapter.wait(unwaited, never());
    await daemon.start();
    expect(await waiting).toMatchObject({ phase: "exited", failure: wentAway });
    expect(await waitingSince).toMatchObject({ phase: "exited", failure: wentAway });
    for (const ref of [waited, unwaited]) await adapter.cleanup(ref);
  });

  it("is none when somebody killed the container and the engine stayed", { timeout: 60_000 }, async () => {
    const ref = await adapter.submit(sleeper(), never());
    await untilLine(adapter, ref, "ready");
    const waiting = adapter.wait(ref, never());
    await daemon.client.getContainer(ref).kill();
    expect(await waiting).toMatchObject({ phase: "exited", exitCode: 137, failure: null });
    await adapter.cleanup(ref);
  });

  it("is none when the container ended by itself while nobody could see it", { timeout: 60_000 }, async () => {
    const ref = await adapter.submit(
      launchOf(facts, { act: "shell", script: "trap 'exit 7' TERM; echo ready; sleep 1000 & wait" }, offline),
      never(),
    );
    await untilLine(adapter, ref, "ready");
    const waiting = adapter.wait(ref, never());
    await daemon.end("SIGTERM");
    await daemon.start();
    expect(await waiting).toMatchObject({ phase: "exited", exitCode: 7, failure: null });
    await adapter.cleanup(ref);
  });

  it("is none when the container had been told to end", { timeout: 60_000 }, async () => {
    const ref = await adapter.submit(stubborn(), never());
    await untilLine(adapter, ref, "ready");
    const waiting = adapter.wait(ref, never());
    const cancelling = adapter.cancel(ref, 30).catch((error: { code?: string }) => error.code);
    await untilLine(adapter, ref, "told");
    await daemon.end("SIGKILL");
    expect(await cancelling).toBe("RUNTIME_UNAVAILABLE");
    await daemon.start();
    expect(await waiting).toMatchObject({ phase: "exited", exitCode: 137, failure: null });
    await adapter.cleanup(ref);
  });

  it("fails a reader of the log, which then goes on where it was", { timeout: 60_000 }, async () => {
    const ref = await adapter.submit(sleeper(), never());
    const waiting = adapter.wait(ref, never());
    let killed: Promise<void> | undefined;
    const reading = (async () => {
      for await (const [line] of adapter.logs(ref, { follow: true })) if (line?.n === 1) killed = daemon.end("SIGKILL");
    })();
    await expect(reading).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    await killed;
    await expect(readLines(adapter, ref)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    await expect(adapter.submit(sleeper(), never())).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    await expect(adapter.cleanup(ref)).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    await daemon.start();
    await waiting;
    expect((await readLines(adapter, ref)).map((line) => line.text)).toEqual(["ready"]);
    expect(await readLines(adapter, ref, { after: 1 })).toEqual([]);
    await adapter.cleanup(ref);
  });
});
