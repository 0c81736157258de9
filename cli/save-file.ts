import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { lstat, mkdir, open, realpath, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** Names of devices on Windows, with whatever stands behind a dot. */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?$/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const NOT_ON_WINDOWS = /[<>:"|?*\\\u0000-\u001f]|[. ]$/;

/** A file that cannot be saved as its name says; the message says why, in one line. */
export class UnsafeName extends Error {
  override name = "UnsafeName";
}

/**
 * The parts of an artifact's name as those of a path below some directory. Who serves it is trusted with nothing here.
 * @throws UnsafeName for a name that leads elsewhere, or that the platform takes for something else than a file.
 */
export function localParts(name: string, platform: NodeJS.Platform): string[] {
  const parts = name.split("/");
  for (const part of parts) {
    const leadsElsewhere = part === "" || part === "." || part === ".." || part.includes("\0");
    if (leadsElsewhere) throw new UnsafeName("its name leads out of the directory");
    if (platform !== "win32") continue;
    if (WINDOWS_DEVICE.test(part) || NOT_ON_WINDOWS.test(part)) throw new UnsafeName("Windows takes no such name");
  }
  return parts;
}

export interface SaveOptions {
  /** Where to save; made when it is not there. */
  directory: string;
  parts: readonly string[];
  /** Replace a file that is there. */
  force: boolean;
}

/**
 * Saves bytes as a file below a directory and gives its path: written aside, then renamed, so that a file is there as a whole
 * or not at all. No link on the way is followed, and none in its place.
 * @throws UnsafeName when something is in the way; what the source throws, and then nothing is left.
 */
export async function saveFile(
  { directory, parts, force }: SaveOptions,
  bytes: AsyncIterable<Uint8Array>,
): Promise<string> {
  await mkdir(directory, { recursive: true });
  let at = await realpath(directory);
  for (const part of parts.slice(0, -1)) {
    at = join(at, part);
    await mkdir(at).catch(unlessThere);
    // A link that somebody put there may lead anywhere.
    if (!(await lstat(at)).isDirectory()) throw new UnsafeName(`${at} is in the way, and is no directory`);
  }
  const path = join(at, parts.at(-1) ?? "");
  await checkFree(path, force);
  const temporary = join(at, `.longshore-${randomBytes(8).toString("hex")}.part`);
  try {
    const handle = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o666);
    try {
      for await (const chunk of bytes) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await checkFree(path, force);
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  return path;
}

async function checkFree(path: string, force: boolean): Promise<void> {
  const there = await lstat(path).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === "ENOENT") return undefined;
    throw thrown;
  });
  if (there === undefined || (force && there.isFile())) return;
  const hint = there.isFile() ? ": --force replaces it" : ", and is no file";
  throw new UnsafeName(`${path} is there already${hint}`);
}

function unlessThere(thrown: NodeJS.ErrnoException): void {
  if (thrown.code !== "EEXIST") throw thrown;
}
