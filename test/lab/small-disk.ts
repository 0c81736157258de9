import { execFile } from "node:child_process";
import { closeSync, openSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
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
  /** Mounts it again after nobody uses it any more, repaired where it failed. */
  remount(mode: "rw" | "ro"): Promise<void>;
  /** Unmounts and removes it. */
  dispose(): Promise<void>;
}

/** Makes a file system in a file and mounts it, as root. */
export async function mountSmallDisk(sizeMiB: number): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), "ls-disk-"));
  const image = join(folder, "image");
  const path = join(folder, "disk");
  const filler = join(path, "filler");
  const mount = (mode: "rw" | "ro") => exec("mount", ["-o", `loop,${mode}`, image, path]);
  try {
    await writeFile(image, "");
    await truncate(image, sizeMiB * 1024 * 1024);
    // Nothing kept back for root: a full disk shall be full for us.
    await exec("/sbin/mkfs.ext4", ["-q", "-m", "0", image]);
    await mkdir(path);
    await mount("rw");
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  }
  return {
    path,
    fill() {
      const fd = openSync(filler, "a");
      // The last bytes too: a large block may not fit where a small one does.
      for (let size = BLOCK.length; size >= 1; size = Math.floor(size / 2)) {
        while (wrote(fd, size));
      }
      closeSync(fd);
    },
    free(bytes) {
      if (bytes === undefined) return rmSync(filler, { force: true });
      truncateBy(filler, bytes);
    },
    async fail() {
      await exec("mount", ["-o", "remount,abort", path]);
    },
    async remount(mode) {
      await exec("umount", [path]);
      // 1: it had to be repaired, and was.
      await exec("/sbin/e2fsck", ["-f", "-p", image]).catch((error: { code?: number }) => {
        if (error.code !== 1) throw error;
      });
      await mount(mode);
    },
    async dispose() {
      await exec("umount", [path]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function truncateBy(file: string, bytes: number): void {
  truncateSync(file, Math.max(0, statSync(file).size - bytes));
}

function wrote(fd: number, size: number): boolean {
  try {
    return writeSync(fd, BLOCK, 0, size) > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") return false;
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
