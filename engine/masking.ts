// The supervisor of a plain process loads this file by itself: it imports nothing of Longshore's.
import { Buffer } from "node:buffer";

/** What stands in a text where a secret value was. */
export const REDACTED = "***REDACTED***";

/** Shorter values are not looked for: masking `1` or `yes` everywhere would say more than it hides. */
export const MIN_MASKED_BYTES = 6;

/** The columns at which `base64` and its kin break their lines. */
const WRAPS = [64, 76];
const MIN_PIECE = 8;

/**
 * A function that replaces every occurrence of the values in a text by `***REDACTED***`: raw, in base64 (at any offset of
 * the encoded data, both alphabets), URL-encoded, JSON-escaped (twice, too) and in hex. Values under six bytes are left
 * alone; values of several lines are also looked for line by line; matches that overlap are replaced as one. Give it
 * complete lines: it knows nothing of a value that is cut in two. Linear in the text, whatever the number of values.
 */
export function createMasker(values: readonly string[]): (text: string) => string {
  const wanted = new Set<string>();
  for (const value of values) {
    for (const part of [value, value.trim(), ...value.split(/\r\n|\r|\n/)]) {
      if (Buffer.byteLength(part) >= MIN_MASKED_BYTES) wanted.add(part.toWellFormed());
    }
  }
  if (wanted.size === 0) return (text) => text;
  const patterns = new Set<string>();
  for (const value of wanted) for (const form of formsOf(value)) patterns.add(form);
  const find = createFinder(patterns);
  return (text) => maskWith(find, text);
}

/** A stretch of bytes, `end` exclusive. */
type Span = [start: number, end: number];

function maskWith(find: (bytes: Uint8Array, found: (end: number, length: number) => void) => void, text: string) {
  const bytes = Buffer.from(text);
  const spans: Span[] = [];
  for (const view of viewsOf(bytes)) {
    find(view.bytes, (end, length) => {
      const start = end - length;
      spans.push(view.at === undefined ? [start, end] : [view.at[start] as number, view.at[end] as number]);
    });
  }
  if (spans.length === 0) return text;
  spans.sort((a, b) => a[0] - b[0]);
  const parts: string[] = [];
  let done = 0;
  for (let i = 0; i < spans.length; ) {
    const [start, first] = spans[i] as Span;
    let end = first;
    for (i += 1; i < spans.length && (spans[i] as Span)[0] < end; i += 1) end = Math.max(end, (spans[i] as Span)[1]);
    parts.push(bytes.toString("utf8", done, start), REDACTED);
    done = end;
  }
  parts.push(bytes.toString("utf8", done));
  return parts.join("");
}

/** Every text in which a value may appear; the rarer ways to escape it are found by decoding the text instead. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const url = encodeURIComponent(value);
  const form = url.replaceAll("%20", "+");
  // Forms escape more than URLs do. Decoding finds that too, but not behind a `%` that is no escape: of "%aa%7E" it
  // takes the first three characters for one.
  const params = new URLSearchParams([["", value]]).toString().slice(1);
  const hex = bytes.toString("hex");
  const json = JSON.stringify(value).slice(1, -1);
  const twice = JSON.stringify(json).slice(1, -1);
  const escaped = [url, form, params];
  return [value, hex, hex.toUpperCase(), json, twice, ...escaped, ...escaped.map(lowerEscapes), ...base64Forms(bytes)];
}

const lowerEscapes = (text: string) => text.replace(/%[0-9A-F]{2}/g, (found) => found.toLowerCase());

/**
 * Inside longer data a value begins at one of three offsets of a base64 group. The characters that it shares with its
 * neighbours depend on them and are left out; what remains of the value in those is less than a byte.
 */
function base64Forms(bytes: Buffer): string[] {
  const whole = bytes.toString("base64");
  const forms = [whole, whole.replace(/=+$/, "")];
  for (const offset of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    forms.push(shifted.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6)));
  }
  for (const width of WRAPS) {
    if (whole.length <= width) continue;
    for (let at = 0; at < whole.length; at += width) {
      const piece = whole.slice(at, at + width);
      if (piece.length >= MIN_PIECE) forms.push(piece);
    }
  }
  return [...forms, ...forms.map((form) => form.replaceAll("+", "-").replaceAll("/", "_"))];
}

/** A text, decoded; `at[i]` is where its byte i begins in the text as it was written, undefined: at i. */
interface View {
  bytes: Uint8Array;
  at: Int32Array | undefined;
}

const PERCENT = 0x25;
const PLUS = 0x2b;
const BACKSLASH = 0x5c;
const SPACE = 0x20;

function viewsOf(raw: Uint8Array): View[] {
  const views: View[] = [{ bytes: raw, at: undefined }];
  if (raw.includes(PERCENT)) views.push(decodePercent(raw, false));
  if (raw.includes(PLUS)) views.push(decodePercent(raw, true));
  if (raw.includes(BACKSLASH)) {
    const once = decodeEscapes({ bytes: raw, at: undefined });
    views.push(once);
    if (once.bytes.includes(BACKSLASH)) views.push(decodeEscapes(once));
  }
  return views;
}

function decodePercent(raw: Uint8Array, plusIsSpace: boolean): View {
  const bytes = new Uint8Array(raw.length);
  const at = new Int32Array(raw.length + 1);
  let length = 0;
  for (let i = 0; i < raw.length; length += 1) {
    const byte = raw[i] as number;
    const escaped = byte === PERCENT ? hexNumber(raw, i + 1, 2) : -1;
    bytes[length] = escaped >= 0 ? escaped : byte === PLUS && plusIsSpace ? SPACE : byte;
    at[length] = i;
    i += escaped >= 0 ? 3 : 1;
  }
  at[length] = raw.length;
  return { bytes: bytes.subarray(0, length), at };
}

/** The number that `digits` hex digits at a place write, -1 when they are none. */
function hexNumber(bytes: Uint8Array, start: number, digits: number): number {
  let result = 0;
  for (let i = start; i < start + digits; i += 1) {
    const byte = bytes[i] ?? 0;
    const lower = byte | 0x20;
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
    if (digit < 0) return -1;
    result = result * 16 + digit;
  }
  return result;
}

/** The escapes of one character behind a backslash; any other character stands for itself. */
const ESCAPES = new Map([..."bfnrt"].map((letter, i) => [letter.charCodeAt(0), "\b\f\n\r\t".charCodeAt(i)]));
const LETTER_U = 0x75;
const LETTER_X = 0x78;

/** Undoes the escapes of JSON and its relatives: `\n`, `\"`, `\/`, `\u00e9` in pairs where needed, `\x41`. */
function decodeEscapes(view: View): View {
  const source = view.bytes;
  // No escape is longer than what it stands for: at most three bytes of UTF-8 for six characters.
  const bytes = new Uint8Array(source.length);
  const at = new Int32Array(source.length + 1);
  const place = (index: number) => (view.at === undefined ? index : (view.at[index] as number));
  let length = 0;
  for (let i = 0; i < source.length; ) {
    const { text, size } = escapeAt(source, i);
    for (const byte of text) {
      bytes[length] = byte;
      at[length] = place(i);
      length += 1;
    }
    i += size;
  }
  at[length] = place(source.length);
  return { bytes: bytes.subarray(0, length), at };
}

function escapeAt(bytes: Uint8Array, i: number): { text: Uint8Array | number[]; size: number } {
  const byte = bytes[i] as number;
  const next = bytes[i + 1];
  if (byte !== BACKSLASH || next === undefined) return { text: [byte], size: 1 };
  if (next === LETTER_X && hexNumber(bytes, i + 2, 2) >= 0) return { text: [hexNumber(bytes, i + 2, 2)], size: 4 };
  const unit = next === LETTER_U ? hexNumber(bytes, i + 2, 4) : -1;
  if (unit < 0) return { text: [ESCAPES.get(next) ?? next], size: 2 };
  const second = bytes[i + 6] === BACKSLASH && bytes[i + 7] === LETTER_U ? hexNumber(bytes, i + 8, 4) : -1;
  const paired = unit >= 0xd800 && unit < 0xdc00 && second >= 0xdc00 && second < 0xe000;
  const text = paired ? String.fromCharCode(unit, second) : String.fromCharCode(unit);
  return { text: Buffer.from(text), size: paired ? 12 : 6 };
}

/**
 * An Aho-Corasick automaton over bytes: one pass finds, for each place, the longest pattern that ends there. The
 * edges live in one open-addressed table, so that thousands of values cost megabytes and not gigabytes.
 */
function createFinder(patterns: Iterable<string>) {
  const encoded = Array.from(patterns, (pattern) => Buffer.from(pattern)).sort((a, b) => b.length - a.length);
  const capacity = encoded.reduce((sum, { length }) => sum + length, 1);
  const bits = Math.ceil(Math.log2(capacity + 1)) + 1;
  const mask = 2 ** bits - 1;
  const keys = new Int32Array(2 ** bits).fill(-1);
  const targets = new Int32Array(2 ** bits);
  const fail = new Int32Array(capacity);
  const longest = new Int32Array(capacity);
  const root = new Int32Array(256);

  /** The slot of an edge, or the free slot where it belongs. */
  const slotOf = (key: number) => {
    let slot = (Math.imul(key, 0x9e3779b1) >>> (32 - bits)) & mask;
    while (keys[slot] !== key && keys[slot] !== -1) slot = (slot + 1) & mask;
    return slot;
  };
  const step = (state: number, byte: number) => {
    let from = state;
    while (from !== 0) {
      const slot = slotOf((from * 256 + byte) | 0);
      if (keys[slot] !== -1) return targets[slot] as number;
      from = fail[from] as number;
    }
    return root[byte] as number;
  };

  // All patterns, longest first, grow by one byte a round: a state's failure leads to a state of an earlier round,
  // which is complete.
  let states = 1;
  const current = new Int32Array(encoded.length);
  let growing = encoded.length;
  for (let at = 0; growing > 0; at += 1) {
    for (let index = 0; index < growing; index += 1) {
      const pattern = encoded[index] as Buffer;
      const byte = pattern[at] as number;
      const parent = current[index] as number;
      const slot = slotOf((parent * 256 + byte) | 0);
      let state = parent === 0 ? (root[byte] as number) : keys[slot] === -1 ? 0 : (targets[slot] as number);
      if (state === 0) {
        state = states;
        states += 1;
        fail[state] = parent === 0 ? 0 : step(fail[parent] as number, byte);
        longest[state] = longest[fail[state] as number] as number;
        if (parent === 0) root[byte] = state;
        else {
          keys[slot] = (parent * 256 + byte) | 0;
          targets[slot] = state;
        }
      }
      if (at === pattern.length - 1) longest[state] = pattern.length;
      current[index] = state;
    }
    while (growing > 0 && (encoded[growing - 1] as Buffer).length === at + 1) growing -= 1;
  }

  return (bytes: Uint8Array, found: (end: number, length: number) => void): void => {
    let state = 0;
    for (let i = 0; i < bytes.length; i += 1) {
      state = step(state, bytes[i] as number);
      const length = longest[state] as number;
      if (length > 0) found(i + 1, length);
    }
  };
}
