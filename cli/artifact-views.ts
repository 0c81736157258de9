import type { Artifact, Artifacts } from "../sdk/types.ts";
import { plain, table } from "./table.ts";

/** Kept files as a table, one a line. */
export function artifactTable(artifacts: readonly Artifact[]): string {
  const rows = artifacts.map(({ name, sizeBytes, contentType, encoding, sha256, storedAt }) => [
    name,
    String(sizeBytes),
    encoding === null ? contentType : `${contentType} (${encoding})`,
    sha256,
    storedAt,
  ]);
  return table(rows, ["NAME", "BYTES", "TYPE", "SHA-256", "STORED"]);
}

/** What was refused, a line each. */
export function refusalLines({ refused, refusedCount }: Artifacts): string[] {
  const lines = refused.map(({ path, message }) => plain(`not kept: ${path}: ${message}`));
  const more = refusedCount - refused.length;
  return more > 0 ? [...lines, `and ${more} more were not kept`] : lines;
}

/** What a job left, on one line. */
export function keptLine(jobId: string, { items }: Artifacts): string {
  if (items.length === 0) return "no files were kept";
  const [first] = items;
  const what = items.length === 1 ? plain(first?.name ?? "") : `${items.length} files`;
  return `kept ${what}: longshore jobs download ${jobId}`;
}
