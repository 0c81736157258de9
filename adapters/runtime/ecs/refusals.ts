import type { Failure } from "@aws-sdk/client-ecs";
import { type ErrorCode, LongshoreError } from "../../../engine/errors.ts";
import { createMasker } from "../../../engine/masking.ts";
import { awsCode, awsError, awsStatus } from "../../aws/errors.ts";
import { placementReason } from "./reasons.ts";
import { sentence } from "./status.ts";

/** Refusals of RunTask and RegisterTaskDefinition by the name of the exception. */
const REFUSALS: Readonly<Record<string, ErrorCode>> = {
  AccessDeniedException: "AUTH",
  BlockedException: "AUTH",
  ClusterNotFoundException: "RUNTIME_UNAVAILABLE",
  InvalidParameterException: "VALIDATION",
  LimitExceededException: "QUOTA",
  PlatformTaskDefinitionIncompatibilityException: "VALIDATION",
  PlatformUnknownException: "VALIDATION",
  UnsupportedFeatureException: "VALIDATION",
};

/** A failed call as Longshore's own error: RUNTIME_UNAVAILABLE where another try may help, else UNKNOWN. */
export function ecsFailure(what: string, thrown: unknown): LongshoreError {
  if (thrown instanceof LongshoreError) return thrown;
  const { code, message, providerCode } = awsError(what, thrown);
  const passing = code === "UNAVAILABLE" || providerCode === "ClusterNotFoundException";
  return new LongshoreError(passing ? "RUNTIME_UNAVAILABLE" : "UNKNOWN", `ecs: ${message}`, {
    cause: thrown,
    providerCode,
  });
}

/** Whether nobody can tell from a failed call if it took effect: no answer came, or one that blames the service. */
export function isUncertain(thrown: unknown): boolean {
  if (thrown instanceof LongshoreError || !(thrown instanceof Error)) return false;
  const status = awsStatus(thrown);
  return status === undefined || status >= 500;
}

/** Whether a failed call did nothing and may be made again. */
export function isThrottled(thrown: unknown): boolean {
  // Elsewhere a throttle, here the end of what the account may have.
  if (isUncertain(thrown) || awsCode(thrown) === "LimitExceededException") return false;
  return awsError("", thrown).code === "UNAVAILABLE";
}

/**
 * Why ECS refused to take a definition or to run a task: its own words, without values of the job's. The original is no
 * `cause`: it may hold them.
 */
export function refusal(what: string, thrown: unknown, secretValues: readonly string[]): LongshoreError {
  if (thrown instanceof LongshoreError) return thrown;
  const providerCode = awsCode(thrown);
  const said = thrown instanceof Error ? thrown.message : "";
  if (isUncertain(thrown) || isThrottled(thrown)) return ecsFailure(what, thrown);
  const mask = createMasker(secretValues);
  const code = REFUSALS[providerCode ?? ""] ?? clientRefusal(providerCode, said);
  return new LongshoreError(code, `${what} was refused. ${mask(sentence(said))}`, { providerCode });
}

/** ClientException stands for everything that has no name of its own. */
function clientRefusal(providerCode: string | null, said: string): ErrorCode {
  if (providerCode !== "ClientException") return "UNKNOWN";
  if (/limit|quota/i.test(said)) return "QUOTA";
  if (/capacity/i.test(said)) return "RUNTIME_UNAVAILABLE";
  return /role|not authorized|permission/i.test(said) ? "AUTH" : "VALIDATION";
}

/** Whether a task definition that was known before is not there any more. */
export function lacksDefinition(thrown: unknown): boolean {
  const code = awsCode(thrown);
  if (code !== "ClientException" && code !== "InvalidParameterException") return false;
  return /task ?definition.*(?:inactive|not found|does not exist)|unable to describe task definition/i.test(
    (thrown as Error).message,
  );
}

/** Why a RunTask that was answered well has started nothing. */
export function placementFailure(failures: readonly Failure[] | undefined): LongshoreError {
  const [first] = failures ?? [];
  const { category, providerCode } = placementReason(first?.reason, first?.detail);
  const said = [first?.reason, first?.detail].filter((text) => text !== undefined && text !== "").join(": ");
  return new LongshoreError(category, `the task was not placed. ${sentence(said)}`, { providerCode });
}
