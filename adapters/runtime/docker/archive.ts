import { isWithin, nameProblem, type Scan } from "../../../engine/artifacts/scan.ts";
import { LongshoreError } from "../../../engine/errors.ts";
import type { ArtifactEntry, ArtifactRefusal } from "../../../engine/ports/runtime.ts";
import { readTar, type TarEntry } from "./tar.ts";

/** Which archive is read. */
export interface ArchiveOf {
  /** The path that was asked for: a file or a directory. */
  base: readonly string[];
  /** Where something else is mounted over the container's own file system. */
  mounts: readonly (readonly string[])[];
  /** Paths that were handed over before. */
  seen: Set<string>;
}

/**
 * The files of an archive that a scan wants, and what of them is refused. Nothing of the archive is taken for granted: what
 * does not lie under the base is refused by its name, and no link is followed.
 * @throws LongshoreError UNKNOWN for what is no whole archive; what the source throws.
 */
export async function* readArchive(
  source: AsyncIterable<Uint8Array>,
  scan: Scan,
  of: ArchiveOf,
): AsyncGenerator<ArtifactEntry, void, undefined> {
  const pass = (bytes: number): void => {
    scan.pass(bytes);
    const limit = scan.exhausted();
    // Also whoever reads a file hears of it; the rest of the archive is not read.
    if (limit !== undefined) throw new LongshoreError("UNKNOWN", `docker: ${limit.message}`, { providerCode: "LIMIT" });
  };
  const toldMounts = new Set<string>();
  try {
    for await (const entry of readTar(source, pass)) {
      const path = pathOf(entry.name, of.base);
      if (Array.isArray(path)) {
        const { wanted, leads } = scan.look(path);
        if (scan.exhausted() !== undefined) return;
        const mount = of.mounts.find((one) => isWithin(path, one));
        if (mount !== undefined) {
          // Its files may be many, and none of them is of interest: it is named once.
          const shown = show(mount);
          if ((wanted || leads) && !toldMounts.has(shown)) yield refuse(shown, "mount", "a volume is mounted there");
          toldMounts.add(shown);
        } else if (wanted) yield* judged(entry, path, of.seen);
      } else {
        scan.look([]);
        if (scan.exhausted() !== undefined) return;
        yield refuse(entry.name, path === "outside" ? "outside" : "invalid_name", NAME_MESSAGES[path]);
      }
    }
  } catch (error) {
    if (scan.exhausted() === undefined) throw error;
  }
}

const NAME_MESSAGES = {
  outside: "the archive names it outside of what was asked for",
  invalid: "its name in the archive is no path, or longer than 1,024 bytes",
} as const;

function* judged(entry: TarEntry, path: readonly string[], seen: Set<string>): Generator<ArtifactEntry> {
  const shown = show(path);
  switch (entry.kind) {
    case "directory":
      return;
    case "symlink":
      return yield refuse(shown, "symlink", "it is a symbolic link, and links are not followed");
    case "hard_link":
      return yield refuse(shown, "hard_link", "it is another name of a file, and links are not followed");
    case "special":
      return yield refuse(shown, "special", "it is a device, a fifo or a socket");
    case "file":
      if (seen.has(shown)) return yield refuse(shown, "duplicate", "the archive has it twice: the first one is kept");
      seen.add(shown);
      return yield { kind: "file", path: shown, sizeBytes: entry.size, body: entry.body };
  }
}

/** Where an entry would lie in the container: Docker names entries from the last part of what was asked for on. */
function pathOf(name: string, base: readonly string[]): string[] | keyof typeof NAME_MESSAGES {
  const above = base.slice(0, -1);
  const last = base.at(-1);
  const names = name.replace(/\/$/, "").split("/");
  if (names.includes("..")) return "outside";
  // Of the root directory itself the names begin with a dot, or with a slash.
  if (last === undefined && (names[0] === "." || names[0] === "")) names.shift();
  if (last !== undefined && names[0] !== last) return "outside";
  return names.length > 0 && nameProblem([...above, ...names]) !== undefined ? "invalid" : [...above, ...names];
}

function show(path: readonly string[]): string {
  return `/${path.join("/")}`;
}

function refuse(path: string, code: ArtifactRefusal["code"], message: string): ArtifactEntry {
  return { kind: "refused", path, code, message };
}
