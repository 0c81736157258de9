import { stripVTControlCharacters } from "node:util";
import Table from "cli-table3";

const NO_BORDERS = Object.fromEntries(
  [
    "top",
    "top-mid",
    "top-left",
    "top-right",
    "bottom",
    "bottom-mid",
    "bottom-left",
    "bottom-right",
    "left",
    "left-mid",
    "mid",
    "mid-mid",
    "right",
    "right-mid",
    "middle",
  ].map((part) => [part, ""]),
);

/** Lines of aligned columns. What others wrote, such as names and messages, cannot move the reader's cursor. */
export function table(rows: readonly (readonly string[])[], head: readonly string[] = []): string {
  const lines = new Table({
    head: [...head],
    chars: NO_BORDERS,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
  });
  lines.push(...rows.map((row) => row.map(plain)));
  return lines.toString().replace(/ +$/gm, "");
}

/** A text on one line, without control characters. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ");
}
