import { createHash } from "node:crypto";
import type { JobId } from "./ids.ts";

// W3C Trace Context: https://www.w3.org/TR/trace-context/

/** Where in a trace something belongs: the value of a `traceparent`, and of a `tracestate` where there is one. */
export interface TraceContext {
  traceparent: string;
  tracestate?: string;
}

/** What a caller gave; whoever wrote it may be anybody. */
export interface GivenTrace {
  traceparent?: unknown;
  tracestate?: unknown;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;
/** The version that Longshore writes. */
const VERSION = "00";

/** A list has so many members at most, and this many characters are passed on: a job's item holds them. */
const MAX_MEMBERS = 32;
const MAX_STATE = 512;
/** Members longer than this go first where not all can be passed on. */
const LONG_MEMBER = 128;
const SIMPLE_KEY = /^[a-z][a-z0-9_\-*/]{0,255}$/;
const TENANT_KEY = /^[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}$/;
/** Printable ASCII but comma and equals sign, not ending with a space. */
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/**
 * The trace that a caller is in. Undefined where the `traceparent` is not valid, for then there is none; a `tracestate` that
 * is not valid is left out alone. Of a version that is not known only what the first one knows is kept.
 */
export function traceOf({ traceparent, tracestate }: GivenTrace): TraceContext | undefined {
  const found = typeof traceparent === "string" ? TRACEPARENT.exec(traceparent) : null;
  if (found === null) return undefined;
  const [, version = "", traceId = "", parentId = "", flags = "", rest] = found;
  if (version === "ff" || (version === VERSION && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  const state = typeof tracestate === "string" ? stateOf(tracestate) : undefined;
  const parent = format(traceId, parentId, Number.parseInt(flags, 16));
  return { traceparent: parent, ...(state === undefined ? {} : { tracestate: state }) };
}

/** A job's own place in a trace: in that of who submitted it, or in one that begins with the job and has its id. */
export function traceOfJob({ jobId, trace }: { jobId: JobId; trace?: TraceContext }): TraceContext {
  return trace ?? { traceparent: format(traceIdOf(jobId), spanIdOf(jobId), SAMPLED) };
}

/** The place of a job's attempt, below that of the job; the same whenever it is asked for. */
export function traceOfAttempt(job: { jobId: JobId; trace?: TraceContext }, attempt: number): TraceContext {
  const { traceparent, ...state } = traceOfJob(job);
  const [, , , flags = ""] = traceparent.split("-");
  const parent = format(traceIdIn(traceparent), spanIdOf(`${job.jobId}#${attempt}`), Number.parseInt(flags, 16));
  return { traceparent: parent, ...state };
}

/**
 * A launch's environment with the attempt's place in its trace. What the job brings under these names wins; a `TRACESTATE`
 * without its own `TRACEPARENT` would speak of another trace.
 */
export function withTrace(
  env: Record<string, string>,
  { traceparent, tracestate }: TraceContext,
): Record<string, string> {
  if ("TRACEPARENT" in env) return env;
  return { TRACEPARENT: traceparent, ...(tracestate === undefined ? {} : { TRACESTATE: tracestate }), ...env };
}

/** The trace's id in a `traceparent`. */
export function traceIdIn(traceparent: string): string {
  return traceparent.slice(VERSION.length + 1, VERSION.length + 33);
}

/** Of the flags only the one that says whether the trace is recorded has a meaning that is known. */
function format(traceId: string, parentId: string, flags: number): string {
  return `${VERSION}-${traceId}-${parentId}-${(flags & SAMPLED).toString(16).padStart(2, "0")}`;
}

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** A ULID has the 128 bits of a trace's id, and all but its first 48 are random. */
function traceIdOf(jobId: JobId): string {
  let bits = 0n;
  for (const character of jobId.slice("job_".length)) bits = (bits << 5n) | BigInt(CROCKFORD.indexOf(character));
  return bits.toString(16).padStart(32, "0");
}

function spanIdOf(name: string): string {
  return createHash("sha256").update(name).digest("hex").slice(0, 16);
}

/** The members of a `tracestate` that are passed on; undefined where it is not valid or has none. */
function stateOf(text: string): string | undefined {
  const members = text
    .split(",")
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""))
    .filter((member) => member !== "");
  const keys = new Set(members.map((member) => member.split("=", 1)[0]));
  if (members.length > MAX_MEMBERS || keys.size < members.length || !members.every(isMember)) return undefined;
  const kept = shortened(members);
  return kept.length === 0 ? undefined : kept.join(",");
}

function isMember(member: string): boolean {
  const at = member.indexOf("=");
  const key = member.slice(0, Math.max(0, at));
  return (SIMPLE_KEY.test(key) || TENANT_KEY.test(key)) && VALUE.test(member.slice(at + 1));
}

/** As many as fit: first the long ones go, the last of them first, then the last ones. */
function shortened(members: string[]): string[] {
  const kept = [...members];
  while (kept.join(",").length > MAX_STATE) {
    const long = kept.findLastIndex((member) => member.length > LONG_MEMBER);
    kept.splice(long === -1 ? kept.length - 1 : long, 1);
  }
  return kept;
}
