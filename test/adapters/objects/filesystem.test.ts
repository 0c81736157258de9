import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createFilesystemObjects } from "../../../adapters/objects/filesystem.ts";
import { objectsContract } from "../../contracts/objects.ts";

objectsContract("filesystem", async () => {
  const directory = await mkdtemp(join(tmpdir(), "longshore-objects-"));
  return {
    objects: createFilesystemObjects({ directory }),
    end: () => rm(directory, { recursive: true }),
  };
});

describe("objects on the file system", () => {
  let directory: string;
  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), "longshore-objects-")), "objects");
  });
  afterEach(async () => {
    await rm(join(directory, ".."), { recursive: true });
  });

  const files = async (): Promise<string[]> => {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  };

  it("lets only the owner in", async () => {
    const objects = createFilesystemObjects({ directory });
    await objects.put("a/b/c", Buffer.from("x"));
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    for (const entry of entries) {
      const { mode } = await stat(join(entry.parentPath, entry.name));
      expect([entry.name, mode & 0o777]).toEqual([entry.name, entry.isFile() ? 0o600 : 0o700]);
    }
    expect(entries.map((entry) => entry.name)).toContain("c");
  });

  it("keeps what it stored over a new start", async () => {
    await createFilesystemObjects({ directory }).put("a/b", Buffer.from("x"));
    expect(await createFilesystemObjects({ directory }).head("a/b")).toMatchObject({ sizeBytes: 1 });
  });

  it("shows nothing of a put that kill -9 cut, and removes its remains at the next start", async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "half-put.ts"), directory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await exited;
    expect(await files()).toHaveLength(1);
    const objects = createFilesystemObjects({ directory });
    expect(await files()).toEqual([]);
    expect(await Array.fromAsync(objects.list(""))).toEqual([]);
  });

  it("leaves no file behind when a body fails, and no directory when the last object goes", async () => {
    const objects = createFilesystemObjects({ directory });
    const before = await readdir(directory);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("half");
      throw new Error("broken");
    }
    await expect(objects.put("a/b", broken())).rejects.toThrow("broken");
    expect(await files()).toEqual([]);
    await objects.put("a/b/c", Buffer.from("x"));
    await objects.delete("a/b/c");
    expect(await readdir(directory)).toEqual(before);
  });

  it("says that the disk fails without a path of the machine", async () => {
    const blocked = `${directory}-file`;
    await writeFile(blocked, "");
    expect(() => createFilesystemObjects({ directory: blocked })).toThrow(
      expect.objectContaining({ code: "UNAVAILABLE", message: expect.not.stringContaining(tmpdir()) }),
    );
    const objects = createFilesystemObjects({ directory });
    await rm(directory, { recursive: true });
    await expect(objects.put("a", Buffer.from("x"))).rejects.toMatchObject({
      code: "UNAVAILABLE",
      providerCode: "ENOENT",
      message: "the object store failed: ENOENT",
    });
  });
});
