import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import Docker from "dockerode";
import { pack } from "tar-stream";
import { LABELS } from "../../engine/naming.ts";

/** The image that the tests run: Debian's static busybox and nothing else. */
export const BUSYBOX_IMAGE = "longshore-test/busybox:1";

const UNIQUE_BYTES = 256 * 1024;

const run = promisify(execFile);

/** Whether a Docker Engine answers here; needs `docker.io` and a running `dockerd`. */
export async function dockerCounterpart(): Promise<
  { available: true; version: string } | { available: false; reason: string }
> {
  try {
    const version = await new Docker().version();
    return { available: true, version: version.Version };
  } catch (error) {
    return { available: false, reason: `no Docker Engine answers: ${(error as Error).message}` };
  }
}

/** Makes the busybox image when it is missing; needs `busybox-static`. Resolves with its name. */
export async function ensureBusybox(client: Docker = new Docker()): Promise<string> {
  const there = await client
    .getImage(BUSYBOX_IMAGE)
    .inspect()
    .then(
      () => true,
      (error: { statusCode?: number }) => {
        if (error.statusCode === 404) return false;
        throw error;
      },
    );
  if (there) return BUSYBOX_IMAGE;
  await importBusybox(BUSYBOX_IMAGE, client);
  return BUSYBOX_IMAGE;
}

/** Makes a busybox image of another name whose one layer no other image shares: pulling it moves bytes. */
export async function makeUniqueImage(name: string, client: Docker = new Docker()): Promise<void> {
  await importBusybox(name, client, randomBytes(UNIQUE_BYTES));
}

async function importBusybox(name: string, client: Docker, extra?: Buffer): Promise<void> {
  const [repo, tag] = name.split(":") as [string, string];
  const archive = Readable.from([await busyboxTar(extra)]);
  const answer: NodeJS.ReadableStream = await client.importImage(archive, { repo, tag });
  const said = (await buffer(answer)).toString();
  // The engine answers 200 before it has read the tar: a failure is in the body.
  if (said.includes('"error"')) throw new Error(`docker import failed: ${said}`);
}

/** A root file system: /bin/busybox, a link for each of its applets, and the few files that programs look for. */
async function busyboxTar(extra?: Buffer): Promise<Buffer> {
  const { stdout } = await run("busybox", ["--list"]);
  const archive = pack();
  archive.entry({ name: "bin/", type: "directory", mode: 0o755 });
  archive.entry({ name: "tmp/", type: "directory", mode: 0o1777 });
  archive.entry({ name: "etc/passwd" }, "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n");
  archive.entry({ name: "etc/group" }, "root:x:0:\nnogroup:x:65534:\n");
  archive.entry({ name: "bin/busybox", mode: 0o755 }, await readFile("/bin/busybox"));
  for (const applet of stdout.split("\n").filter((name) => name !== "" && name !== "busybox")) {
    archive.entry({ name: `bin/${applet}`, type: "symlink", linkname: "busybox" });
  }
  if (extra !== undefined) archive.entry({ name: "extra" }, extra);
  archive.finalize();
  return await buffer(archive);
}

/** The names of the containers that carry the home's label. */
export async function leftContainers(homeId: string, client: Docker = new Docker()): Promise<string[]> {
  const containers = await client.listContainers({ all: true, filters: labelled(homeId) });
  return containers.map((one) => one.Names[0] ?? one.Id);
}

/** The names of every container and network that carries the home's label. */
export async function leftovers(homeId: string, client: Docker = new Docker()): Promise<string[]> {
  const networks = await client.listNetworks({ filters: labelled(homeId) });
  return [...(await leftContainers(homeId, client)), ...networks.map((one) => one.Name)];
}

const labelled = (homeId: string) => ({ label: [`${LABELS.home}=${homeId}`] });

/** Removes every container and network that carries the home's label. */
export async function removeHome(homeId: string, client: Docker = new Docker()): Promise<void> {
  for (const one of await client.listContainers({ all: true, filters: labelled(homeId) })) {
    await client.getContainer(one.Id).remove({ force: true, v: true });
  }
  for (const one of await client.listNetworks({ filters: labelled(homeId) })) await client.getNetwork(one.Id).remove();
}
