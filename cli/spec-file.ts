import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { parseAllDocuments } from "yaml";
import type { JobSpecInput } from "../sdk/types.ts";
import { UsageError } from "./context.ts";

/** Reads a file that a flag names; `-` is the standard input. @throws UsageError that names the file. */
export async function readInput(file: string, stdin: Readable): Promise<string> {
  if (file === "-") return text(stdin);
  try {
    return await readFile(file, "utf8");
  } catch (thrown) {
    const code = (thrown as { code?: string }).code;
    throw new UsageError(`cannot read ${file}${code ? ` (${code})` : ""}`, thrown);
  }
}

/**
 * The specs of a YAML or JSON text: one for each of its documents, or for each item of one that is a list.
 * Whether they are valid is Longshore's to say. @throws UsageError that names the file.
 */
export function parseSpecs(file: string, content: string): JobSpecInput[] {
  const documents = parseAllDocuments(content, { prettyErrors: true });
  const values = (Array.isArray(documents) ? documents : []).map((document) => {
    const [error] = document.errors;
    // The lines after the first would quote the file, and with it perhaps a secret.
    if (error)
      throw new UsageError(`${file} is neither YAML nor JSON: ${error.message.split("\n")[0]?.replace(/:$/, "")}`);
    return toValue(file, document);
  });
  const specs = values.flat();
  if (specs.length === 0) throw new UsageError(`${file} holds no job spec`);
  for (const spec of specs) {
    if (typeof spec !== "object" || spec === null || Array.isArray(spec)) {
      throw new UsageError(`${file} holds something that is no job spec: a spec is a map of keys`);
    }
  }
  return specs as JobSpecInput[];
}

function toValue(file: string, document: { toJS(): unknown }): unknown {
  try {
    return document.toJS();
  } catch (thrown) {
    // An alias without its anchor, or so many that they would fill the memory.
    throw new UsageError(`${file} is neither YAML nor JSON: ${thrown instanceof Error ? thrown.message : ""}`, thrown);
  }
}
