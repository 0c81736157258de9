import { createMasker, MIN_MASKED_BYTES, REDACTED } from "../masking.ts";
import type { JobSpec } from "./schema.ts";
import { announcesSecret, type FoundSecret, findSecrets, isSensitiveName } from "./sensitive.ts";

/** Every secret value that a spec holds, each once: what redaction replaces and masking looks for. */
export function secretsOf(spec: JobSpec): string[] {
  const values = new Set<string>();
  for (const env of [spec, ...spec.sidecars, ...spec.initContainers].map((owner) => owner.env)) {
    for (const [name, value] of Object.entries(env)) {
      if (!isSecretVariable(spec, name, value)) continue;
      addValue(values, value);
      for (const secret of findSecrets(value)) addFound(values, value, secret);
    }
  }
  for (const words of commandLines(spec)) {
    for (const [index, word] of words.entries()) {
      for (const secret of findSecrets(word)) addFound(values, word, secret);
      if (isAnnounced(words, index)) addValue(values, word);
    }
  }
  for (const text of otherTexts(spec)) for (const secret of findSecrets(text)) addFound(values, text, secret);
  return [...values];
}

/** Whether one of the values, of six bytes or more, is part of the text. */
export function containsSecret(text: string, secretValues: readonly string[]): boolean {
  return createMasker(secretValues)(text) !== text;
}

/** Whether a variable is sensitive: by its value, by its name, or because the spec says so. */
export function isSecretVariable(spec: JobSpec, name: string, value: string): boolean {
  return isSensitiveName(name) || spec.sensitive.includes(name) || findSecrets(value).length > 0;
}

/** Whether a word stands behind a flag such as `--password`; a flag there means that the first had no value. */
export function isAnnounced(words: readonly string[], index: number): boolean {
  const word = words[index] ?? "";
  return index > 0 && announcesSecret(words[index - 1] ?? "") && !/^[-$]/.test(word);
}

function addFound(values: Set<string>, text: string, { start, end, value }: FoundSecret): void {
  addValue(values, text.slice(start, end));
  addValue(values, value);
  // A password inside a URL is often percent-encoded there and plain where the program uses it.
  if (/%[0-9a-f]{2}/i.test(value)) addValue(values, decoded(value));
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (error) {
    if (error instanceof URIError) return value;
    throw error;
  }
}

function addValue(values: Set<string>, value: string): void {
  // The mark of a value that was redacted before is none itself.
  if (value === "" || value === REDACTED) return;
  values.add(value);
  const lines = value.split(/\r\n|\r|\n/);
  if (lines.length < 2) return;
  for (const line of lines) if (Buffer.byteLength(line) >= MIN_MASKED_BYTES) values.add(line);
}

function commandLines(spec: JobSpec): string[][] {
  const owners = [spec, ...spec.sidecars, ...spec.initContainers];
  return [...owners.flatMap((owner) => [owner.command ?? [], owner.args]), spec.healthCheck?.command ?? []];
}

/** The texts beside environments and commands into which somebody may have put a secret. */
function otherTexts(spec: JobSpec): string[] {
  const paths = spec.volumes.flatMap(({ source, target }) => [source, target]);
  const texts = [spec.image, spec.workdir, spec.user, spec.concurrencyKey, ...paths, ...(spec.artifacts?.paths ?? [])];
  return [...texts, ...Object.values(spec.labels)].filter((text) => text !== undefined);
}
