// The supervisor of a plain process loads the parts of masking by themselves: they import nothing else of Longshore's.
import { Buffer } from "node:buffer";

/** The columns at which `base64` and its kin break their lines. */
const WRAPS = [64, 76];
const MIN_PIECE = 8;

/** Every text in which a value may appear; the rarer ways to escape it are found by decoding the text instead. */
export function formsOf(value: string): string[] {
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
