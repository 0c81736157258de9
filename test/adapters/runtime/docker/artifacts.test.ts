import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDockerRuntime } from "../../../../adapters/runtime/docker/index.ts";
import { mintHomeId } from "../../../../engine/ids.ts";
import type { RuntimeAdapter } from "../../../../engine/ports/runtime.ts";
import { launchOf } from "../../../contracts/runtime-harness.ts";
import { describeWith } from "../../../lab/counterparts.ts";
import { BUSYBOX_IMAGE, ensureBusybox, leftovers } from "../../../lab/docker.ts";

const never = () => new AbortController().signal;
const HOST = "of-the-host";

/** What a container does to whoever reads its files. */
const HOSTILE = `
mkdir -p /out/deep /data/sub && cd /out
echo -n inside > good; echo -n A > A; echo -n a > a; : > empty
ln -s /etc/passwd link; ln -s /data/volume linked-volume; ln -s . self; ln -s missing dangling; ln -s /out /elsewhere
ln good hard; mkfifo fifo; (mknod null c 1 3 || true)
echo -n odd > 'sp ace é %2e%2e'; echo -n nl > 'new
line'; echo -n b > 'back\\\\slash'; echo -n d > '..dots'; echo -n w > 'CON'
d=/out/deep; i=0; while [ $i -lt 60 ]; do d=$d/0123456789; mkdir $d; i=$((i+1)); done; echo -n far > $d/far || true
truncate -s 3000000000 /out/sparse
chmod 000 good
echo -n in > /data/sub/in
`;

describeWith("docker", "artifacts of a container", () => {
  const homeId = mintHomeId(Date.now());
  let adapter: RuntimeAdapter;
  let folder: string;
  let ref: string;

  beforeAll(async () => {
    await ensureBusybox();
    folder = await mkdtemp(join(tmpdir(), "longshore-artifacts-"));
    await mkdir(join(folder, "data"));
    await writeFile(join(folder, "data", "secret.csv"), HOST);
    adapter = createDockerRuntime({ homeId, allowedMounts: [folder] });
    const volumes = [{ source: join(folder, "data"), target: "/data/volume", readOnly: true }];
    const spec = { network: { mode: "none" as const }, volumes, workdir: "/data" };
    const launch = launchOf({ image: BUSYBOX_IMAGE }, { act: "shell", script: HOSTILE }, { spec });
    ref = await adapter.submit(launch, never());
    await adapter.wait(ref, never());
  }, 60_000);
  afterAll(async () => {
    await adapter.cleanup(ref);
    await adapter.dispose();
    await rm(folder, { recursive: true });
    expect(await leftovers(homeId)).toEqual([]);
  });

  async function left(paths: string[], limits = { entries: 1000, bytes: 1_000_000 }) {
    const files: Record<string, string> = {};
    const refused: [path: string, code: string][] = [];
    for await (const entry of adapter.artifacts?.(ref, { paths, workdir: "/data", limits }) ?? []) {
      if (entry.kind === "refused") refused.push([entry.path, entry.code]);
      else if (entry.sizeBytes > 1000) files[entry.path] = `${entry.sizeBytes} bytes`;
      else files[entry.path] = Buffer.concat(await Array.fromAsync(entry.body)).toString();
    }
    return { files, refused };
  }

  it("that are links, devices or of odd names: files are handed over, all else is named", async () => {
    const { files, refused } = await left(["/out/*"]);
    expect(files).toMatchObject({
      "/out/good": "inside",
      "/out/A": "A",
      "/out/a": "a",
      "/out/empty": "",
      "/out/sp ace é %2e%2e": "odd",
      "/out/new\nline": "nl",
      "/out/back\\\\slash": "b",
      "/out/..dots": "d",
      "/out/CON": "w",
      "/out/sparse": "3000000000 bytes",
    });
    const codes = new Map(refused);
    expect(["link", "linked-volume", "self", "dangling"].map((name) => codes.get(`/out/${name}`))).toEqual(
      Array.from({ length: 4 }, () => "symlink"),
    );
    expect([codes.get("/out/hard"), codes.get("/out/fifo")]).toEqual(["hard_link", "special"]);
    // The sparse file's bytes are more than may pass through: what is behind it is not looked at, and that is told.
    expect(refused.at(-1)?.[1]).toBe("limit");
  });

  it("in a volume are the host's: not by its path, not from above, and not by a link", async () => {
    const direct = await left(["/data/volume/**", "volume/*.csv"]);
    expect(direct).toEqual({ files: {}, refused: [["/data/volume", "mount"]] });
    const above = await left(["/data/**"]);
    expect(above).toEqual({ files: { "/data/sub/in": "in" }, refused: [["/data/volume", "mount"]] });
    const linked = await left(["/out/linked-volume/*.csv", "/elsewhere/good"]);
    expect(linked.files).toEqual({});
    expect(new Set(linked.refused.map(([, code]) => code))).toEqual(new Set(["symlink"]));
    expect(JSON.stringify([direct, above, linked])).not.toContain(HOST);
  });

  it("whose globs are relative are of the working directory", async () => {
    expect(await left(["sub/*"])).toEqual({ files: { "/data/sub/in": "in" }, refused: [] });
  });

  it("deep down are found, and those whose path is too long are named", async () => {
    const { files, refused } = await left(["/out/deep/**"], { entries: 1000, bytes: 1_000_000 });
    const far = `/out/deep${"/0123456789".repeat(60)}/far`;
    expect([Object.keys(files), refused.map(([path]) => path)]).toEqual([[far], []]);
  });

  it("under a glob over everything are searched for within the limits", async () => {
    const { refused } = await left(["/**/nowhere"], { entries: 50, bytes: 10_000_000 });
    expect(refused).toEqual([["/**/nowhere", "limit"]]);
    const bytes = await left(["/**/nowhere"], { entries: 100_000, bytes: 100_000 });
    expect(bytes.refused).toEqual([["/**/nowhere", "limit"]]);
  });
});

describe("an archive that breaks off", () => {
  it("is an engine that is away, until it has happened again and again", async () => {
    const { createServer } = await import("node:http");
    const homeId = mintHomeId(Date.now());
    const ref = "a".repeat(64);
    const container = {
      Id: ref,
      Config: { Labels: { "longshore.home": homeId }, WorkingDir: "" },
      Mounts: [],
      State: { Running: false },
    };
    const server = createServer((request, response) => {
      if (request.url?.includes("/json") === true) {
        const { LABELS } = labels;
        response.setHeader("Content-Type", "application/json");
        response.end(JSON.stringify({ ...container, Config: { Labels: { [LABELS.home]: homeId } } }));
      } else if (request.method === "HEAD") {
        response.writeHead(404).end();
      } else {
        response.writeHead(200, { "Content-Type": "application/x-tar" });
        response.write(Buffer.alloc(100, 1), () => response.destroy());
      }
    });
    const labels = await import("../../../../engine/naming.ts");
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const adapter = createDockerRuntime({ homeId, allowedMounts: [], dockerHost: `tcp://127.0.0.1:${port}` });
    const codes: unknown[] = [];
    try {
      for (let times = 0; times < 3; times++) {
        const entries = adapter.artifacts?.(ref, {
          paths: ["/out/*"],
          workdir: null,
          limits: { entries: 9, bytes: 9999 },
        });
        codes.push(await Array.fromAsync(entries ?? []).catch(({ code }) => code));
      }
    } finally {
      await adapter.dispose();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    expect(codes).toEqual(["RUNTIME_UNAVAILABLE", "RUNTIME_UNAVAILABLE", "UNKNOWN"]);
  });
});
