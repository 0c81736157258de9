import type { Violation } from "../engine/errors.ts";
import { ApiError, ChecksumError, ConnectionError, CredentialsError } from "../sdk/index.ts";
import { UsageError } from "./context.ts";
import { EXIT } from "./exit-codes.ts";
import { UnsafeName } from "./save-file.ts";
import { plain } from "./table.ts";

export interface Failure {
  exitCode: number;
  /** The first says what is wrong, the others where, and what may help. */
  lines: string[];
  /** The same for programs. */
  document: Record<string, unknown>;
}

/** What to say about anything thrown, and with which code to end. Only what nobody foresaw comes with its stack. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof ApiError) {
    return failure(isUsersMistake(thrown) ? EXIT.usage : EXIT.failed, plain(thrown.message), {
      violations: thrown.violations,
      hints: thrown.hints,
      document: { ...thrown.problem, ...(thrown.hints.length > 0 ? { hints: thrown.hints } : {}) },
    });
  }
  if (thrown instanceof ConnectionError) return failure(EXIT.failed, thrown.message, { code: "UNAVAILABLE" });
  if (thrown instanceof CredentialsError) return failure(EXIT.failed, thrown.message, { code: "UNAUTHENTICATED" });
  if (thrown instanceof ChecksumError) return failure(EXIT.failed, plain(thrown.message), { code: "CHECKSUM" });
  if (thrown instanceof UnsafeName) return failure(EXIT.failed, plain(thrown.message), { code: "UNSAFE_NAME" });
  if (thrown instanceof UsageError) return failure(EXIT.usage, thrown.message, { code: "USAGE" });
  if (isLongshoreError(thrown)) {
    const mistake = thrown.code === "VALIDATION";
    return failure(mistake ? EXIT.usage : EXIT.failed, thrown.message, { code: thrown.code });
  }
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  return failure(EXIT.failed, `unexpected failure: ${error.stack ?? error.message}`, { code: "INTERNAL" });
}

function failure(
  exitCode: number,
  message: string,
  facts: { code?: string; violations?: Violation[]; hints?: readonly string[]; document?: Record<string, unknown> },
): Failure {
  const where = (facts.violations ?? []).map(violationLine).filter((line) => line.trim() !== message);
  const hints = (facts.hints ?? []).map((hint) => `  ${hint}`);
  return {
    exitCode,
    lines: [message, ...where, ...hints],
    document: facts.document ?? { code: facts.code, detail: message },
  };
}

/** A field and what is wrong with it; many a message begins with the field already. */
function violationLine({ path, message }: Violation): string {
  return plain(`  ${message.startsWith(path) ? message : `${path}: ${message}`}`);
}

/** Errors of the engine are known by their shape: the command line loads the engine only when it hosts it. */
function isLongshoreError(thrown: unknown): thrown is Error & { code: string } {
  return (
    thrown instanceof Error &&
    thrown.name === "LongshoreError" &&
    typeof (thrown as { code?: unknown }).code === "string"
  );
}

/** Refused for what was asked, not for who asked or when. */
function isUsersMistake({ status }: ApiError): boolean {
  return status >= 400 && status < 500 && ![401, 403, 408, 429].includes(status);
}
