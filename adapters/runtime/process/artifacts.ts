import { type BigIntStats, constants, type Dir } from "node:fs";
import { type FileHandle, lstat, open, opendir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { beginScan, isWithin, nameProblem, namesOf, type Scan } from "../../../engine/artifacts/scan.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import type { ArtifactEntry, ArtifactRefusal, ArtifactRequest } from "../../../engine/ports/runtime.ts";
import { errorCode } from "./records.ts";

const CHUNK_BYTES = 64 * 1024;
// Of a fifo that was put in a file's place nobody would ever come to write: it must not be waited for.
const OPEN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const OPEN_DIRECTORY = OPEN_FILE | constants.O_DIRECTORY;
/** Directories inside each other: each of them is open while what is in it is looked at. */
const MAX_DEPTH = 128;

/**
 * The files under some globs in the working directory of a process that has ended, by their paths in it. What it left
 * running, or somebody else, may change the directory at the same time: each name is opened in the directory that is open
 * already, without following a link, and what was opened is what is judged and read.
 */
export async function* readArtifacts(
  workdir: string,
  request: ArtifactRequest,
): AsyncGenerator<ArtifactEntry, void, undefined> {
  const root = namesOf(workdir);
  const scan = beginScan(request, root, root);
  for (const refused of scan.refused) yield { kind: "refused", ...refused };
  if (scan.bases.length > 0) {
    const opened = await openIn(undefined, workdir, OPEN_DIRECTORY);
    if (typeof opened === "string") {
      yield {
        kind: "refused",
        path: ".",
        code: REASONS[opened] ?? "unreadable",
        message: told("the directory", opened),
      };
      return;
    }
    const walk: Walk = { scan, root, device: (await opened.handle.stat({ bigint: true })).dev };
    yield* walkDirectory(walk, opened, []);
  }
  const rest = scan.exhausted();
  for (const refused of rest === undefined ? scan.unmatched() : [rest]) yield { kind: "refused", ...refused };
}

interface Walk {
  scan: Scan;
  /** The working directory's own names. */
  root: readonly string[];
  device: bigint;
}

/** Something open, and the path by which what is in it can be opened. */
interface Opened {
  handle: FileHandle;
  path: string;
}

async function* walkDirectory(
  walk: Walk,
  directory: Opened,
  above: readonly string[],
): AsyncGenerator<ArtifactEntry, void, undefined> {
  try {
    for (const name of await namesIn(directory)) {
      const path = [...above, name];
      const { wanted, leads } = walk.scan.look([...walk.root, ...path]);
      if (walk.scan.exhausted() !== undefined) return;
      if (wanted || leads) yield* entry(walk, directory, { path, name, wanted, leads });
    }
  } finally {
    await directory.handle.close();
  }
}

/** In a fixed order, so that whoever reads again finds the same. */
async function namesIn(directory: Opened): Promise<string[]> {
  const names: string[] = [];
  let listing: Dir;
  try {
    listing = await opendir(directory.path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw failed(error);
  }
  for await (const { name } of listing) names.push(name);
  return names.sort();
}

interface Found {
  path: readonly string[];
  name: string;
  wanted: boolean;
  leads: boolean;
}

async function* entry(
  walk: Walk,
  directory: Opened,
  { path, name, wanted, leads }: Found,
): AsyncGenerator<ArtifactEntry, void, undefined> {
  const shown = path.join("/");
  const problem = nameProblem(path);
  if (problem !== undefined) return yield { kind: "refused", path: shown, code: "invalid_name", message: problem };
  const opened = await openIn(directory, name, OPEN_FILE);
  if (typeof opened === "string") {
    // What is gone by now was not left by the attempt.
    if (opened === "ENOENT") return;
    // A directory that a glob names as it is has to be one; what merely lies beside others is of no interest.
    if (!wanted && !walk.scan.bases.some((base) => isWithin(base, [...walk.root, ...path]))) return;
    return yield { kind: "refused", path: shown, code: REASONS[opened] ?? "unreadable", message: told("it", opened) };
  }
  const stats = await opened.handle.stat({ bigint: true });
  if (stats.isDirectory() && leads && stats.dev === walk.device && path.length < MAX_DEPTH) {
    return yield* walkDirectory(walk, opened, path);
  }
  try {
    if (stats.isDirectory()) {
      if (leads) yield { kind: "refused", path: shown, ...passedOver(walk, stats) };
      return;
    }
    if (!wanted) return;
    const refused = refusalOf(stats);
    if (refused !== undefined) return yield { kind: "refused", path: shown, ...refused };
    const sizeBytes = Number(stats.size);
    yield { kind: "file", path: shown, sizeBytes, body: bytesOf(opened.handle, sizeBytes, walk.scan) };
  } finally {
    await opened.handle.close();
  }
}

/** Why a directory that may hold what is asked for is not looked into. */
function passedOver({ device }: Walk, { dev }: BigIntStats): Omit<ArtifactRefusal, "path"> {
  if (dev !== device) return { code: "mount", message: "another file system is mounted there" };
  return { code: "limit", message: `it is more than ${MAX_DEPTH} directories deep` };
}

/** What was opened is judged, and not what was there before. */
function refusalOf(stats: BigIntStats): Omit<ArtifactRefusal, "path"> | undefined {
  if (!stats.isFile()) return { code: "special", message: "it is a device, a fifo or a socket" };
  // The other name may be anywhere, and the file somebody else's.
  if (stats.nlink > 1n) return { code: "hard_link", message: "it has another name, which may be anywhere" };
  return undefined;
}

async function* bytesOf(handle: FileHandle, sizeBytes: number, scan: Scan): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < sizeBytes; ) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, sizeBytes - position));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position).catch((error: unknown) => {
      throw failed(error);
    });
    if (bytesRead === 0) throw new LongshoreError("CONFLICT", "process: the file became shorter while it was read");
    position += bytesRead;
    scan.pass(bytesRead);
    yield buffer.subarray(0, bytesRead);
  }
}

/** The code that stands for what is no file and no directory: it is not opened, which some devices would act upon. */
const SPECIAL = "SPECIAL";
const REASONS: Readonly<Record<string, ArtifactRefusal["code"]>> = {
  ELOOP: "symlink",
  [SPECIAL]: "special",
  // A socket cannot be opened, and a device may have nobody behind it.
  ENXIO: "special",
  ENODEV: "special",
};

function told(what: string, code: string): string {
  if (code === "ELOOP") return `${what} is a symbolic link, and links are not followed`;
  if (REASONS[code] === "special") return `${what} is a device, a fifo or a socket`;
  return `${what} cannot be opened (${code})`;
}

/**
 * Opens a name inside an open directory; the code of the system when it cannot be. Linux leads through `/proc/self/fd` to
 * the very directory that is open; elsewhere the path is taken, and what it led to is looked at once more.
 */
async function openIn(directory: Opened | undefined, name: string, flags: number): Promise<Opened | string> {
  const at = directory === undefined ? name : join(directory.path, name);
  try {
    const before = await lstat(at);
    if (before.isSymbolicLink()) return "ELOOP";
    if (!before.isFile() && !before.isDirectory()) return SPECIAL;
    const handle = await open(at, flags);
    if (process.platform === "linux") return { handle, path: `/proc/self/fd/${handle.fd}` };
    if (await isReally(handle, at)) return { handle, path: at };
    await handle.close();
    return "ELOOP";
  } catch (error) {
    const code = errorCode(error);
    if (code === undefined) throw error;
    return code;
  }
}

async function isReally(handle: FileHandle, path: string): Promise<boolean> {
  const [opened, there, real] = await Promise.all([handle.stat(), lstat(path), realpath(path)]);
  return opened.ino === there.ino && opened.dev === there.dev && real === path;
}

/** Its code only: a message would tell a submitter where Longshore keeps its data. */
function failed(error: unknown): LongshoreError {
  const providerCode = errorCode(error) ?? null;
  return new LongshoreError("UNKNOWN", `process: a file cannot be read (${providerCode})`, {
    cause: error,
    providerCode,
  });
}
