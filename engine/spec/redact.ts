import { LongshoreError, type Violation } from "../errors.ts";
import { createMasker, REDACTED } from "../masking.ts";
import type { JobSpec } from "./schema.ts";
import { isAnnounced, isSecretVariable, secretsOf } from "./secret-values.ts";
import { findSecrets } from "./sensitive.ts";

export { REDACTED };

type Texts = Readonly<Record<string, string>>;
type Mask = (text: string) => string;

/**
 * The spec as people may see it, and the values that nobody may: of every variable that is sensitive by its name, by
 * `sensitive` or by its value, in the job and in its other containers, and of every part of another text that looks like
 * a secret. Values of six bytes and more are replaced wherever else they occur. References under `secrets` stay.
 * @throws LongshoreError VALIDATION when such a value is part of what must stay as it is: a name or a key.
 */
export function redactSpec(spec: JobSpec): { redacted: JobSpec; secretValues: string[] } {
  const secretValues = secretsOf(spec);
  const mask = createMasker(secretValues);
  const violations = [...fixedTexts(spec)].filter(([, text]) => mask(text) !== text).map(([path]) => leak(path));
  if (violations.length > 0) {
    const message = violations.map((violation) => violation.message).join("; ");
    throw new LongshoreError("VALIDATION", message, { violations });
  }
  return { redacted: hidden(spec, mask), secretValues };
}

/** Words that anybody may know: that a value equals one of them gives nothing away, and refusing it would help nobody. */
const PUBLIC_WORDS = new Set(["default", "docker", "podman", "nerdctl", "process", "kubernetes", "lambda"]);

/** What Longshore itself works with: replacing a part of it would change what it means. */
function* fixedTexts(spec: JobSpec): Generator<[path: string, text: string]> {
  yield ["name", spec.name];
  if (!PUBLIC_WORDS.has(spec.lane)) yield ["lane", spec.lane];
  if (spec.runtime !== undefined && !PUBLIC_WORDS.has(spec.runtime)) yield ["runtime", spec.runtime];
  if (spec.concurrencyKey !== undefined) yield ["concurrencyKey", spec.concurrencyKey];
  if (spec.registryAuth !== undefined) yield ["registryAuth.from", spec.registryAuth.from];
  yield* keys("env", spec.env);
  yield* keys("labels", spec.labels);
  yield* keys("secrets", spec.secrets);
  for (const { from } of Object.values(spec.secrets)) yield ["secrets", from];
  for (const [index, name] of spec.sensitive.entries()) yield [`sensitive.${index}`, name];
  for (const kind of ["sidecars", "initContainers"] as const) {
    for (const [index, container] of spec[kind].entries()) {
      yield [`${kind}.${index}.name`, container.name];
      yield* keys(`${kind}.${index}.env`, container.env);
    }
  }
}

/** The path is the map's and not the key's: the key is what must not be seen. */
function* keys(path: string, map: Readonly<Record<string, unknown>>): Generator<[path: string, text: string]> {
  for (const key of Object.keys(map)) yield [path, key];
}

function leak(path: string): Violation {
  return { path, code: "contains_secret", message: `spec.${path} contains the value of a sensitive variable` };
}

/** Members whose texts are names or words of Longshore's own; whatever else a spec has, now or later, is masked. */
const FIXED = new Set(["name", "runtime", "lane", "concurrencyKey", "cleanup", "mode", "on", "arch"]);
const REFERENCES = new Set(["secrets", "sensitive", "registryAuth"]);

function hidden(spec: JobSpec, mask: Mask): JobSpec {
  const hideVariable = (value: string, name: string) => (isSecretVariable(spec, name, value) ? REDACTED : mask(value));
  const hide = (value: unknown, key: string): unknown => {
    if (typeof value === "string") return FIXED.has(key) ? value : mask(value);
    if (REFERENCES.has(key) || typeof value !== "object" || value === null) return value;
    if (key === "env") return mapValues(value as Texts, hideVariable);
    if (key === "labels") return mapValues(value as Texts, mask);
    if (key === "command" || key === "args") return hideWords(value as string[], mask);
    if (Array.isArray(value)) return value.map((item) => hide(item, key));
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, hide(member, name)]));
  };
  return hide(spec, "") as JobSpec;
}

function hideWords(words: readonly string[], mask: Mask): string[] {
  return words.map((word, index) => (isAnnounced(words, index) ? REDACTED : mask(hideFound(word))));
}

/** Replaces what was found where it was found: also values that are too short to be looked for elsewhere. */
function hideFound(text: string): string {
  let result = "";
  let done = 0;
  for (const { start, end } of findSecrets(text).sort((a, b) => a.start - b.start)) {
    if (end <= done) continue;
    if (start >= done) result += text.slice(done, start) + REDACTED;
    done = end;
  }
  return result + text.slice(done);
}

function mapValues(map: Texts, change: (text: string, key: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value, key)]));
}
