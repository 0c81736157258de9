import type { Masker } from "../../../engine/masking.ts";

/** A line longer than this many UTF-16 units is kept as several. */
export const MAX_LINE = 1024 * 1024;

/**
 * Makes complete, masked lines of a stream's chunks. Bytes that are no UTF-8 become U+FFFD; a character or a value
 * that arrives in pieces is put together first. `end` gives the last line, if it had no newline.
 */
export function createLineSplitter(masker: Masker): { push(chunk: Uint8Array): string[]; end(): string[] } {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** What is there of the line that has no end yet, and what of it was given before, as far as a value may reach. */
  let pending = "";
  let before = "";

  function take(text: string): string[] {
    const lines: string[] = [];
    let whole: string[] = [];
    const flush = (): void => {
      for (const line of masker.lines(whole)) lines.push(line);
      whole = [];
    };
    let from = 0;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
      const line = pending + text.slice(from, at);
      pending = "";
      from = at + 1;
      if (line.length <= MAX_LINE && before === "") whole.push(line);
      else {
        flush();
        lastPieces(line, lines);
      }
    }
    flush();
    pending = firstPieces(pending + text.slice(from), lines);
    return lines;
  }

  /** Gives off a piece as soon as everything is there that may belong to a value which begins in it. */
  function firstPieces(text: string, lines: string[]): string {
    let rest = text;
    while (rest.length > MAX_LINE + masker.reach) rest = piece(rest, lines);
    return rest;
  }

  /** The rest of a long line, whose end is known. */
  function lastPieces(text: string, lines: string[]): void {
    let rest = text;
    while (rest.length > MAX_LINE) rest = piece(rest, lines);
    lines.push(masker.piece(rest, { before, after: "" }));
    before = "";
  }

  function piece(text: string, lines: string[]): string {
    const at = notInsidePair(text, MAX_LINE);
    const given = text.slice(0, at);
    const rest = text.slice(at);
    lines.push(masker.piece(given, { before, after: rest.slice(0, masker.reach) }));
    before = given;
    return rest;
  }

  return {
    push: (chunk) => take(decoder.decode(chunk, { stream: true })),
    end() {
      const lines = take(decoder.decode());
      if (pending !== "") lastPieces(pending, lines);
      pending = "";
      return lines;
    },
  };
}

function notInsidePair(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at;
}
