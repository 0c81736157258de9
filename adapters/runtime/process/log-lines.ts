/** A line longer than this many UTF-16 units is kept as several. */
export const MAX_LINE = 1024 * 1024;

const CUTS_TRIED = 8;

type Mask = (text: string) => string;

/**
 * How much more than a full line is read before it is cut: enough that a value which spans the cut is there as a
 * whole, also percent-encoded, which makes nine characters of one, or escaped.
 */
export function carryOf(values: readonly string[]): number {
  return values.reduce((most, value) => Math.max(most, value.length * 9 + 16), 0);
}

/**
 * Makes complete, masked lines of a stream's chunks. Bytes that are no UTF-8 become U+FFFD; a character or a value
 * that arrives in pieces is put together first. `end` gives the last line, if it had no newline.
 */
export function createLineSplitter(mask: Mask, carry: number): { push(chunk: Uint8Array): string[]; end(): string[] } {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let pending = "";

  function take(text: string): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
      emit(pending + text.slice(from, at), lines);
      pending = "";
      from = at + 1;
    }
    pending = cutLong(pending + text.slice(from), lines);
    return lines;
  }

  function emit(line: string, lines: string[]): void {
    lines.push(mask(cutLong(line, lines)));
  }

  function cutLong(text: string, lines: string[]): string {
    let rest = text;
    while (rest.length > MAX_LINE + carry) {
      const at = safeCut(rest, mask, carry);
      lines.push(mask(rest.slice(0, at)));
      rest = rest.slice(at);
    }
    return rest;
  }

  return {
    push: (chunk) => take(decoder.decode(chunk, { stream: true })),
    end() {
      const lines = take(decoder.decode());
      if (pending !== "") lines.push(mask(pending));
      pending = "";
      return lines;
    },
  };
}

/**
 * Where to cut a long line so that masking the two pieces gives what masking the whole gives: then no value spans the
 * cut. Tried are the limit and some places before it, far enough apart that one value spans one of them at most. A
 * line that is nothing but values there is cut at its present end.
 */
function safeCut(text: string, mask: Mask, carry: number): number {
  if (carry === 0) return notInsidePair(text, MAX_LINE);
  const whole = mask(text);
  for (let tried = 0; tried < CUTS_TRIED; tried++) {
    const at = notInsidePair(text, MAX_LINE - tried * carry);
    if (at <= 0) break;
    if (mask(text.slice(0, at)) + mask(text.slice(at)) === whole) return at;
  }
  return text.length;
}

function notInsidePair(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : at;
}
