import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import type { JobSpec } from "./schema.ts";

/**
 * The canonical form of a JSON value (RFC 8785): equal values give equal text, whatever the order of their keys.
 * @throws Error for what JSON does not have: a lone surrogate, a number that is not finite, a cycle.
 */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("this value has no JSON form");
  return text;
}

/**
 * `sha256:` and the hex digest of a spec's canonical form. Only ever of the redacted spec: a hash of plain values could
 * be guessed.
 */
export function specHash(redacted: JobSpec): `sha256:${string}` {
  return `sha256:${createHash("sha256").update(canonicalJson(redacted)).digest("hex")}`;
}
