import type { Category } from "../errors.ts";
import { assertNever } from "../states.ts";
import { code, codeBlock, table } from "./markdown.ts";
import type { RunReceipt } from "./receipt.ts";

/** A record for people: how it ended, why, and what it took. */
export function summaryOf(receipt: RunReceipt): string {
  const parts = [
    `# ${receipt.status}: ${code(receipt.name)}`,
    headline(receipt),
    ...(receipt.status === "SUCCEEDED" ? [] : ["## Why", reason(receipt), ...tail(receipt)]),
    "## Attempts",
    attempts(receipt),
    "## Facts",
    facts(receipt),
    ...(receipt.artifacts.length === 0 ? [] : ["## Artifacts", artifacts(receipt)]),
  ];
  return `${parts.join("\n\n")}\n`;
}

function headline({ status, durationMs, exitCode, attempts, jobId, runtime }: RunReceipt): string {
  const took = durationMs === null ? "without having been started" : `after ${duration(durationMs)}`;
  const exit = exitCode === null ? "" : `, exit code ${exitCode}`;
  const tries = attempts.length > 1 ? `, in ${attempts.length} attempts` : "";
  return `**${status}** ${took} on ${code(runtime)}${exit}${tries}. Job ${code(jobId)}.`;
}

function reason(receipt: RunReceipt): string {
  const { error, status } = receipt;
  if (status === "CANCELLED") {
    const by = receipt.events.find(({ type }) => type === "CANCEL_REQUESTED")?.data.by;
    const who = typeof by === "string" ? ` by ${code(by)}` : "";
    const when = receipt.startedAt === null ? "before anything of it was started" : "and its command was stopped";
    return `It was cancelled${who}, ${when}.`;
  }
  if (error === null) return "No reason is on record.";
  const dead = receipt.deadLetterId === null ? "" : ` It left the dead letter ${code(receipt.deadLetterId)}.`;
  return `${inWords(error.category, receipt)} (${error.category}): ${code(error.message)}.${dead}`;
}

function inWords(category: Category, { exitCode, runtime }: RunReceipt): string {
  switch (category) {
    case "USER_CODE":
      return exitCode === null ? "Its own command failed" : `Its own command ended with exit code ${exitCode}`;
    case "OOM":
      return "It needed more memory than it was given";
    case "TIMEOUT":
      return "It ran longer than its timeout and was stopped";
    case "IMAGE_PULL":
      return "Its image could not be fetched";
    case "AUTH":
      return "Credentials that it needs were refused";
    case "NOT_FOUND":
      return "Something that it needs does not exist";
    case "QUOTA":
      return `${code(runtime)} refused it for a quota`;
    case "RUNTIME_UNAVAILABLE":
      return `${code(runtime)} did not answer, or lost it`;
    case "VALIDATION":
      return `${code(runtime)} refused its spec`;
    case "UNKNOWN":
      return "It failed, and nobody can tell why";
    default:
      return assertNever(category);
  }
}

function tail({ logs }: RunReceipt): string[] {
  if (logs.tail.length === 0) return [logs.lines === 0 ? "It wrote no log." : `Its log is at ${code(logs.path)}.`];
  const lines = logs.tail.map(({ stream, text }) => (stream === "stdout" ? text : `[${stream}] ${text}`));
  return [`The last ${lines.length} of ${logs.lines} lines of its log:`, codeBlock(lines)];
}

function attempts({ attempts }: RunReceipt): string {
  if (attempts.length === 0) return "It was never started.";
  const rows = attempts.map((one) => [
    String(one.attempt),
    code(one.runtime),
    one.startedAt ?? "–",
    one.startedAt !== null && one.finishedAt !== null ? duration(between(one.startedAt, one.finishedAt)) : "–",
    one.exitCode === null ? "–" : String(one.exitCode),
    one.error === null ? "–" : `${one.error.category}: ${code(one.error.message)}`,
  ]);
  return table(["attempt", "runtime", "started", "took", "exit code", "error"], rows);
}

function facts(receipt: RunReceipt): string {
  const { createdAt, startedAt, finishedAt, logs, cost, labels } = receipt;
  const { image, submittedBy, retryOf, specHash } = receipt;
  const marked = Object.entries(labels).map(([key, value]) => code(`${key}=${value}`));
  const rows: [string, string | null][] = [
    ["Image", image === null ? null : code(image)],
    ["Submitted", `${createdAt} by ${code(submittedBy)}`],
    ["Waited", startedAt === null ? null : duration(between(createdAt, startedAt))],
    ["Started", startedAt],
    ["Ended", finishedAt],
    ["Cost", cost === null ? null : cost.amountUsd === null ? cost.basis : `${cost.amountUsd} USD (${cost.basis})`],
    ["Log", `${logs.lines} lines, ${size(logs.bytes)} kept${logs.truncated ? ", not all of it" : ""}`],
    ["Labels", marked.length === 0 ? null : marked.join(" ")],
    ["Retry of", retryOf === null ? null : code(retryOf)],
    ["Spec", code(specHash)],
  ];
  return table(
    ["fact", ""],
    rows.flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
}

function artifacts({ artifacts }: RunReceipt): string {
  const rows = artifacts.map(({ name, sizeBytes, contentType, sha256 }) => [
    code(name),
    size(sizeBytes),
    code(contentType),
    code(sha256),
  ]);
  return table(["artifact", "size", "type", "SHA-256"], rows);
}

function between(from: string, to: string): number {
  return Math.max(0, Date.parse(to) - Date.parse(from));
}

/** `0.34 s`, `12 s`, `3 min 5 s`, `2 h 4 min`. */
function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(3))} ${units[unit]}`;
}
