import { LongshoreError } from "../../../engine/errors.ts";

/** What a name behind `secretsmanager:` says. */
export interface Reference {
  id: string;
  jsonKey?: string;
  stage?: string;
  versionId?: string;
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
const ID = /^[A-Za-z0-9/_+=.@-]{1,512}$/;
const STAGE = /^[^:\0]{1,256}$/;
const VERSION_ID = /^[A-Za-z0-9-]{32,64}$/;

const MISSING: ReadonlySet<string> = new Set([
  "ResourceNotFoundException",
  "InvalidParameterException",
  // Among others: it is marked for deletion.
  "InvalidRequestException",
  "ValidationException",
]);
const DENIED: ReadonlySet<string> = new Set(["AccessDeniedException", "DecryptionFailure"]);

/** The parts of a name, empty ones left out; null for a name that is none, an ARN among them. */
export function parseReference(name: string): Reference | null {
  const [id = "", jsonKey = "", stage = "", versionId = "", ...rest] = name.split(":");
  if (!ID.test(id) || rest.length > 0) return null;
  if ((stage !== "" && !STAGE.test(stage)) || (versionId !== "" && !VERSION_ID.test(versionId))) return null;
  return {
    id,
    ...(jsonKey === "" ? {} : { jsonKey }),
    ...(stage === "" ? {} : { stage }),
    ...(versionId === "" ? {} : { versionId }),
  };
}

export function isUnder(id: string, prefix: string): boolean {
  return id.startsWith(prefix) && id.length > prefix.length;
}

/**
 * The value in a secret, or behind a key of the JSON object in it.
 * @throws LongshoreError NOT_FOUND for bytes that are no UTF-8, no JSON object, or a key without a scalar value.
 */
export function secretText(
  secret: { SecretString?: string | undefined; SecretBinary?: Uint8Array | undefined },
  jsonKey?: string,
): string {
  const text = secret.SecretString ?? decode(secret.SecretBinary);
  if (jsonKey === undefined) return text;
  const value = membersOf(text).get(jsonKey);
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new LongshoreError("NOT_FOUND", "the secret after secretsmanager: has no value behind that JSON key");
}

// Neither failure below has a cause: it might quote the value.
function membersOf(text: string): Map<string, unknown> {
  try {
    return new Map(Object.entries(JSON.parse(text)));
  } catch {
    throw new LongshoreError("NOT_FOUND", "the secret after secretsmanager: is no JSON object");
  }
}

function decode(bytes: Uint8Array | undefined): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new LongshoreError("NOT_FOUND", "the secret after secretsmanager: is no UTF-8 text");
  }
}

/** What the service's code means for who asked for a secret; null for a failure that says nothing of the secret. */
export function refusalOf(code: string | null): LongshoreError | null {
  if (MISSING.has(code ?? "")) {
    return new LongshoreError("NOT_FOUND", "there is no secret of the name after secretsmanager:");
  }
  if (!DENIED.has(code ?? "")) return null;
  return new LongshoreError("AUTH", "Longshore may not read the secret after secretsmanager:", { providerCode: code });
}
