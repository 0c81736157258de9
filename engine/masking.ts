// The supervisor of a plain process loads this file and its parts by themselves: they import nothing else of Longshore's.
import { Buffer } from "node:buffer";
import { createEscapeCheck } from "./masking/escapes.ts";
import { createFinder } from "./masking/finder.ts";
import { formsOf } from "./masking/forms.ts";
import { createSieve } from "./masking/sieve.ts";
import { viewsOf } from "./masking/views.ts";

/** What stands in a text where a secret value was. */
export const REDACTED = "***REDACTED***";

/** Shorter values are not looked for: masking `1` or `yes` everywhere would say more than it hides. */
export const MIN_MASKED_BYTES = 6;

/** A byte of a value takes so many characters at most in the forms that are looked for, and in their usual escapes. */
const MOST_CHARACTERS_A_BYTE = 9;
const FEW_BYTES = 16;
const MOST_BYTES_A_UNIT = 3;
/** Memory that is kept between two batches; larger ones have their own. */
const SCRATCH_BYTES = 256 * 1024;

/** What stands right before and behind a piece of a line that was too long for one. */
export interface Around {
  before: string;
  after: string;
}

/** Replaces secret values. */
export interface Masker {
  /** A complete text. */
  text(text: string): string;
  /** Complete texts, each for itself; the same array when there is nothing to hide in any. */
  lines(texts: readonly string[]): readonly string[];
  /** A piece of a line; a value that reaches into the next one is replaced at this one's end, and missing in the next. */
  piece(text: string, around: Around): string;
  /** So many characters around a piece may be part of a value that it holds a part of. */
  readonly reach: number;
}

/**
 * A function that replaces every occurrence of the values in a text by `***REDACTED***`: raw, in base64 (at any offset of
 * the encoded data, both alphabets), URL-encoded, JSON-escaped (twice, too) and in hex. Values under six bytes are left
 * alone; values of several lines are also looked for line by line; matches that overlap are replaced as one. Give it
 * complete lines: it knows nothing of a value that is cut in two. Linear in the text, whatever the number of values.
 */
export function createMasker(values: readonly string[]): (text: string) => string {
  return createLineMasker(values).text;
}

/**
 * As `createMasker`, for many lines at once and for pieces of long ones. A sieve goes over all of them together, and only
 * lines in which something may be are looked at byte by byte.
 */
export function createLineMasker(values: readonly string[]): Masker {
  const wanted = new Set<string>();
  for (const value of values) {
    for (const part of [value, value.trim(), ...value.split(/\r\n|\r|\n/)]) {
      if (Buffer.byteLength(part) >= MIN_MASKED_BYTES) wanted.add(part.toWellFormed());
    }
  }
  if (wanted.size === 0) return { text: (text) => text, lines: (texts) => texts, piece: (text) => text, reach: 0 };
  const forms = new Set<string>();
  for (const value of wanted) for (const form of formsOf(value)) forms.add(form);
  const patterns = Array.from(forms, (form) => Buffer.from(form));
  const longest = Array.from(wanted, (value) => Buffer.byteLength(value)).reduce((most, size) => Math.max(most, size));
  const reach = longest * MOST_CHARACTERS_A_BYTE + FEW_BYTES;
  const suspectsIn = createSuspicion(patterns);
  const exact = createExactMasker(patterns);

  const lines = (texts: readonly string[]): readonly string[] => {
    const suspects = suspectsIn(texts);
    if (suspects.length === 0) return texts;
    const masked = [...texts];
    for (const index of suspects) masked[index] = exact(masked[index] as string);
    return masked;
  };
  return {
    text: (text) => lines([text])[0] as string,
    lines,
    piece(text, around) {
      const before = reach < around.before.length ? around.before.slice(-reach) : around.before;
      const after = around.after.slice(0, reach);
      return suspectsIn([before + text + after]).length === 0 ? text : exact(text, { before, after });
    },
    reach,
  };
}

/** Tells which of some texts may hold one of the patterns, by their indexes, in order; it misses none. */
function createSuspicion(patterns: readonly Buffer[]): (texts: readonly string[]) => number[] {
  const sieve = createSieve(patterns);
  const mayHide = createEscapeCheck(patterns);
  // Batches are small while they come as they are written: a buffer for each would cost more than to look through it.
  let scratch = Buffer.alloc(0);
  const scratchFor = (most: number): Buffer => {
    if (most > SCRATCH_BYTES) return Buffer.allocUnsafe(most);
    if (scratch.length === 0) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
    return scratch;
  };

  function isHiddenIn(text: string): boolean {
    const [, ...decoded] = viewsOf(Buffer.from(text));
    return decoded.some(({ bytes }) => sieve.next(bytes, 0, bytes.length) >= 0);
  }

  return (texts) => {
    const joined = texts.length === 1 ? (texts[0] as string) : texts.join("\n");
    const bytes = scratchFor(joined.length * MOST_BYTES_A_UNIT);
    const length = bytes.write(joined);
    const isAscii = length === joined.length;
    const suspects: number[] = [];
    // Where the text `index` begins and ends.
    let [index, start, end] = [-1, 0, -1];
    for (let at = sieve.next(bytes, 0, length); at >= 0; ) {
      while (end <= at) {
        index += 1;
        start = end + 1;
        const text = texts[index] as string;
        end = start + (isAscii ? text.length : Buffer.byteLength(text));
      }
      // What reaches over the end of a text is in neither of the two.
      const isInside = at >= start && at + sieve.window <= end;
      if (isInside) suspects.push(index);
      at = sieve.next(bytes, isInside ? end + 1 : at + 1, length);
    }
    if (!mayHide.isEscaped(joined)) return suspects;
    const known = new Set(suspects);
    const hidden = texts.flatMap((text, i) => (!known.has(i) && mayHide(text) && isHiddenIn(text) ? [i] : []));
    return hidden.length === 0 ? suspects : [...suspects, ...hidden].sort((a, b) => a - b);
  };
}

/** A stretch of bytes, `end` exclusive. */
type Span = [start: number, end: number];

/**
 * Replaces every occurrence of the patterns, exactly, byte by byte. Given what is around a text, it replaces what of them
 * is in the text.
 */
export function createExactMasker(patterns: readonly Buffer[]): (text: string, around?: Around) => string {
  let find: ReturnType<typeof createFinder> | undefined;
  return (text, { before, after } = { before: "", after: "" }) => {
    // Made when it is first needed: most logs hold no value.
    find ??= createFinder(patterns);
    const all = Buffer.from(before + text + after);
    const from = Buffer.byteLength(before);
    const to = all.length - Buffer.byteLength(after);
    const spans = spansIn(find, all);
    const parts: string[] = [];
    let done = from;
    for (const [start, end] of spans) {
      if (end <= from || start >= to) continue;
      if (start > done) parts.push(all.toString("utf8", done, start));
      if (start >= from) parts.push(REDACTED);
      done = end;
    }
    if (done === from) return text;
    if (done < to) parts.push(all.toString("utf8", done, to));
    return parts.join("");
  };
}

/** Where something is to be replaced, in order; what overlaps is one. */
function spansIn(find: ReturnType<typeof createFinder>, bytes: Buffer): Span[] {
  const found: Span[] = [];
  for (const view of viewsOf(bytes)) {
    find(view.bytes, (end, length) => {
      const start = end - length;
      found.push(view.at === undefined ? [start, end] : [view.at[start] as number, view.at[end] as number]);
    });
  }
  found.sort((a, b) => a[0] - b[0]);
  const spans: Span[] = [];
  for (const [start, end] of found) {
    const last = spans.at(-1);
    if (last !== undefined && start < last[1]) last[1] = Math.max(last[1], end);
    else spans.push([start, end]);
  }
  return spans;
}
