import { LongshoreError } from "../../../engine/errors.ts";

// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html; a version or a label
// may follow behind a colon.
const NAME = /^[A-Za-z0-9_.\-/]+(:[A-Za-z0-9_.-]+)?$/;
const MAX_NAME = 1011 + 101;

const MISSING: ReadonlySet<string> = new Set([
  "ParameterNotFound",
  "ParameterVersionNotFound",
  "ParameterVersionLabelNotFound",
  "ValidationException",
]);
const DENIED: ReadonlySet<string> = new Set(["AccessDeniedException", "InvalidKeyId"]);

/** Whether the operator allows the name: a parameter's own, never an ARN, below the prefix. */
export function isUnder(name: string, prefix: string): boolean {
  return name.length <= MAX_NAME && NAME.test(name) && name.startsWith(prefix) && name.length > prefix.length;
}

/** What the service's code means for who asked for a secret; null for a failure that says nothing of the secret. */
export function refusalOf(code: string | null): LongshoreError | null {
  if (MISSING.has(code ?? "")) return new LongshoreError("NOT_FOUND", "there is no parameter of the name after ssm:");
  if (!DENIED.has(code ?? "")) return null;
  return new LongshoreError("AUTH", "Longshore may not read the parameter after ssm:", { providerCode: code });
}
