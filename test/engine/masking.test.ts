import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMasker, REDACTED } from "../../engine/masking.ts";

const hidden = (value: string, text: string) => createMasker([value])(text);

/** Values and surroundings without a character of the replacement's own: what they form with it proves nothing. */
const letter = fc.constantFrom(..."abcxyz0189 +/=%&?\"'\\\n\t-_.~éß漢😀");
const around = fc.string({ unit: letter, maxLength: 20 });
const secret = fc.string({ unit: letter, minLength: 6, maxLength: 40 }).filter((value) => value.trim().length >= 6);

const FORMS: Record<string, (value: string) => string> = {
  raw: (value) => value,
  hex: (value) => Buffer.from(value).toString("hex"),
  "upper-case hex": (value) => Buffer.from(value).toString("hex").toUpperCase(),
  JSON: (value) => JSON.stringify(value).slice(1, -1),
  "JSON in JSON": (value) => JSON.stringify(JSON.stringify(value)).slice(3, -3),
  "URL component": (value) => encodeURIComponent(value),
  "URL component, lower-case hex": (value) =>
    encodeURIComponent(value).replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
  form: (value) => new URLSearchParams({ v: value }).toString().slice(2),
  base64: (value) => Buffer.from(value).toString("base64"),
  "base64 without padding": (value) => Buffer.from(value).toString("base64").replace(/=+$/, ""),
  "URL-safe base64": (value) => Buffer.from(value).toString("base64url"),
};

describe("a masker", () => {
  test("without values is the identity", () => {
    const mask = createMasker([]);
    expect(mask("hunter2 \ud800 \0")).toBe("hunter2 \ud800 \0");
  });

  test("leaves values under six bytes alone, and counts bytes, not characters", () => {
    expect(hidden("12345", "12345")).toBe("12345");
    expect(hidden("漢字", "my 漢字!")).toBe(`my ${REDACTED}!`);
  });

  test("hides what overlaps as one, and not only the first of the two", () => {
    expect(createMasker(["abcdefgh", "efghijkl"])("<abcdefghijkl>")).toBe(`<${REDACTED}>`);
    expect(createMasker(["abcdef", "abcdefghi"])("<abcdefghi abcdef>")).toBe(`<${REDACTED} ${REDACTED}>`);
    expect(createMasker(["aaaaaa"])("aaaaaaaaa")).toBe(REDACTED);
    expect(createMasker(["xxabcdefyy", "abcdef"])("xxabcdefzz")).toBe(`xx${REDACTED}zz`);
    expect(hidden("abcdef", "abcdefabcdef")).toBe(REDACTED + REDACTED);
  });

  test("hides a value of several lines line by line, whatever ends them", () => {
    const mask = createMasker(["first-line\r\nshort\nsecond-line\n"]);
    expect(mask("first-line")).toBe(REDACTED);
    expect(mask("> second-line <")).toBe(`> ${REDACTED} <`);
    expect(mask("first-line\r\nshort\nsecond-line\n")).toBe(REDACTED);
    expect(mask("short")).toBe("short");
  });

  test("hides a value that stands without the spaces around it", () => {
    expect(hidden(" hunter22\t", "pw=hunter22.")).toBe(`pw=${REDACTED}.`);
  });

  test("finds a value in base64 of longer data at each of the three offsets, in both alphabets", () => {
    const value = "??>>ÿÿpass~~word";
    for (const prefix of ["", "x", "xy", "xyz"]) {
      const data = Buffer.from(`${prefix}${value}tail`);
      for (const encoding of ["base64", "base64url"] as const) {
        const masked = hidden(value, data.toString(encoding));
        expect(masked, `${encoding} behind ${prefix.length}`).toContain(REDACTED);
        const rest = masked.split(REDACTED).map((part) => Buffer.from(part, "base64").toString("latin1"));
        expect(rest.join("")).not.toContain("word");
      }
    }
  });

  test("finds a long value in base64 that was broken into lines", () => {
    const value = Array.from({ length: 120 }, (_, index) => String.fromCharCode(48 + ((index * 7) % 70))).join("");
    const whole = Buffer.from(value).toString("base64");
    for (const width of [64, 76]) {
      const lines = whole.match(new RegExp(`.{1,${width}}`, "g")) ?? [];
      expect(lines.length).toBeGreaterThan(1);
      const mask = createMasker([value]);
      const rest = lines.filter((line) => line.length >= 8).map(mask);
      expect(rest.join("").replaceAll(REDACTED, "")).toBe("");
    }
  });

  test("finds escapes that no library writes but a server may: every byte, mixed case, solidus, \\x", () => {
    const value = "pä/ss wörd";
    const percent = Array.from(Buffer.from(value), (byte, i) => {
      const hex = `%${byte.toString(16).padStart(2, "0")}`;
      return i % 2 === 0 ? hex.toUpperCase() : hex;
    }).join("");
    const units = Array.from({ length: value.length }, (_, i) => value.charCodeAt(i).toString(16).padStart(4, "0"));
    const back = (text: string) => `[${text}]`;
    for (const form of [percent, units.map((unit) => `\\u${unit}`).join(""), "pä\\/ss wörd", "p\\xc3\\xa4/ss wörd"]) {
      expect(hidden(value, back(form))).toBe(back(REDACTED));
    }
    expect(hidden(value, back("p\\\\u00e4\\\\/ss w\\\\u00f6rd"))).toBe(back(REDACTED));
    expect(hidden("key😀key", '"key\\uD83D\\ude00key"')).toBe(`"${REDACTED}"`);
    expect(hidden("a b+c d", "q=a+b+c+d")).toBe("q=a+b+c+d");
    expect(hidden("a b+c d", "q=a+b%2Bc+d")).toBe(`q=${REDACTED}`);
  });

  test("finds a form's escapes behind a percent sign that is none: it was taken for one with the value's first letters", () => {
    for (const value of ["aaaa~a", "fade (in)!", "0123'456"]) {
      const form = new URLSearchParams({ v: value }).toString().slice(2);
      const lower = form.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
      for (const written of [form, lower]) expect(hidden(value, `100%${written}&`)).toBe(`100%${REDACTED}&`);
    }
  });

  test("takes a thousand values that begin alike", () => {
    const values = Array.from({ length: 1000 }, (_, i) => `prefix-prefix-${i}-end`);
    const mask = createMasker(values);
    expect(mask("prefix-prefix-999-end prefix-prefix-1000-end")).toBe(`${REDACTED} prefix-prefix-1000-end`);
  });

  test.each(Object.entries(FORMS))("leaves no value in any text, written as %s", (_, write) => {
    fc.assert(
      fc.property(fc.array(secret, { minLength: 1, maxLength: 4 }), around, around, (values, before, after) => {
        const mask = createMasker(values);
        for (const value of values) {
          const written = write(value);
          const masked = mask(before + written + after);
          expect(masked).toContain(REDACTED);
          expect(masked).not.toContain(written);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("leaves a text without the values as it is", () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123 %+\\"\n=/') });
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 6 })), digits, (values, text) => {
        const lettered = values.map((value) => `k${value}k`);
        expect(createMasker(lettered)(text)).toBe(text);
      }),
    );
  });

  test("keeps every other character, byte by byte", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (before, after) => {
        fc.pre(!`${before}${after}`.includes("Zq"));
        expect(hidden("ZqZqZqZq", `${before}ZqZqZqZq${after}`)).toBe(`${before}${REDACTED}${after}`);
      }),
    );
  });
});
