import type { ArtifactRefusal, ArtifactRequest } from "../ports/runtime.ts";
import { patternsOf } from "./glob.ts";

/** Comparisons of characters in one scan, at most, were every name as bad as it can be for its glob. */
const MAX_STEPS = 5_000_000_000;
/** What a name may have in bytes: more than any path that a person wants to see. */
const MAX_PATH_BYTES = 1024;
/** A base is not looked for deeper than this: each of its directories is asked for by itself. */
const MAX_BASE_DEPTH = 16;

/** A search for the files under some globs. Paths are absolute ones of the file system that is searched. */
export interface Scan {
  /** The directories to search, or files; none is inside another. */
  bases: readonly (readonly string[])[];
  /** What of the globs cannot be searched for at all. */
  refused: readonly ArtifactRefusal[];
  /** Counts something that was found, and tells whether it is asked for, and whether something below it could be. */
  look(path: readonly string[]): { wanted: boolean; leads: boolean };
  /** Counts bytes that pass through. */
  pass(bytes: number): void;
  /** Nothing at or below the path will be looked for: that it was not found is no news. */
  settle(path: readonly string[]): void;
  /** Which limit has been reached, as the refusal of the rest; undefined while there is none. */
  exhausted(): ArtifactRefusal | undefined;
  /** The globs that nothing was found for, each as a refusal; none when a limit was reached. */
  unmatched(): ArtifactRefusal[];
}

/**
 * Begins a search below `root` (default: the whole file system); relative globs are of the directory `workdir`, absolute
 * ones have to lead below the root.
 */
export function beginScan(request: ArtifactRequest, workdir: readonly string[], root: readonly string[] = []): Scan {
  const { limits } = request;
  const refused: ArtifactRefusal[] = [];
  const bases: (readonly string[])[] = [];
  const globs = request.paths.map((source) => {
    const patterns = patternsOf(source, workdir).filter(({ base }) => {
      // The spec's schema lets no `..` through; the base of a glob must not be looked for anywhere else in any case.
      if (isWithin(base, root) && !base.includes("..")) {
        bases.push(base.slice(0, Math.max(root.length, MAX_BASE_DEPTH)));
        return true;
      }
      refused.push({ path: source, code: "outside", message: "leads out of the working directory" });
      return false;
    });
    return { source, patterns, matched: patterns.length === 0 };
  });
  let entries = 0;
  let bytes = 0;
  let steps = 0;

  const exhausted = (): ArtifactRefusal | undefined => {
    const rest = (message: string): ArtifactRefusal => ({ path: request.paths.join(" "), code: "limit", message });
    if (entries > limits.entries) return rest(`more than ${limits.entries} files and directories had to be looked at`);
    if (bytes > limits.bytes) return rest(`more than ${limits.bytes} bytes had to be looked at`);
    if (steps > MAX_STEPS) return rest("the globs take too many comparisons");
    return undefined;
  };

  return {
    bases: outermost(bases),
    refused,
    look(path) {
      entries += 1;
      const characters = path.reduce((sum, name) => sum + name.length + 1, 0);
      let wanted = false;
      let leads = false;
      for (const glob of globs) {
        if (wanted && leads && glob.matched) continue;
        for (const pattern of glob.patterns) {
          steps += pattern.cost * characters;
          if (steps > MAX_STEPS) return { wanted: false, leads: false };
          const standing = pattern.standingOf(path);
          wanted ||= standing.matches;
          leads ||= standing.leads;
          glob.matched ||= standing.matches;
        }
      }
      return { wanted, leads };
    },
    pass(count) {
      bytes += count;
    },
    settle(path) {
      for (const glob of globs) glob.matched ||= glob.patterns.some(({ base }) => isWithin(base, path));
    },
    exhausted,
    unmatched() {
      if (exhausted() !== undefined) return [];
      const message = "nothing was found; the files of a directory are DIRECTORY/**";
      return globs
        .filter(({ matched }) => !matched)
        .map(({ source }): ArtifactRefusal => ({ path: source, code: "no_match", message }));
    },
  };
}

/** The answer to who asks for the files of what is not there any more. */
export function goneFrom({ paths }: ArtifactRequest): ArtifactRefusal {
  return { path: paths.join(" "), code: "gone", message: "nothing is left of the attempt on its runtime" };
}

/** What is wrong with a path as the name of an artifact; undefined when nothing is. */
export function nameProblem(path: readonly string[]): string | undefined {
  const text = path.join("/");
  if (Buffer.byteLength(text) > MAX_PATH_BYTES) return `its path is longer than ${MAX_PATH_BYTES} bytes`;
  if (path.some((name) => name === "" || name === "." || name === ".." || name.includes("/"))) return "it is no path";
  return text.includes("\0") ? "its path holds a NUL" : undefined;
}

/** A path's names; empty ones and `.` are left out. */
export function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** Whether a path is a directory's or leads below it. */
export function isWithin(path: readonly string[], directory: readonly string[]): boolean {
  return directory.length <= path.length && directory.every((name, at) => path[at] === name);
}

/** Without those that lie inside another one. */
function outermost(bases: readonly (readonly string[])[]): (readonly string[])[] {
  const kept: (readonly string[])[] = [];
  for (const base of [...bases].sort((one, other) => one.length - other.length)) {
    if (!kept.some((outer) => isWithin(base, outer))) kept.push(base);
  }
  return kept;
}
