import { existsSync } from "node:fs";
import { glob, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./processes.ts";

const LAB = join(import.meta.dirname, "../../.lab/peers");

export interface Programs {
  /** The directory that they are in. */
  directory: string;
  /** What they need in their environment: libraries that the machine does not have. */
  env: Record<string, string>;
}

/**
 * Finds a program of a Debian package: as it is installed on the machine, or out of the package and what that needs,
 * unpacked under `.lab` without being installed.
 * @param program a pattern of its path below the root, such as `usr/bin/redis-server`.
 * @throws Error when the package cannot be had.
 */
export async function programOf(packageName: string, program: string): Promise<Programs> {
  const installed = await newest("/", program);
  if (installed !== undefined) return { directory: join("/", installed, ".."), env: {} };
  const root = join(LAB, packageName);
  if ((await newest(root, program)) === undefined) await unpack(packageName, root);
  const unpacked = await newest(root, program);
  if (unpacked === undefined) throw new Error(`Debian's ${packageName} has no ${program}`);
  const libraries = await Array.fromAsync(glob("usr/lib/*-linux-gnu", { cwd: root }));
  const env = { LD_LIBRARY_PATH: libraries.map((path) => join(root, path)).join(":") };
  return { directory: join(root, unpacked, ".."), env };
}

async function newest(root: string, program: string): Promise<string | undefined> {
  const found = await Array.fromAsync(glob(program, { cwd: root }));
  return found
    .filter((path) => existsSync(join(root, path)))
    .sort((a, b) => a.localeCompare(b, undefined, { numeric: true }))
    .at(-1);
}

async function unpack(packageName: string, root: string): Promise<void> {
  const archives = `${root}.archives`;
  await mkdir(join(archives, "partial"), { recursive: true });
  // apt finds what the package needs and the machine lacks; it only downloads, to a directory of ours and without locks.
  const options = ["Debug::NoLocking=1", `Dir::Cache::archives=${archives}`, "APT::Sandbox::User=root"];
  const args = ["install", "--yes", "--download-only", "--no-install-recommends", packageName];
  try {
    await run({ program: "apt-get", args: [...args, ...options.flatMap((option) => ["-o", option])] });
    for await (const archive of glob("*.deb", { cwd: archives })) {
      await run({ program: "dpkg-deb", args: ["--extract", join(archives, archive), root] });
    }
  } catch (error) {
    await rm(root, { recursive: true, force: true });
    throw new Error(`Debian's ${packageName} cannot be had (apt-get update?): ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    await rm(archives, { recursive: true, force: true });
  }
}
