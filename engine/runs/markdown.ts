import { stripVTControlCharacters } from "node:util";

// What jobs, images and commands say is untrusted. In Markdown only code is taken as it stands: no markup, no HTML, no
// entities, and no address in it becomes a link.

const TAB = "    ";
const MAX_INLINE_CHARS = 500;

/** A text without what moves a cursor, hides or turns other text round; on one line. */
function plain(text: string): string {
  return stripVTControlCharacters(text.toWellFormed())
    .replaceAll("\t", TAB)
    .replace(/[\r\n\p{Zl}\p{Zp}]+/gu, " ")
    .replace(/[\p{Cc}\p{Cf}]/gu, "\u{fffd}");
}

function longestRun(text: string, character: "`"): number {
  return Math.max(0, ...[...text.matchAll(new RegExp(`${character}+`, "g"))].map(([run]) => run.length));
}

/** An untrusted text inside a line: a code span, cut where it is very long. */
export function code(text: string): string {
  const whole = plain(text).trim();
  if (whole === "") return "–";
  const shown = whole.length > MAX_INLINE_CHARS ? `${whole.slice(0, MAX_INLINE_CHARS).toWellFormed()}…` : whole;
  const fence = "`".repeat(longestRun(shown, "`") + 1);
  const pad = shown.startsWith("`") || shown.endsWith("`") ? " " : "";
  return `${fence}${pad}${shown}${pad}${fence}`;
}

/** Untrusted lines as a block. */
export function codeBlock(lines: readonly string[]): string {
  const texts = lines.map(plain);
  const fence = "`".repeat(Math.max(3, longestRun(texts.join("\n"), "`") + 1));
  return [`${fence}text`, ...texts, fence].join("\n");
}

/**
 * A table. A bar ends a cell, also inside of code, and one behind a backslash cannot be escaped by another: what looks like
 * it stands in its place.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "│")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
