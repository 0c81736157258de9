import { createHash } from "node:crypto";
import mime from "mime";
import type { ArtifactRefusal } from "../ports/runtime.ts";

/** A file that an attempt left and that is kept. Its name and its path are masked. */
export interface ArtifactRecord {
  /** Unique among the attempt's: its path without a leading slash, in characters that any place can take. */
  name: string;
  path: string;
  /** Of the bytes as they are stored and downloaded, like the hash. */
  sizeBytes: number;
  /** In hexadecimal digits. */
  sha256: string;
  /** Of the file itself, by its name, however it is encoded. */
  contentType: string;
  encoding: "gzip" | null;
  storedAt: string;
  attempt: number;
  /** Of the file itself: what counts against the budget. */
  contentBytes: number;
}

/** What became of the files that a spec asked for; the refusals are the first ones of `refusedCount`. */
export interface ArtifactSummary {
  stored: number;
  /** Of the files themselves. */
  bytes: number;
  refused: ArtifactRefusal[];
  refusedCount: number;
}

const MAX_REFUSALS = 20;
const MAX_SHOWN_PATH = 256;

/** Counts what is refused, and keeps the first ones to be shown. */
export function refuseArtifact(summary: ArtifactSummary, { path, code, message }: ArtifactRefusal): void {
  summary.refusedCount += 1;
  if (summary.refused.length >= MAX_REFUSALS) return;
  const shown = path.length > MAX_SHOWN_PATH ? `${path.slice(0, MAX_SHOWN_PATH).toWellFormed()}…` : path.toWellFormed();
  summary.refused.push({ path: shown, code, message });
}

/** The name of an artifact with this path; one that is taken gets a number. */
export function nameArtifact(path: string, taken: ReadonlySet<string>): string {
  const safe = path
    .toWellFormed()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it replaces
    .replace(/[\\\u0000-\u001f\u007f-\u009f]/g, "_")
    .split("/")
    .filter((part) => part !== "" && part !== "." && part !== "..")
    .join("/");
  const name = safe === "" ? "_" : safe;
  for (let n = 1; ; n += 1) {
    const numbered = n === 1 ? name : `${name}~${n}`;
    if (!taken.has(numbered)) return numbered;
  }
}

/** What stands for an artifact's name in keys, which take few characters and, in some stores, no case. */
export function artifactId(name: string): string {
  return createHash("sha256").update(name).digest("hex").slice(0, 32);
}

/** The type of a file by its name; without one that says anything, of any bytes. */
export function contentTypeOf(name: string): string {
  return mime.getType(name) ?? "application/octet-stream";
}
