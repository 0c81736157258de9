import { describe, expect, it } from "vitest";
import { createEngine, usualSockets } from "../../../../adapters/runtime/docker/client.ts";
import { engineFailure, pullError, refusal, unreachable } from "../../../../adapters/runtime/docker/errors.ts";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { readJsonLines } from "../../../../adapters/runtime/docker/json-lines.ts";
import { createPullProgress } from "../../../../adapters/runtime/docker/pull.ts";
import { LongshoreError } from "../../../../engine/errors.ts";
import { mintJobId } from "../../../../engine/ids.ts";
import type { Launch } from "../../../../engine/ports/runtime.ts";
import { parseJobSpec } from "../../../../engine/spec/parse.ts";

const credentials = { username: "team-user", password: "correct-horse" };
const launch = (more: Partial<Launch> = {}): Launch => ({
  jobId: mintJobId(0),
  attempt: 1,
  externalName: "longshore-0000000000-x-a1",
  spec: parseJobSpec({ name: "x", image: "reg.example/team/box:1", command: ["/bin/tool"], workdir: "/work" }),
  env: { DB: "hunter2-hunter2", SHORT: "1" },
  dispatchedAt: "2026-01-01T00:00:00.000Z",
  secretValues: [],
  report: () => undefined,
  confirm: async () => undefined,
  ...more,
});
const answer = (statusCode: number, message: string) =>
  Object.assign(new Error(`(HTTP code ${statusCode}) server error - ${message} `), { statusCode, json: { message } });

describe("pullError", () => {
  const DENIED = "pull access denied for box, repository does not exist or may require 'docker login': ";
  it.each([
    ['Head "http://127.0.0.1:5001/v2/team/box/manifests/1": no basic auth credentials', "AUTH"],
    ["unauthorized: authentication required", "AUTH"],
    ["unauthorized: incorrect username or password", "AUTH"],
    [`${DENIED}unauthorized: authentication required`, "AUTH"],
    [`${DENIED}denied: requested access to the resource is denied`, "AUTH"],
    ["unexpected status from HEAD request to https://reg.example/v2/: 403 Forbidden", "AUTH"],
    ["manifest for reg.example/team/box:2 not found: manifest unknown: manifest unknown", "NOT_FOUND"],
    [`${DENIED}name unknown: The repository does not exist`, "NOT_FOUND"],
    ["no matching manifest for linux/amd64 in the manifest list entries", "NOT_FOUND"],
    ['Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', "IMAGE_PULL"],
    [
      'Get "https://registry.invalid/v2/": dial tcp: lookup registry.invalid on 192.0.2.1:53: no such host',
      "IMAGE_PULL",
    ],
    ['Get "https://reg.example/v2/": dial tcp: lookup reg.example: host not found', "IMAGE_PULL"],
    ["net/http: TLS handshake timeout", "IMAGE_PULL"],
    ["unexpected EOF", "IMAGE_PULL"],
    ["received unexpected HTTP status: 500 Internal Server Error", "IMAGE_PULL"],
    ["toomanyrequests: You have reached your pull rate limit", "IMAGE_PULL"],
    ["invalid reference format: repository name must be lowercase", "VALIDATION"],
  ])("reads %j as %s", (said, code) => {
    const error = pullError(said, launch(), 500);
    expect(error).toMatchObject({ code, providerCode: "500" });
    expect(error.message).toContain("reg.example/team/box:1");
  });

  it("tells missing credentials from refused ones, and repeats neither", () => {
    expect(pullError("unauthorized", launch()).message).toMatch(/wants credentials/);
    expect(pullError("unauthorized", launch({ registryAuth: credentials })).message).toMatch(/refused the credentials/);
    const echoed = pullError("bad header team-user:correct-horse", launch({ registryAuth: credentials }));
    expect(echoed.message).not.toMatch(/team-user|correct-horse/);
  });
});

describe("refusal", () => {
  it.each<{ status: number; said: string; code: string; words: RegExp }>([
    { status: 400, said: "No command specified", code: "VALIDATION", words: /command or args/ },
    { status: 400, said: "Minimum memory limit allowed is 6MB", code: "VALIDATION", words: /memoryMiB.*6MB/ },
    {
      status: 400,
      said: "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
      code: "VALIDATION",
      words: /cpu.*2\.00/,
    },
    {
      status: 500,
      said: "unable to find user zork: no matching entries in passwd file",
      code: "VALIDATION",
      words: /^user/,
    },
    {
      status: 400,
      said: 'invalid mount config for type "bind": bind source path does not exist: /nope',
      code: "VALIDATION",
      words: /source/,
    },
    { status: 400, said: "Duplicate mount point: /x", code: "VALIDATION", words: /same target/ },
    { status: 500, said: 'runc: error mounting "/tmp" to rootfs at "/proc": no', code: "VALIDATION", words: /target/ },
    {
      status: 400,
      said: 'invalid CapAdd: unknown capability: "CAP_FOO"',
      code: "VALIDATION",
      words: /addCapabilities/,
    },
    { status: 400, said: "invalid environment variable: =hunter2-hunter2", code: "VALIDATION", words: /^env/ },
    { status: 500, said: "exec /bin/sh: argument list too long", code: "VALIDATION", words: /longer/ },
    { status: 500, said: "Cannot mkdir: /work is not a directory", code: "VALIDATION", words: /workdir.*\/work/ },
    {
      status: 400,
      said: 'exec: "/bin/tool": executable file not found in $PATH',
      code: "USER_CODE",
      words: /"\/bin\/tool" was not found/,
    },
    {
      status: 400,
      said: 'exec: "/bin/tool": stat /bin/tool: no such file or directory',
      code: "USER_CODE",
      words: /was not found/,
    },
    { status: 400, said: 'exec: "/bin/tool": permission denied', code: "USER_CODE", words: /cannot be executed/ },
    {
      status: 500,
      said: "could not find an available, non-overlapping IPv4 address pool",
      code: "RUNTIME_UNAVAILABLE",
      words: /address range/,
    },
    // What an engine says that is just being stopped, or whose containerd is.
    ...[
      "ttrpc: closed: unknown",
      "transport is closing: unavailable",
      "grpc: the client connection is closing: unknown",
      'connection error: desc = "transport: error while dialing: dial unix:///run/containerd/containerd.sock"',
      "context canceled",
      "failed to update store for object type *libnetwork.endpoint: open : no such file or directory",
      "endpoint with name longshore-4zq2ghhtn7-busybox-a1 already exists in network none",
    ].map((said) => ({ status: 500, said, code: "RUNTIME_UNAVAILABLE", words: /shutting down/ })),
    { status: 503, said: "busy", code: "RUNTIME_UNAVAILABLE", words: /busy/ },
    { status: 400, said: "something new", code: "VALIDATION", words: /something new/ },
    { status: 500, said: "something new", code: "UNKNOWN", words: /something new/ },
  ])("reads HTTP $status $said as $code", ({ status, said, code, words }) => {
    const error = refusal(answer(status, said), launch());
    expect(error).toMatchObject({ code, providerCode: String(status) });
    // It would repeat the engine's words.
    expect(error.cause).toBeUndefined();
    expect(error.message).toMatch(words);
    expect(error.message).not.toContain("hunter2");
  });

  it("keeps values, host paths and excess out of the engine's own words", () => {
    const said = `strange: hunter2-hunter2 in /var/lib/docker/overlay2/abc/merged and /work ${"x".repeat(1000)}`;
    const { message } = refusal(answer(500, said), launch());
    expect(message).not.toMatch(/hunter2|overlay2/);
    expect(message).toContain("/work");
    expect(message.length).toBeLessThan(400);
  });

  it("keeps an error of ours and tells an engine that is not there", () => {
    const ours = new LongshoreError("AUTH", "x");
    expect(refusal(ours, launch())).toBe(ours);
    const gone = Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
    expect(refusal(gone, launch())).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(engineFailure(gone, "x")).toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(engineFailure(answer(500, "secret /path"), "stop a container").message).toBe(
      "Docker could not stop a container (HTTP 500)",
    );
  });
});

describe("an engine that is not there", () => {
  it.each(["ENOENT", "ECONNREFUSED", "ECONNRESET", "EACCES", "ENOTFOUND", "ESTRANGE"])("is unavailable: %s", (code) => {
    const error = unreachable(Object.assign(new Error("connect /secret/place.sock"), { code }));
    expect(error).toMatchObject({ code: "RUNTIME_UNAVAILABLE", providerCode: code });
    expect(error.message).not.toContain("/secret/place");
  });

  const absent = { homeId: "home_x", allowedMounts: [] };
  it.each([
    { dockerHost: "unix:///no/such/docker.sock" },
    { dockerHost: "tcp://127.0.0.1:1" },
    { sockets: ["/no/such/docker.sock"] },
    { sockets: [] },
  ])("says so at every call: %o", async (address) => {
    const adapter = createDockerRuntime({ ...absent, ...address });
    const ref = "a".repeat(64);
    const unavailable = { code: "RUNTIME_UNAVAILABLE" };
    const signal = new AbortController().signal;
    expect(await adapter.health()).toMatchObject({ ok: false, message: expect.stringContaining("does not answer") });
    await expect(adapter.submit(launch(), signal)).rejects.toMatchObject(unavailable);
    await expect(adapter.status(ref)).rejects.toMatchObject(unavailable);
    await expect(adapter.cancel(ref, 1)).rejects.toMatchObject(unavailable);
    await expect(adapter.cleanup(ref)).rejects.toMatchObject(unavailable);
    await expect(adapter.find("longshore-x")).rejects.toMatchObject(unavailable);
    await expect(Array.fromAsync(adapter.list())).rejects.toMatchObject(unavailable);
    await expect(Array.fromAsync(adapter.logs(ref, {}))).rejects.toMatchObject(unavailable);
    const controller = new AbortController();
    const waiting = adapter.wait(ref, controller.signal);
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    const forever = expect(adapter.wait(ref, signal)).rejects.toMatchObject(unavailable);
    await adapter.dispose();
    await forever;
    await expect(adapter.status(ref)).rejects.toMatchObject(unavailable);
  });
});

describe("addresses", () => {
  it.each(["", "ssh://host", "/var/run/docker.sock", "tcp://", "unix://", "nonsense"])("refuses %j", (dockerHost) => {
    expect(() => createEngine({ dockerHost })).toThrow(expect.objectContaining({ code: "VALIDATION" }));
  });

  it("does not repeat a password of a refused address", () => {
    expect(() => createEngine({ dockerHost: "ssh://me:hunter2@host" })).not.toThrow(/hunter2/);
  });

  it("tries the places that the environment names", () => {
    expect(usualSockets({ home: "/h", xdgRuntimeDir: "/x" })).toEqual(
      expect.arrayContaining(["/var/run/docker.sock", "/x/docker.sock", "/h/.docker/run/docker.sock"]),
    );
    expect(usualSockets()).toEqual(["/var/run/docker.sock"]);
  });

  it.each([{ maxConcurrent: 0 }, { maxConcurrent: 1.5 }, { pidsLimit: -1 }, { pidsLimit: Number.NaN }])(
    "refuses the options %o",
    (bad) => {
      const make = () => createDockerRuntime({ homeId: "home_x", allowedMounts: [], ...bad });
      expect(make).toThrow(expect.objectContaining({ code: "VALIDATION" }));
    },
  );
});

describe("progress of a pull", () => {
  it("adds up the layers and counts no byte twice", () => {
    const progress = createPullProgress();
    expect(progress.add({ status: "Pulling from team/box", id: "1" })).toBe(false);
    expect(progress.add({ id: "a", status: "Pulling fs layer" })).toBe(false);
    expect(progress.add({ id: "a", status: "Downloading", progressDetail: { current: 5, total: 10 } })).toBe(true);
    expect(progress.add({ id: "b", status: "Downloading", progressDetail: { current: 1 } })).toBe(true);
    expect(progress.sum()).toEqual({ currentBytes: 6, totalBytes: 11 });
    expect(progress.add({ id: "a", status: "Download complete" })).toBe(true);
    expect(progress.add({ id: "a", status: "Extracting", progressDetail: { current: 3, total: 10 } })).toBe(false);
    expect(progress.sum()).toEqual({ currentBytes: 11, totalBytes: 11 });
  });
});

describe("messages of the engine", () => {
  const read = async (...chunks: (string | Buffer)[]) => await Array.fromAsync(readJsonLines(from(chunks)));
  async function* from(chunks: (string | Buffer)[]) {
    yield* chunks;
  }

  it("come one a line, however they are cut", async () => {
    const bytes = Buffer.from('{"a":"é"}\r\n\n{"b":2}\n{"c":3}');
    const single = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
    expect(await read(...single)).toEqual([{ a: "é" }, { b: 2 }, { c: 3 }]);
  });

  it("are refused when they are garbage or endless, without being repeated", async () => {
    for (const bad of ["hunter2\n", '{"hunter2":', "x".repeat(2 * 1024 * 1024)]) {
      const error = await read(bad).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "RUNTIME_UNAVAILABLE", message: "Docker's answer cannot be understood" });
      expect((error as LongshoreError).cause).toBeUndefined();
    }
  });
});
