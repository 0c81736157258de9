import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLineReader, MAX_LINE_BYTES } from "../../../../adapters/runtime/docker/lines.ts";
import type { RuntimeLine } from "../../../../engine/ports/runtime.ts";

const AT = "2026-01-02T03:04:05.678901234Z";
const frame = (stream: 1 | 2, body: string | Buffer, time = AT): Buffer => {
  const payload = Buffer.concat([Buffer.from(`${time} `), Buffer.from(body)]);
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
};
/** What the engine says when it cannot read its own log: a frame of the third stream, without a time. */
const broken = (text: string): Buffer => {
  const header = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
};
const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
function read(bytes: Buffer, size = bytes.length): RuntimeLine[] {
  const reader = createLineReader();
  const lines: RuntimeLine[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    lines.push(...reader.push(bytes.subarray(at, at + size)));
    reader.check();
  }
  return [...lines, ...reader.end()];
}
const texts = (...frames: Buffer[]) => read(Buffer.concat(frames)).map((line) => line.text);

describe("lines of a Docker log", () => {
  it("have number, time and stream, however the bytes are cut", () => {
    const bytes = Buffer.concat([
      frame(1, "one\n"),
      frame(2, "two\n", "2026-01-02T03:04:06Z"),
      frame(1, "\n"),
      frame(1, "last"),
    ]);
    const whole = read(bytes);
    expect(whole).toEqual([
      { n: 1, time: "2026-01-02T03:04:05.678Z", stream: "stdout", text: "one" },
      { n: 2, time: "2026-01-02T03:04:06.000Z", stream: "stderr", text: "two" },
      { n: 3, time: "2026-01-02T03:04:05.678Z", stream: "stdout", text: "" },
      { n: 4, time: "2026-01-02T03:04:05.678Z", stream: "stdout", text: "last" },
    ]);
    for (const size of [1, 2, 7, 8, 9, 30]) expect(read(bytes, size)).toEqual(whole);
  });

  it("are joined from messages without a newline, per stream, with the time of the first", () => {
    const later = "2026-01-02T03:04:09Z";
    const bytes = Buffer.concat([frame(1, "a"), frame(2, "x"), frame(1, "b", later), frame(2, "y\n"), frame(1, "c\n")]);
    expect(read(bytes)).toMatchObject([
      { n: 1, stream: "stderr", text: "xy" },
      { n: 2, stream: "stdout", text: "abc", time: "2026-01-02T03:04:05.678Z" },
    ]);
  });

  it("keep a character that was cut between two messages, and replace what is none", () => {
    const [first, second] = [Buffer.from("é").subarray(0, 1), Buffer.from("é\n").subarray(1)];
    expect(texts(frame(1, Buffer.concat([Buffer.from("caf"), first])), frame(1, second))).toEqual(["café"]);
    expect(texts(frame(1, Buffer.from([0x61, 0xff, 0x62, 0x0a])))).toEqual(["a\uFFFDb"]);
  });

  it("lose the return before the newline and no other", () => {
    expect(texts(frame(1, "a\r\n"), frame(1, "b\rc\n"), frame(1, "d\r"), frame(1, "\n"), frame(1, "e\r"))).toEqual([
      "a",
      "b\rc",
      "d",
      "e\r",
    ]);
  });

  it("go on in the next line after 1 MiB, at a character's border", () => {
    const long = `${"x".repeat(MAX_LINE_BYTES - 1)}é${"y".repeat(10)}`;
    const pieces = (long.match(/.{1,16000}/g) ?? []).map((piece) => frame(1, piece));
    const lines = texts(...pieces, frame(1, "\n"), frame(1, "next\n"));
    expect(lines.map((line) => line.length)).toEqual([MAX_LINE_BYTES - 1, 11, 4]);
    expect(lines[0] + (lines[1] ?? "")).toBe(long);
    expect(texts(frame(1, `${"z".repeat(MAX_LINE_BYTES)}\n`))).toHaveLength(1);
  });

  it("tell of a piece of a long line what stands around it, as far as a value may reach, however the messages were cut", () => {
    const long = `${"x".repeat(MAX_LINE_BYTES - 3)}secret${"y".repeat(2 * MAX_LINE_BYTES)}z`;
    const cut = (long.match(/x{1,16000}|y{1,16000}|./g) ?? []).map((piece) => frame(1, piece));
    for (const frames of [cut, [frame(1, long)]]) {
      const lines = read(Buffer.concat([...frames, frame(1, "\n"), frame(1, "next\n")]));
      expect(lines.map(({ text }) => text).join("")).toBe(`${long}next`);
      expect(lines.map(({ around }) => around === undefined)).toEqual([false, false, false, false, true]);
      for (const [index, { around }] of lines.slice(0, -1).entries()) {
        const before = index === 0 ? "" : lines[index - 1]?.text;
        const rest = lines.slice(index + 1, -1).map(({ text }) => text);
        expect(around?.before === before).toBe(true);
        expect(around?.after === rest.join("").slice(0, MAX_LINE_BYTES)).toBe(true);
      }
    }
  });

  it("go on after what the engine could not read: it was no frame, and the log of the job never collected", () => {
    const bytes = Buffer.concat([
      frame(1, "one\n"),
      frame(1, "tw"),
      broken("Error grabbing logs: open /var/lib/docker/containers/x-json.log: input/output error\n"),
      broken("Error grabbing logs: unexpected EOF\n"),
      frame(1, "o\n", "2026-01-02T03:04:09Z"),
      broken("Error grabbing logs: unexpected EOF\n"),
    ]);
    const text = "Docker could not read its log here: lines may be missing";
    const lines = read(bytes);
    expect(lines).toMatchObject([
      { n: 1, stream: "stdout", text: "one" },
      { n: 2, stream: "system", text, time: "2026-01-02T03:04:05.678Z" },
      { n: 3, stream: "stdout", text: "two" },
      { n: 4, stream: "system", text, time: "2026-01-02T03:04:09.000Z" },
    ]);
    for (const size of [1, 7, 8, 9, 30]) expect(read(bytes, size)).toEqual(lines);
    expect(read(broken("Error grabbing logs\n"))[0]).toMatchObject({ n: 1, stream: "system", time: ISO });
  });

  it("are refused where the bytes are no log", () => {
    const good = frame(1, "one\n");
    const bad = [
      Buffer.from("HTTP/1.1 400 Bad Request\r\n"),
      Buffer.from([4, 0, 0, 0, 0, 0, 0, 1, 0x61]),
      Buffer.from([1, 1, 0, 0, 0, 0, 0, 1, 0x61]),
      Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
      Buffer.from([1, 0, 0, 0, 0, 0, 0, 2, 0x61, 0x0a]),
      good.subarray(0, -1),
      good.subarray(0, 5),
      good.subarray(0, 8),
    ];
    for (const bytes of bad) expect(() => read(bytes)).toThrow(expect.objectContaining({ code: "UNKNOWN" }));
  });

  it("are none for no bytes", () => expect(read(Buffer.alloc(0))).toEqual([]));

  it("hold every byte, in whatever messages they come", () => {
    const body = fc.string({ unit: fc.constantFrom("a", "é", "☃", "\n", " ") });
    const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 });
    fc.assert(
      fc.property(body, cuts, fc.integer({ min: 1, max: 40 }), (text, sizes, chunk) => {
        const bytes = Buffer.from(text);
        const frames: Buffer[] = [];
        for (let at = 0, index = 0; at < bytes.length; index += 1) {
          const newline = bytes.indexOf(0x0a, at);
          const most = Math.min(at + (sizes[index % sizes.length] ?? 1), newline < 0 ? bytes.length : newline + 1);
          frames.push(frame(1, bytes.subarray(at, most)));
          at = most;
        }
        const lines = read(Buffer.concat(frames), chunk);
        const expected = text.split("\n");
        if (expected.at(-1) === "") expected.pop();
        expect(lines.map((line) => line.text)).toEqual(expected);
        expect(lines.map((line) => line.n)).toEqual(expected.map((_, index) => index + 1));
      }),
      { numRuns: 200 },
    );
  });
});
