import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLineSplitter, MAX_LINE } from "../../../../adapters/runtime/process/log-lines.ts";
import { createLineMasker, createMasker } from "../../../../engine/masking.ts";

const VALUES = ["hunter2-is-secret", "pässwörd/+=&%"];

/** The lines of bytes that arrive in these pieces. */
function split(pieces: readonly Uint8Array[], values: readonly string[] = VALUES): string[] {
  const splitter = createLineSplitter(createLineMasker(values));
  return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()];
}

/** The same bytes, cut at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

describe("lines", () => {
  test("are the same however the bytes arrive, and masked as a whole text is", () => {
    const word = fc.constantFrom("a", "\n", "\r\n", "é", "💾", " ", "\0", ...VALUES);
    fc.assert(
      fc.property(fc.array(word), fc.array(fc.nat()), (words, places) => {
        const text = words.join("");
        const wanted = text === "" ? [] : text.replace(/\n$/, "").split("\n").map(createMasker(VALUES));
        expect(split(cut(Buffer.from(text), places))).toEqual(wanted);
      }),
    );
  });

  test("of bytes that are no UTF-8 are the same however they arrive", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(fc.nat()), (bytes, places) => {
        const whole = split([bytes]);
        expect(split(cut(Buffer.from(bytes), places))).toEqual(whole);
        expect(whole.join("")).not.toContain("\n");
      }),
    );
  });

  test.each([0, 1, 5, 17, 40, 200])("longer than 1 MiB with a value %i before the limit lose none of it", (before) => {
    for (const value of VALUES) {
      const text = `${"x".repeat(MAX_LINE - before)}${value}${"y".repeat(MAX_LINE)}`;
      const lines = split(cut(Buffer.from(text), [100, 70_000, MAX_LINE - 1, MAX_LINE, MAX_LINE + 3]));
      expect(lines.length).toBeGreaterThan(1);
      expect(lines.join("")).toBe(text.replace(value, "***REDACTED***"));
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(MAX_LINE + "***REDACTED***".length);
    }
  });

  test("longer than 1 MiB hold no half of a value that is repeated without end", () => {
    const value = "abcdefgh";
    const lines = split([Buffer.from(value.repeat(MAX_LINE / 4))], [value]);
    expect(lines.join("").replaceAll("***REDACTED***", "")).toBe("");
  });

  test("are never cut inside a character", () => {
    const text = `x${"💾".repeat(MAX_LINE)}`;
    const lines = split([Buffer.from(text)], []);
    expect(lines.join("")).toBe(text);
    for (const line of lines) expect(line.isWellFormed()).toBe(true);
  });
});
