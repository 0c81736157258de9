import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { SHUTDOWN } from "../../../../engine/abort.ts";
import { LongshoreError } from "../../../../engine/errors.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import type { Launch, LaunchReport, RegistryAuth, RuntimeAdapter } from "../../../../engine/ports/runtime.ts";
import { launchOf } from "../../../contracts/runtime-harness.ts";
import { describeWith } from "../../../lab/counterparts.ts";
import { BUSYBOX_IMAGE, ensureBusybox, leftovers, makeUniqueImage } from "../../../lab/docker.ts";
import { freePort, pushImage, startRegistry, type TestRegistry } from "../../../lab/registry.ts";

const CREDENTIALS = { username: "team-user", password: "correct-horse-battery" };
/** Less than the busybox layer and more than any manifest. */
const LAYER_BYTES = 64 * 1024;
const PATIENCE_MS = 5_000;
const UNIQUE_IMAGE = "longshore-test/unique:1";
const never = () => new AbortController().signal;

describeWith(["docker", "registry"], "docker runtime and registries", () => {
  const homeId = mintHomeId(Date.now());
  const client = new Docker();
  let adapter: RuntimeAdapter;
  let open: TestRegistry;
  let closed: TestRegistry;
  let openImage: string;
  let closedImage: string;

  beforeAll(async () => {
    await ensureBusybox();
    adapter = createDockerRuntime({ homeId, allowedMounts: [] });
    open = await startRegistry();
    closed = await startRegistry(CREDENTIALS);
    await makeUniqueImage(UNIQUE_IMAGE);
    openImage = await pushImage(open, UNIQUE_IMAGE, "team/box:1");
    await client.getImage(UNIQUE_IMAGE).remove();
    closedImage = await pushImage(closed, BUSYBOX_IMAGE, "team/box:1");
  }, 60_000);
  afterAll(async () => {
    await adapter.dispose();
    await open.stop();
    await closed.stop();
    expect(await leftovers(homeId)).toEqual([]);
    const images = await client.listImages();
    const tags = images.flatMap((image) => image.RepoTags ?? []);
    expect(tags.filter((tag) => tag.startsWith(open.host) || tag.startsWith(closed.host))).toEqual([]);
  });

  const launch = (image: string, registryAuth?: RegistryAuth, reports: LaunchReport[] = []): Launch => {
    const spec = { image, network: { mode: "none" as const } };
    const one = launchOf(
      {},
      { act: "print", lines: [], exitCode: 0 },
      { spec, report: (report) => reports.push(report) },
    );
    return registryAuth === undefined ? one : { ...one, registryAuth };
  };
  const runs = async (one: Launch): Promise<void> => {
    const ref = await adapter.submit(one, never());
    expect(await adapter.wait(ref, never())).toMatchObject({ exitCode: 0 });
    await adapter.cleanup(ref);
    await client.getImage(one.spec.image ?? "").remove();
  };
  const refused = async (one: Launch): Promise<LongshoreError> => {
    const error = await adapter.submit(one, never()).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(LongshoreError);
    expect(await adapter.find(one.externalName)).toBeUndefined();
    return error as LongshoreError;
  };

  it("pulls what is not there, and reports that it does before it creates", async () => {
    const reports: LaunchReport[] = [];
    await runs(launch(openImage, undefined, reports));
    expect(reports[0]).toEqual({ phase: "pulling", data: { image: openImage, present: false } });
    expect(reports.at(-1)).toEqual({ phase: "creating" });
    const between = reports.slice(1, -1);
    expect(between.length).toBeGreaterThan(0);
    for (const { phase, progress } of between) {
      expect(phase).toBe("pulling");
      expect(progress?.totalBytes).toBeGreaterThan(LAYER_BYTES);
      expect(progress?.currentBytes).toBeLessThanOrEqual(progress?.totalBytes ?? 0);
    }
  });

  it("does not pull what is there", async () => {
    const reports: LaunchReport[] = [];
    const one = launch(BUSYBOX_IMAGE, undefined, reports);
    const ref = await adapter.submit(one, never());
    await adapter.cleanup(ref);
    expect(reports).toEqual([
      { phase: "pulling", data: { image: BUSYBOX_IMAGE, present: true } },
      { phase: "creating" },
    ]);
  });

  it("pulls with credentials", async () => {
    await runs(launch(closedImage, CREDENTIALS));
  });

  it("is AUTH without credentials and with wrong ones, and repeats none of them", async () => {
    expect(await refused(launch(closedImage))).toMatchObject({ code: "AUTH" });
    const error = await refused(launch(closedImage, { ...CREDENTIALS, password: "wrong-horse" }));
    expect(error).toMatchObject({ code: "AUTH" });
    expect(error.message).toContain("refused the credentials");
    expect(JSON.stringify([error.message, error.cause, error])).not.toMatch(/wrong-horse|team-user/);
  });

  it("is NOT_FOUND for a tag and for a repository that the registry does not know", async () => {
    expect(await refused(launch(`${open.host}/team/box:2`))).toMatchObject({ code: "NOT_FOUND" });
    expect(await refused(launch(`${open.host}/team/none:1`))).toMatchObject({ code: "NOT_FOUND" });
    expect(await refused(launch(`${closed.host}/team/none:1`, CREDENTIALS))).toMatchObject({ code: "NOT_FOUND" });
    const digest = `sha256:${"a".repeat(64)}`;
    expect(await refused(launch(`${open.host}/team/box@${digest}`))).toMatchObject({ code: "NOT_FOUND" });
  });

  it("is IMAGE_PULL where nobody listens and for a host that does not exist", async () => {
    const nobody = `127.0.0.1:${await freePort()}/team/box:1`;
    expect(await refused(launch(nobody))).toMatchObject({ code: "IMAGE_PULL" });
    expect(await refused(launch("registry.invalid/team/box:1"))).toMatchObject({ code: "IMAGE_PULL" });
  });

  it("is IMAGE_PULL when the registry talks nonsense", async () => {
    const { server, port } = await listen((socket) => socket.end("what?\r\n\r\n"));
    expect(await refused(launch(`127.0.0.1:${port}/team/box:1`))).toMatchObject({ code: "IMAGE_PULL" });
    await shut(server);
  });

  it("takes the tag latest for none, and not every tag there is", async () => {
    const other = await pushImage(open, BUSYBOX_IMAGE, "team/many:1");
    expect(await refused(launch(other.replace(/:1$/, "")))).toMatchObject({ code: "NOT_FOUND" });
    await expect(client.getImage(other).inspect()).rejects.toMatchObject({ statusCode: 404 });
  });

  /** Whether the engine hung up on the registry. */
  const abortHalfWay = async (): Promise<boolean> => {
    const { server, host, stalled } = await slowRegistry(open.host);
    const controller = new AbortController();
    const reason = new Error("cancelled");
    const one = launch(`${host}/team/box:1`);
    const submitted = adapter.submit(one, controller.signal);
    const socket = await Promise.race([stalled, submitted.then(() => Promise.reject(new Error("nothing was pulled")))]);
    const hungUp = new Promise<boolean>((resolve) => socket.once("close", () => resolve(true)));
    controller.abort(reason);
    await expect(submitted).rejects.toBe(reason);
    const hasHungUp = await Promise.race([hungUp, delay(PATIENCE_MS, false)]);
    expect(await adapter.find(one.externalName)).toBeUndefined();
    server.closeAllConnections();
    await shut(server);
    return hasHungUp;
  };

  // An engine that is aborted in the very moment before it begins to read a layer forgets the connection (seen one time
  // in twelve); one that is never told to stop never hangs up.
  it("ends the engine's own download when it is aborted half-way", { timeout: 60_000 }, async () => {
    let hungUp = false;
    for (let tries = 0; tries < 6 && !hungUp; tries += 1) hungUp = await abortHalfWay();
    expect(hungUp).toBe(true);
  });

  it.each([
    ["a cancel", new Error("cancelled")],
    ["a shutdown", SHUTDOWN],
  ])("stops a pull from a registry that never answers at %s, and leaves nothing", async (_, reason) => {
    const asked = Promise.withResolvers<Socket>();
    const { server, port } = await listen((socket) => asked.resolve(socket));
    const controller = new AbortController();
    const one = launch(`127.0.0.1:${port}/team/box:1`);
    const submitted = adapter.submit(one, controller.signal);
    const socket = await asked.promise;
    controller.abort(reason);
    await expect(submitted).rejects.toBe(reason);
    expect(await adapter.find(one.externalName)).toBeUndefined();
    socket.destroy();
    await shut(server);
  });
});

/** Passes everything on to a registry, but of a layer only the first bytes; `stalled` tells when the reader hangs up. */
async function slowRegistry(target: string): Promise<{ server: HttpServer; host: string; stalled: Promise<Socket> }> {
  const stalled = Promise.withResolvers<Socket>();
  const server = createHttpServer((request, response) => {
    void fetch(`http://${target}${request.url}`, { method: request.method ?? "GET", redirect: "follow" }).then(
      async (answer) => {
        const body = Buffer.from(await answer.arrayBuffer());
        const headers = Object.fromEntries(answer.headers);
        response.writeHead(answer.status, headers);
        if (body.length < LAYER_BYTES) return response.end(body);
        response.write(body.subarray(0, LAYER_BYTES));
        stalled.resolve(request.socket);
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, host: `127.0.0.1:${(server.address() as { port: number }).port}`, stalled: stalled.promise };
}

async function listen(onSocket: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.resume();
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as { port: number }).port };
}

async function shut(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}
