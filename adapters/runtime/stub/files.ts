import { beginScan, nameProblem, namesOf } from "../../../engine/artifacts/scan.ts";
import type { ArtifactEntry, ArtifactRequest } from "../../../engine/ports/runtime.ts";
import type { Script } from "./spec.ts";

const CHUNK_BYTES = 64 * 1024;

/** The scripted files that some globs name, in the script's order. */
export function* scriptedFiles(files: Script["files"], request: ArtifactRequest): Generator<ArtifactEntry> {
  const scan = beginScan(request, namesOf(request.workdir ?? "/"));
  for (const [path, content] of Object.entries(files)) {
    const names = path.slice(1).split("/");
    const { wanted } = scan.look(names);
    if (scan.exhausted() !== undefined) break;
    const problem = nameProblem(names);
    if (problem !== undefined) yield { kind: "refused", path, code: "invalid_name", message: problem };
    else if (wanted) yield { kind: "file", path, sizeBytes: sizeOf(content), body: bytesOf(content) };
  }
  const rest = scan.exhausted();
  for (const refused of rest === undefined ? scan.unmatched() : [rest]) yield { kind: "refused", ...refused };
}

function sizeOf(content: string | number): number {
  return typeof content === "number" ? content : Buffer.byteLength(content);
}

async function* bytesOf(content: string | number): AsyncGenerator<Uint8Array> {
  if (typeof content === "string") {
    if (content !== "") yield Buffer.from(content);
    return;
  }
  for (let left = content; left > 0; left -= CHUNK_BYTES) yield new Uint8Array(Math.min(left, CHUNK_BYTES));
}
