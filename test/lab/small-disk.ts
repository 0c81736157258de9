import { execFile } from "node:child_process";
import { closeSync, fsyncSync, openSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const exec = promisify(execFile);
const BLOCK = Buffer.alloc(64 * 1024);

/** A file system of a test's own that can be full or read-only. */
export interface SmallDisk {
  path: string;
  /** Takes every byte that is free. */
  fill(): void;
  /** Gives back what `fill` took, or only so many bytes of it. */
  free(bytes?: number): void;
  /** Makes it read-only under whoever writes, as ext4 does by itself when its device fails. */
  fail(): Promise<void>;
  /** Makes it writable or read-only while nobody writes; after `fail` it is repaired, and nobody may use it meanwhile. */
  remount(mode: "rw" | "ro"): Promise<void>;
  /** Unmounts and removes it. */
  dispose(): Promise<void>;
}

/** Makes a file system in a file and mounts it, as root. */
export async function mountSmallDisk(sizeMiB: number): Promise<SmallDisk> {
  await using made = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "ls-disk-"));
  made.defer(() => rm(folder, { recursive: true, force: true }));
  const image = join(folder, "image");
  const path = join(folder, "disk");
  const filler = join(path, "filler");
  await mkdir(path);
  await writeFile(image, "");
  await truncate(image, sizeMiB * 1024 * 1024);
  // Nothing kept back for root: a full disk shall be full for us.
  await exec("/sbin/mkfs.ext4", ["-q", "-m", "0", image]);
  let device = await attach(image);
  let failed = false;
  made.defer(() => detach(device));
  await exec("mount", [device, path]);
  made.defer(() => unmount(path));
  const owned = made.move();
  return {
    path,
    fill() {
      const fd = openSync(filler, "a");
      // What a write reserved beyond its need is free again once it is on the disk: until a pass finds nothing more.
      while (fillOnce(fd) > 0) fsyncSync(fd);
      closeSync(fd);
    },
    free(bytes) {
      if (bytes === undefined) return rmSync(filler, { force: true });
      truncateSync(filler, Math.max(0, statSync(filler).size - bytes));
    },
    async fail() {
      failed = true;
      await exec("mount", ["-o", "remount,abort", path]);
    },
    async remount(mode) {
      if (failed) {
        // Repaired in a copy: whoever made a mount namespace meanwhile holds the old device for as long as that lives.
        const copy = `${image}-repaired`;
        await unmount(path);
        await detach(device);
        await copyFile(image, copy);
        await repair(copy);
        device = await attach(copy);
        await exec("mount", [device, path]);
        failed = false;
      }
      await exec("mount", ["-o", `remount,${mode}`, path]);
    },
    dispose: () => owned.disposeAsync(),
  };
}

async function attach(image: string): Promise<string> {
  return (await exec("/sbin/losetup", ["--find", "--show", image])).stdout.trim();
}

async function detach(device: string): Promise<void> {
  await exec("/sbin/losetup", ["--detach", device]);
}

async function unmount(path: string): Promise<void> {
  await exec("umount", [path]);
}

async function repair(image: string): Promise<void> {
  try {
    await exec("/sbin/e2fsck", ["-f", "-y", image]);
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout?: string; stderr?: string };
    // 1: there was something to repair, and it was.
    if (code !== 1) throw new Error(`e2fsck ended with ${code}: ${stdout} ${stderr}`, { cause: error });
  }
}

/** Bytes that could be written. */
function fillOnce(fd: number): number {
  let bytes = 0;
  // The last bytes too: a large block may not fit where a small one does.
  for (let size = BLOCK.length; size >= 1; size = Math.floor(size / 2)) {
    for (let wrote = write(fd, size); wrote > 0; wrote = write(fd, size)) bytes += wrote;
  }
  return bytes;
}

function write(fd: number, size: number): number {
  try {
    return writeSync(fd, BLOCK, 0, size);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") return 0;
    throw error;
  }
}

/** Why no such disk can be had here; null when it can. */
export async function missingDisk(): Promise<string | null> {
  try {
    const disk = await mountSmallDisk(4);
    await disk.dispose();
    return null;
  } catch (error) {
    return `no file system can be made and mounted: ${(error as Error).message.trim().split("\n").at(-1)}`;
  }
}
