import type { z } from "zod";
import { LongshoreError, type Violation } from "../errors.ts";
import { nameFromImage } from "./image.ts";
import { SPEC_LIMITS } from "./limits.ts";
import { plainJson, safeKey, violationPath } from "./plain.ts";
import { type JobSpec, jobSpecSchema } from "./schema.ts";
import { containsSecret, secretsOf } from "./secret-values.ts";

type RawIssue = z.core.$ZodRawIssue;
type Issue = z.core.$ZodIssue;

const SHOWN_IN_MESSAGE = 3;

/**
 * What a submitter handed over, as an accepted spec: every default in place, named (after its image, or `job`).
 * Parsing an accepted spec gives the same spec again.
 * @throws LongshoreError VALIDATION whose violations name the fields and never repeat a value; at most 100 of them.
 */
export function parseJobSpec(input: unknown): JobSpec {
  const plain = plainJson(input);
  if (plain.stopped) throw invalidSpec(plain.violations);
  const parsed = jobSpecSchema.safeParse(plain.value, { error: describe });
  const faults = merge(plain.violations, parsed.success ? [] : parsed.error.issues.flatMap(toViolations));
  if (faults.length > 0 || !parsed.success) throw invalidSpec(faults);
  const spec: JobSpec = { ...parsed.data, name: parsed.data.name ?? defaultName(parsed.data) };
  const bytes = Buffer.byteLength(JSON.stringify(spec));
  if (bytes <= SPEC_LIMITS.specBytes) return spec;
  const message = `at most ${SPEC_LIMITS.specBytes} bytes, this one has ${bytes}`;
  throw invalidSpec([{ path: "spec", code: "too_big", message }]);
}

/** The error of a spec that cannot be accepted; its message shows the first violations, `violations` has them all. */
function invalidSpec(violations: Violation[]): LongshoreError {
  const listed = violations.slice(0, SPEC_LIMITS.violations);
  const shown = listed.slice(0, SHOWN_IN_MESSAGE).map(({ path, message }) => `${path}: ${message}`);
  const more = violations.length - shown.length;
  const message = `the job spec is invalid: ${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
  return new LongshoreError("VALIDATION", message, { violations: listed });
}

/** `postgres` is a popular password for the image postgres: a name that nobody chose must not give it away. */
function defaultName(spec: Omit<JobSpec, "name">): string {
  if (spec.image === undefined) return "job";
  const name = nameFromImage(spec.image);
  return containsSecret(name, secretsOf({ ...spec, name: "job" })) ? "job" : name;
}

/** One violation a field, the first: what else is wrong with it mostly follows from that. */
function merge(structural: Violation[], shape: Violation[]): Violation[] {
  const byPath = new Map<string, Violation>();
  for (const violation of [...structural, ...shape]) {
    if (!byPath.has(violation.path)) byPath.set(violation.path, violation);
  }
  return [...byPath.values()];
}

function toViolations(issue: Issue): Violation[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      path: violationPath([...issue.path, key]),
      code: "unknown_key",
      message: `unknown key "${safeKey(key)}"`,
    }));
  }
  if (issue.code === "invalid_key") {
    const path = violationPath(issue.path);
    return issue.issues.map((inner) => ({ path, code: codeOf(inner), message: inner.message }));
  }
  return [{ path: violationPath(issue.path), code: codeOf(issue), message: issue.message }];
}

function codeOf(issue: Issue): string {
  if (issue.code === "custom") return String(issue.params?.code ?? "invalid");
  if (issue.code === "invalid_type" && issue.message === REQUIRED) return "required";
  return issue.code;
}

const REQUIRED = "is required";
const TYPES: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** The sentences for zod's own checks. The value itself never gets into one: it may be a secret. */
function describe(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined ? REQUIRED : `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    case "too_small":
      if (issue.minimum === 1 && (issue.origin === "string" || issue.origin === "array")) return "must not be empty";
      return `must ${bound(issue.origin, `${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`)}`;
    case "too_big":
      return `must ${bound(issue.origin, `${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}`)}`;
    default:
      return undefined;
  }
}

function bound(origin: string, limit: string): string {
  if (origin === "string") return `have ${limit} characters`;
  if (origin === "array") return `have ${limit} entries`;
  return `be ${limit}`;
}
