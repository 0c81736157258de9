import type { Violation } from "../errors.ts";
import { SPEC_LIMITS } from "./limits.ts";

const MAX_SEGMENT = 64;

/**
 * A violation's path, dot-joined. A key is cut before `=` and control characters and after 64 characters: `A=hunter2`
 * as a variable's name would otherwise bring its value into the message.
 */
export function violationPath(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "spec" : path.map((segment) => safeKey(String(segment))).join(".");
}

/** A key as a message may show it. */
export function safeKey(key: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are where it cuts
  const end = key.search(/[=\u0000-\u001f\u007f]/);
  const shown = key.slice(0, Math.min(end < 0 ? key.length : end, MAX_SEGMENT));
  return shown.length === key.length ? shown : `${shown.toWellFormed()}…`;
}

interface Walk {
  violations: Violation[];
  values: number;
  /** Set when the input is so deep or so large that the walk has stopped. */
  stopped: boolean;
}

/**
 * A copy of the input that is JSON and nothing else: no prototype tricks, no NUL and no lone surrogate, no endless
 * depth; members that are undefined are left out and -0 is 0. What cannot be copied is a violation with its path;
 * `stopped` says that the rest was not looked at.
 */
export function plainJson(input: unknown): { value: unknown; violations: Violation[]; stopped: boolean } {
  const walk: Walk = { violations: [], values: 0, stopped: false };
  return { value: copy(input, [], walk), violations: walk.violations, stopped: walk.stopped };
}

function copy(value: unknown, path: readonly string[], walk: Walk): unknown {
  if (walk.stopped) return null;
  walk.values += 1;
  if (path.length > SPEC_LIMITS.depth || walk.values > SPEC_LIMITS.values) {
    walk.stopped = true;
    refuse(walk, path.slice(0, 1), { code: "too_big", message: "is nested too deep or has too many values" });
    return null;
  }
  if (typeof value === "string") {
    checkText(value, path, walk);
    return value;
  }
  if (typeof value === "number") return checkedNumber(value, path, walk);
  if (value === null || typeof value === "boolean") return value;
  if (Array.isArray(value)) return Array.from(value, (item, index) => copy(item, [...path, String(index)], walk));
  if (isPlainObject(value)) return copyObject(value, path, walk);
  refuse(walk, path, { code: "invalid_type", message: "must be a value that JSON has" });
  return null;
}

function copyObject(value: object, path: readonly string[], walk: Walk): unknown {
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (walk.stopped) break;
    if (member === undefined) continue;
    const memberPath = [...path, key];
    // Assigning it would set the copy's prototype; no name in a spec needs it.
    if (key === "__proto__") {
      refuse(walk, memberPath, { code: "unknown_key", message: 'the key "__proto__" is not allowed' });
      continue;
    }
    checkText(key, memberPath, walk);
    result[key] = copy(member, memberPath, walk);
  }
  return result;
}

function checkText(text: string, path: readonly string[], walk: Walk): void {
  if (text.includes("\0")) refuse(walk, path, { code: "nul", message: "must not contain a NUL character" });
  else if (!text.isWellFormed()) refuse(walk, path, { code: "invalid_text", message: "must be well-formed Unicode" });
}

function checkedNumber(value: number, path: readonly string[], walk: Walk): number {
  if (!Number.isFinite(value)) refuse(walk, path, { code: "invalid_type", message: "must be a finite number" });
  return value === 0 ? 0 : value;
}

function refuse(walk: Walk, path: readonly string[], fault: Omit<Violation, "path">): void {
  walk.violations.push({ path: violationPath(path), ...fault });
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
