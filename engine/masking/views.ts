// The supervisor of a plain process loads the parts of masking by themselves: they import nothing else of Longshore's.
import { Buffer } from "node:buffer";

/** A text, decoded; `at[i]` is where its byte i begins in the text as it was written, undefined: at i. */
export interface View {
  bytes: Uint8Array;
  at: Int32Array | undefined;
}

const PERCENT = 0x25;
const PLUS = 0x2b;
const BACKSLASH = 0x5c;
const SPACE = 0x20;

/** A text as it is written, and as it reads when its escapes are undone, as far as it has any. */
export function viewsOf(raw: Uint8Array): View[] {
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
