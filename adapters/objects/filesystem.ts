import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, rmdir, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LongshoreError } from "../../engine/errors.ts";
import { checkObjectKey, checkObjectPrefix, checkRange, isSegment } from "../../engine/object-keys.ts";
import type { ObjectInfo, Objects } from "../../engine/ports/objects.ts";

// Both marks are outside the alphabet of keys, so that keys `a` and `a/b` can both be, and no key names an upload.
const DIRECTORY_MARK = "+";
const UPLOADS = "~uploads";

const READ_BYTES = 64 * 1024;

/** How often a put may lose its directory to deletes of its neighbours. */
const MAX_INSTALLS = 100;

function errno(thrown: unknown): string | null {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : null;
}

/** Runs one call of the file system; its failure becomes UNAVAILABLE without a path in the message. */
async function disk<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    if (thrown instanceof LongshoreError) throw thrown;
    const code = errno(thrown);
    throw new LongshoreError("UNAVAILABLE", `the object store failed: ${code ?? "unknown"}`, {
      cause: thrown,
      providerCode: code,
    });
  }
}

/** The call's value, or undefined when the file or a directory of its path is not there. */
async function ifThere<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (thrown) {
    const code = errno(thrown);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw thrown;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface Found extends ObjectInfo {
  inode: number;
}

/**
 * Objects as files under one directory, of mode 0600 and 0700: written aside, synced, then renamed, so that a reader
 * or a crash sees a whole object or none. What a crash left half written is removed here at the start, so only one
 * process at a time may use the directory.
 * @throws LongshoreError UNAVAILABLE when the directory cannot be made.
 */
export function createFilesystemObjects(options: { directory: string }): Objects {
  const root = options.directory;
  const uploads = join(root, UPLOADS);
  try {
    rmSync(uploads, { recursive: true, force: true });
    mkdirSync(uploads, { recursive: true, mode: 0o700 });
    chmodSync(root, 0o700);
  } catch (thrown) {
    const code = errno(thrown);
    throw new LongshoreError("UNAVAILABLE", `the object store's directory cannot be made: ${code ?? "unknown"}`, {
      cause: thrown,
      providerCode: code,
    });
  }

  const directoryOf = (segments: string[]): string =>
    join(root, ...segments.map((segment) => `${segment}${DIRECTORY_MARK}`));
  const pathOf = (key: string): string => {
    const segments = checkObjectKey(key);
    const name = segments.pop() ?? "";
    return join(directoryOf(segments), name);
  };

  const find = async (key: string, path: string): Promise<Found | undefined> => {
    const stats = await disk(() => ifThere(() => stat(path)));
    if (stats === undefined || !stats.isFile()) return undefined;
    return { key, sizeBytes: stats.size, storedAt: stats.mtime.toISOString(), inode: stats.ino };
  };

  /** Makes the directory and renames the upload into it, again when a delete pruned the directory between the two. */
  const install = async (upload: string, path: string): Promise<void> => {
    const directory = dirname(path);
    let made: string | undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        made = (await mkdir(directory, { recursive: true, mode: 0o700 })) ?? made;
        await rename(upload, path);
        break;
      } catch (thrown) {
        if (errno(thrown) !== "ENOENT" || attempt === MAX_INSTALLS) throw thrown;
      }
    }
    // The names of new directories are durable only with the directories that hold them.
    const top = made === undefined ? directory : dirname(made);
    for (let at = directory; ; at = dirname(at)) {
      await ifThere(() => syncDirectory(at));
      if (at === top) return;
    }
  };

  async function* read(path: string, found: Found, range: { start: number; end: number }): AsyncGenerator<Uint8Array> {
    const handle = await disk(() => ifThere(() => open(path, "r")));
    if (handle === undefined) throw new LongshoreError("NOT_FOUND", "the object was deleted before it was read");
    try {
      const stats = await disk(() => handle.stat());
      if (stats.ino !== found.inode || stats.size !== found.sizeBytes) {
        throw new LongshoreError("CONFLICT", "the object was replaced before it was read");
      }
      for (let position = range.start; position <= range.end; ) {
        const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, range.end - position + 1));
        const at = position;
        const { bytesRead } = await disk(() => handle.read(buffer, 0, buffer.length, at));
        if (bytesRead === 0) throw new LongshoreError("UNAVAILABLE", "the object ended early");
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await handle.close();
    }
  }

  /** Walks in the order of whole keys: a directory sorts as its name and the slash that follows it in its keys. */
  async function* walk(segments: string[], prefix: string): AsyncGenerator<ObjectInfo> {
    const entries = await disk(() => ifThere(() => readdir(directoryOf(segments), { withFileTypes: true })));
    const names = (entries ?? []).flatMap((entry) => {
      if (entry.isDirectory() && entry.name.endsWith(DIRECTORY_MARK)) return [`${entry.name.slice(0, -1)}/`];
      return entry.isFile() ? [entry.name] : [];
    });
    for (const name of names.sort((a, b) => (a < b ? -1 : 1))) {
      const path = [...segments, name].join("/");
      if (!name.endsWith("/")) {
        const found = path.startsWith(prefix) && isSegment(name) ? await find(path, pathOf(path)) : undefined;
        if (found !== undefined) yield { key: path, sizeBytes: found.sizeBytes, storedAt: found.storedAt };
      } else if (path.startsWith(prefix)) {
        yield* walk([...segments, name.slice(0, -1)], prefix);
      }
    }
  }

  return {
    async put(key, body) {
      const path = pathOf(key);
      const upload = join(uploads, randomUUID());
      try {
        const handle = await disk(() => open(upload, "wx", 0o600));
        let info: ObjectInfo;
        try {
          if (body instanceof Uint8Array) await disk(() => handle.writeFile(body));
          else for await (const chunk of body) await disk(() => handle.writeFile(chunk));
          await disk(() => handle.sync());
          const stats = await disk(() => handle.stat());
          info = { key, sizeBytes: stats.size, storedAt: stats.mtime.toISOString() };
        } finally {
          await handle.close();
        }
        await disk(() => install(upload, path));
        return info;
      } catch (thrown) {
        await rm(upload, { force: true });
        throw thrown;
      }
    },
    async get(key, range) {
      const path = pathOf(key);
      const { start, end: last } = checkRange(range);
      const found = await find(key, path);
      if (found === undefined) return undefined;
      const { sizeBytes, storedAt } = found;
      return { key, sizeBytes, storedAt, body: read(path, found, { start, end: Math.min(last, sizeBytes - 1) }) };
    },
    async head(key) {
      const found = await find(key, pathOf(key));
      return found === undefined ? undefined : { key, sizeBytes: found.sizeBytes, storedAt: found.storedAt };
    },
    async delete(key) {
      const path = pathOf(key);
      await disk(() => ifThere(() => unlink(path)));
      for (let at = dirname(path); at !== root; at = dirname(at)) {
        try {
          await rmdir(at);
        } catch (thrown) {
          // Another object is there, or another delete was faster with this level and goes on itself.
          const code = errno(thrown);
          if (code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOENT") return;
          await disk(() => Promise.reject(thrown));
        }
      }
    },
    async *list(prefix) {
      const segments = checkObjectPrefix(prefix);
      yield* walk(segments, prefix);
    },
  };
}
