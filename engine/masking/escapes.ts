// The supervisor of a plain process loads the parts of masking by themselves: they import nothing else of Longshore's.

const BACKSLASH = 0x5c;
const SPACE = 0x20;
const LETTER_U = 0x75;
const LETTER_X = 0x78;
const SHORT = new Map([..."bfnrt"].map((letter, i) => [letter.charCodeAt(0), "\b\f\n\r\t".charCodeAt(i)]));

export interface EscapeCheck {
  /** Whether undoing the escapes of a text could show a pattern that it does not show as it is. */
  (text: string): boolean;
  /** Whether a text holds anything that begins an escape: what does not can be left out at once. */
  isEscaped(text: string): boolean;
}

/**
 * A check for some patterns: what an escape stands for matters only where a pattern has such a byte. It may say yes for
 * nothing, and never no wrongly.
 */
export function createEscapeCheck(patterns: readonly Uint8Array[]): EscapeCheck {
  const known = new Uint8Array(256);
  for (const pattern of patterns) for (const byte of pattern) known[byte] = 1;
  const hasOthers = known.subarray(0x80).includes(1);
  const isKnown = (unit: number): boolean => (unit < 0x80 ? known[unit] === 1 : hasOthers);

  function isPercentKnown(text: string): boolean {
    for (let at = text.indexOf("%"); at >= 0; at = text.indexOf("%", at + 1)) {
      const byte = hexNumber(text, at + 1, 2);
      if (byte >= 0 && known[byte] === 1) return true;
    }
    return false;
  }

  function isBackslashKnown(text: string): boolean {
    for (let at = text.indexOf("\\"); at >= 0 && at + 1 < text.length; at = text.indexOf("\\", at + 2)) {
      const next = text.charCodeAt(at + 1);
      const digits =
        next === LETTER_U ? hexNumber(text, at + 2, 4) : next === LETTER_X ? hexNumber(text, at + 2, 2) : -1;
      const unit = digits >= 0 ? digits : (SHORT.get(next) ?? next);
      // Two backslashes make one, which may begin an escape again.
      if (unit === BACKSLASH || isKnown(unit)) return true;
    }
    return false;
  }

  const isPlusKnown = (text: string): boolean => known[SPACE] === 1 && text.includes("+");
  const check = (text: string): boolean => isPlusKnown(text) || isPercentKnown(text) || isBackslashKnown(text);
  const isEscaped = (text: string): boolean => text.includes("%") || text.includes("\\") || isPlusKnown(text);
  return Object.assign(check, { isEscaped });
}

function hexNumber(text: string, start: number, digits: number): number {
  let result = 0;
  for (let i = start; i < start + digits; i += 1) {
    const unit = text.charCodeAt(i);
    const lower = unit | 0x20;
    const digit = unit >= 0x30 && unit <= 0x39 ? unit - 0x30 : lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
    if (digit < 0) return -1;
    result = result * 16 + digit;
  }
  return result;
}
