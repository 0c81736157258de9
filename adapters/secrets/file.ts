import { constants } from "node:fs";
import { type FileHandle, open, readlink, realpath } from "node:fs/promises";
import { isAbsolute, relative, sep } from "node:path";
import { LongshoreError } from "../../engine/errors.ts";
import type { SecretSource } from "../../engine/ports/secrets.ts";

const MAX_BYTES = 64 * 1024;

export interface FileSecretsOptions {
  /** The directories that the operator named; none: `file:` gives nothing. */
  roots: readonly string[];
  /** Directories that give nothing even inside a root: the data of Longshore itself. */
  forbidden: readonly string[];
}

/**
 * `file:/path`: the text of a file under one of the operator's roots, without one trailing newline; at most 64 KiB of
 * UTF-8. What counts is where the file really is, after every link.
 * @throws LongshoreError (from `resolve`) AUTH for a file outside of the roots or in a forbidden place, whether it is
 * there or not; NOT_FOUND for one that is missing, no regular file, unreadable, too large, or no UTF-8.
 */
export function createFileSecrets({ roots, forbidden }: FileSecretsOptions): SecretSource {
  return {
    scheme: "file",
    async resolve(name) {
      const refused = new LongshoreError("AUTH", "the operator does not allow this path after file:");
      if (!isAbsolute(name) || name.includes("\0")) throw refused;
      const allowed = await realpaths(roots);
      // By its name first: outside of the roots nothing is touched, so nothing is learnt of what is there.
      if (![...roots, ...allowed].some((root) => isUnder(name, root))) throw refused;
      const file = await openFile(name);
      try {
        const real = await realPathOf(file, name);
        if (!allowed.some((root) => isUnder(real, root))) throw refused;
        if ((await realpaths(forbidden)).some((place) => isUnder(real, place))) throw refused;
        return await readText(file);
      } finally {
        await file.close();
      }
    },
  };
}

/** Opened before it is judged, and judged by what was opened: a link that is changed in between gains nothing. */
async function openFile(name: string): Promise<FileHandle> {
  try {
    // Without waiting for a writer, should it be a pipe.
    return await open(name, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new LongshoreError("NOT_FOUND", "the file after file: cannot be read", { cause });
  }
}

async function realPathOf(file: FileHandle, name: string): Promise<string> {
  return await (process.platform === "linux" ? readlink(`/proc/self/fd/${file.fd}`) : realpath(name));
}

async function readText(file: FileHandle): Promise<string> {
  if (!(await file.stat()).isFile()) throw new LongshoreError("NOT_FOUND", "what file: names is no regular file");
  const buffer = Buffer.alloc(MAX_BYTES + 1);
  let length = 0;
  for (let read = -1; read !== 0 && length < buffer.length; length += read) {
    read = (await file.read(buffer, length, buffer.length - length)).bytesRead;
  }
  if (length > MAX_BYTES) throw new LongshoreError("NOT_FOUND", "the file after file: is larger than 64 KiB");
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(buffer.subarray(0, length));
    return text.replace(/\r?\n$/, "");
  } catch {
    // Without a cause: it might quote the value.
    throw new LongshoreError("NOT_FOUND", "the file after file: is no UTF-8 text");
  }
}

/** Where the directories really are; one that is missing holds no file, and its own name may still be linked to. */
async function realpaths(paths: readonly string[]): Promise<string[]> {
  return await Promise.all(paths.map((path) => realpath(path).catch(() => path)));
}

function isUnder(path: string, root: string): boolean {
  const way = relative(root, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
