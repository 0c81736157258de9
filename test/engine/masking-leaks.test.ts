import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLineReader, MAX_LINE_BYTES } from "../../adapters/runtime/docker/lines.ts";
import { createLineSplitter, MAX_LINE } from "../../adapters/runtime/process/log-lines.ts";
import { formsOf } from "../../engine/masking/forms.ts";
import { createExactMasker, createLineMasker, createMasker, type Masker, REDACTED } from "../../engine/masking.ts";
import type { RuntimeLine } from "../../engine/ports/runtime.ts";
import { createRandom } from "../chaos/random.ts";

/** Numbers and texts that come again from the same seed. */
function randomOf(seed: number) {
  const { int, pick } = createRandom(seed);
  const below = (n: number): number => int(0, n - 1);
  const text = (alphabet: string, least: number, most: number): string => {
    const units = [...alphabet];
    return Array.from({ length: int(least, most) }, () => pick(units)).join("");
  };
  return { below, text };
}
type Random = ReturnType<typeof randomOf>;

const ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const KINDS: ((random: Random) => string)[] = [
  ({ text }) => text(ALNUM, 6, 24),
  ({ text }) => text(`${ALNUM}!#$%&'()*+,-./:;<=>?@[]^_{|}~`, 8, 32),
  ({ text }) => Buffer.from(text(ALNUM, 15, 60)).toString("base64"),
  ({ text }) => `{"id":"${text(ALNUM, 4, 8)}","key":"${text(ALNUM, 12, 30)}\\n"}`,
  ({ text }) =>
    `-----BEGIN ${text("ABC", 3, 5)}-----\n${text(ALNUM, 64, 64)}\n${text(ALNUM, 20, 64)}==\n-----END-----\n`,
  ({ text }) => text("äöüßéñ漢字かな😀🔑Ω", 3, 12),
  ({ text }) => `${text(ALNUM, 3, 6)}"${text(ALNUM, 2, 4)}\\${text(ALNUM, 2, 4)}%${text(ALNUM, 2, 6)} x`,
];
const WRITTEN: ((value: string) => string)[] = [
  (value) => value,
  (value) => Buffer.from(value).toString("base64"),
  (value) => Buffer.from(value).toString("base64url"),
  (value) => Buffer.from(value).toString("hex"),
  (value) => encodeURIComponent(value),
  (value) => new URLSearchParams({ v: value }).toString().slice(2),
  (value) => JSON.stringify(value).slice(1, -1),
  (value) => JSON.stringify(JSON.stringify(value)).slice(3, -3),
  (value) => Array.from(Buffer.from(value), (byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""),
  (value) => Array.from({ length: value.length }, (_, i) => `\\\\u${hex4(value.charCodeAt(i))}`).join(""),
];
const hex4 = (unit: number): string => unit.toString(16).padStart(4, "0");
const WORDS = "the job of a line that was read again GET POST 200 in ms user=alice level=info + % \\ 50% \\t".split(
  " ",
);
const prose = ({ below }: Random, words: number) =>
  Array.from({ length: words }, () => WORDS[below(WORDS.length)]).join(" ");

/** Lines that hold a value each, in some form, with what stands there; a value of several lines is written line by line. */
function leakyLines(values: readonly string[], random: Random): { line: string; leak: string }[] {
  return values.flatMap((value) => {
    const whole = (WRITTEN[random.below(WRITTEN.length)] as (value: string) => string)(value);
    const parts = [value, whole].flatMap((written) => written.split("\n"));
    return parts
      .filter((part) => Buffer.byteLength(part) >= 6 && part.trim().length === part.length)
      .map((leak) => ({ line: `${prose(random, random.below(6))} [${leak}] ${prose(random, random.below(6))}`, leak }));
  });
}

/** Cuts bytes into so many pieces and more, at random places. */
function cut(bytes: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = [];
  const most = 1 + random.below(random.below(2) === 0 ? 40 : 60_000);
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random.below(most);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

/** What Docker sends for a log: messages of at most 16 KiB, each with its time. */
function framed(lines: readonly string[], random: Random): Buffer {
  const frames = lines.flatMap((line) => {
    const bytes = Buffer.from(`${line}\n`);
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + random.below(16_384);
      pieces.push(bytes.subarray(at, end));
      at = end;
    }
    const stream = 1 + random.below(2);
    return pieces.flatMap((piece) => {
      const payload = Buffer.concat([Buffer.from("2026-01-02T03:04:05.678901234Z "), piece]);
      const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
      header.writeUInt32BE(payload.length, 4);
      return [header, payload];
    });
  });
  return Buffer.concat(frames);
}

/** A log as it comes through the reader of Docker's frames. */
function throughDocker(lines: readonly string[], masker: Masker, random: Random): string[] {
  const reader = createLineReader();
  const shown = (batch: RuntimeLine[]): string[] => {
    const masked = masker.lines(batch.map(({ text }) => text));
    return batch.map(({ text, around }, i) =>
      around === undefined ? (masked[i] as string) : masker.piece(text, around),
    );
  };
  const chunks = cut(framed(lines, random), random);
  return [...chunks.flatMap((chunk) => shown(reader.push(chunk))), ...shown(reader.end())];
}

/** A log as the supervisor of a plain process writes it. */
function throughSupervisor(lines: readonly string[], masker: Masker, random: Random): string[] {
  const splitter = createLineSplitter(masker);
  const chunks = cut(Buffer.from(`${lines.join("\n")}\n`), random);
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.end()];
}
const PATHS = { throughDocker, throughSupervisor };

describe.each(Object.entries(PATHS))("a log that comes %s", (_, through) => {
  test("holds none of ten thousand values in any form, however it is cut", { timeout: 120_000 }, () => {
    let seen = 0;
    const run = (seed: number): void => {
      const random = randomOf(seed);
      const values = Array.from({ length: 1000 }, (_, i) =>
        (KINDS[i % KINDS.length] as (random: Random) => string)(random),
      );
      const written = leakyLines(values, random);
      const lines = through(
        written.map(({ line }) => line),
        createLineMasker(values),
        random,
      );
      expect(lines).toHaveLength(written.length);
      const leaks = written.filter(({ leak }, i) => !lines[i]?.includes(REDACTED) || lines[i].includes(leak));
      expect(leaks).toEqual([]);
      seen += values.length;
    };
    fc.assert(fc.property(fc.integer(), run), { numRuns: 10, endOnFailure: true });
    expect(seen).toBeGreaterThanOrEqual(10_000);
  });

  test("holds no piece of a value at which a line was cut that is too long", { timeout: 120_000 }, () => {
    const run = (seed: number): void => {
      const random = randomOf(seed);
      const value = (KINDS[random.below(KINDS.length - 1)] as (random: Random) => string)(random).replaceAll("\n", "");
      const written = (WRITTEN[random.below(WRITTEN.length)] as (value: string) => string)(value);
      // From whole before the cut to whole behind it, and on both sides of the second cut.
      const size = Buffer.byteLength(written);
      const filler = (bytes: number) => "~".repeat(bytes);
      const first = Math.min(MAX_LINE, MAX_LINE_BYTES) - random.below(size + 4) - 1;
      const line = `${filler(first)}${written}${filler(MAX_LINE - size - random.below(size))}${written}${filler(random.below(MAX_LINE))}`;
      const lines = through([line, "next"], createLineMasker([value]), random);
      expect(lines.at(-1)).toBe("next");
      expect(lines.slice(0, -1).join("")).toBe(line.replaceAll(written, REDACTED));
    };
    fc.assert(fc.property(fc.integer(), run), { numRuns: 12, endOnFailure: true });
  });
});

describe("a masker", () => {
  test("finds what its automaton finds by itself, in many lines at once: the sieve misses nothing", () => {
    const letter = fc.constantFrom(...'abab01 +/=%&"\\\nxu6-ß😀');
    const value = fc.string({ unit: letter, minLength: 6, maxLength: 14 });
    const line = fc.string({ unit: letter, maxLength: 30 });
    const escaped = fc.constantFrom(...WRITTEN);
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 5 }),
        fc.array(fc.tuple(line, escaped, line)),
        (values, texts) => {
          const wanted = values.flatMap((one) => [one, one.trim(), ...one.split("\n")]);
          const forms = new Set(wanted.filter((one) => Buffer.byteLength(one) >= 6).flatMap(formsOf));
          const exact = createExactMasker(Array.from(forms, (form) => Buffer.from(form)));
          const lines = texts.map(
            ([before, write, after], i) => before + write(values[i % values.length] ?? "") + after,
          );
          expect(createLineMasker(values).lines(lines)).toEqual(
            forms.size === 0 ? lines : lines.map((text) => exact(text)),
          );
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("finds no value in two lines that stand behind each other", () => {
    const lines = ["ends with hunter2-", "hunter2 begins", "a\nhunter2-hunter2"];
    expect(createLineMasker(["hunter2-hunter2"]).lines(lines)).toEqual([...lines.slice(0, 2), `a\n${REDACTED}`]);
    expect(createLineMasker(["\nhunter2-"]).lines(["", "hunter2-"])).toEqual(["", REDACTED]);
    expect(createLineMasker(["hunter2-\nhunter2"]).lines(["hunter2-", "hunter2"])).toEqual([REDACTED, REDACTED]);
  });

  test("leaves ordinary text alone: of a thousand characters less than one is replaced", () => {
    const random = randomOf(5);
    const values = Array.from({ length: 2000 }, (_, i) =>
      (KINDS[i % KINDS.length] as (random: Random) => string)(random),
    );
    const noise = (bytes: number, encoding: "hex" | "base64") =>
      Buffer.from(Array.from({ length: bytes }, () => random.below(256))).toString(encoding);
    const texts = Array.from({ length: 4000 }, (_, i) => [
      prose(random, 30),
      `2026-03-04T05:06:07.${i}Z INFO [worker-${i % 7}] GET /api/v1/jobs/${noise(8, "hex")}?q=a%20b+c&x=%2Ftmp 200 ${i} ms`,
      JSON.stringify({ level: "info", message: `said "${prose(random, 5)}"\n`, trace: noise(16, "hex"), data: { i } }),
      noise(48, "hex"),
      noise(48, "base64"),
      "-----BEGIN CERTIFICATE-----",
    ]).flat();
    const masked = createLineMasker(values).lines(texts);
    const count = (all: readonly string[]) => all.reduce((sum, text) => sum + text.length, 0);
    const replaced = masked.reduce((sum, text) => sum + text.split(REDACTED).length - 1, 0);
    const gone = count(texts) - (count(masked) - replaced * REDACTED.length);
    expect(gone / count(texts)).toBeLessThanOrEqual(0.001);
    expect(createMasker(values)(values[0] as string)).toBe(REDACTED);
  });
});
