import { type ArtifactRecord, artifactId } from "../artifacts/record.ts";
import type { Change } from "../ports/table.ts";
import { recordOf } from "./items.ts";
import { artifactKey, artifactPrefix } from "./keys.ts";
import type { Ledger } from "./ledger.ts";

const PAGE = 1000;

/** Puts artifacts on record, each once: who finds one there has been overtaken by another finalizer of the attempt. */
export function artifactChanges(jobId: string, artifacts: readonly ArtifactRecord[]): Change[] {
  return artifacts.map((artifact) => ({
    kind: "put",
    item: { ...artifactKey(jobId, artifact.attempt, artifactId(artifact.name)), ...artifact },
    guard: { exists: false },
  }));
}

/** Every artifact of an attempt that is on record, by name. */
export async function readArtifacts({ table }: Ledger, jobId: string, attempt: number): Promise<ArtifactRecord[]> {
  const found: ArtifactRecord[] = [];
  let cursor: string | undefined;
  do {
    const { pk, sk } = artifactPrefix(jobId, attempt);
    const query = { pk, sk: { prefix: sk }, limit: PAGE };
    const page = await table.query(cursor === undefined ? query : { ...query, cursor });
    found.push(...page.items.map((item) => recordOf<ArtifactRecord>(item)));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** One artifact of an attempt by its name. */
export async function readArtifact(
  { table }: Ledger,
  { jobId, attempt }: { jobId: string; attempt: number },
  name: string,
): Promise<ArtifactRecord | undefined> {
  const item = await table.get(artifactKey(jobId, attempt, artifactId(name)));
  return item === undefined ? undefined : recordOf<ArtifactRecord>(item);
}
