import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FrameLimits, framesOf } from "../../functions/frames.ts";
import type { SseMessage } from "../../functions/sse.ts";

const line = (id: number, text: string): SseMessage => ({ id, event: "log", data: { seq: id, text } });

/** What a client makes of frames: as the contract says, not as the client of this project does it. */
function joined(frames: { text: string }[]): unknown[] {
  const messages: unknown[] = [];
  let parts = "";
  for (const text of frames.flatMap((frame) => frame.text.split("\n"))) {
    const message = JSON.parse(text);
    if (message.event !== "part") {
      messages.push(message);
      continue;
    }
    parts += message.data.text;
    if (message.data.part < message.data.of) continue;
    messages.push(JSON.parse(parts));
    parts = "";
  }
  expect(parts).toBe("");
  return messages;
}

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 2000 }),
  fc.tuple(fc.constantFrom("\u0000", "🚢", '"', "\\", "\n", "\ud83d", "x"), fc.nat(3000)).map(([c, n]) => c.repeat(n)),
);

describe("the frames of messages", () => {
  it("hold every message whole and in order, whatever the texts are, and no more bytes than allowed", () => {
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 12 }),
        fc.integer({ min: 300, max: 4000 }),
        fc.boolean(),
        (texts, maxBytes, isBatched) => {
          const messages: SseMessage[] = texts.map((one, index) => line(index + 1, one));
          messages.push({ event: "end", data: { jobId: "job" } });
          const limits: FrameLimits = { isBatched, maxBytes, inParts: true };
          const frames = framesOf(messages, limits);
          expect(joined(frames)).toEqual(JSON.parse(JSON.stringify(messages)));
          for (const frame of frames) expect(Buffer.byteLength(frame.text)).toBeLessThanOrEqual(maxBytes);
          // Whoever comes back with the id of a frame has all that was in it, and nothing of what was not.
          const ids = frames.flatMap(({ id }) => (id === undefined ? [] : [id]));
          expect(ids).toEqual([...ids].sort((a, b) => a - b));
          expect(ids.at(-1)).toBe(texts.length === 0 ? undefined : texts.length);
          if (!isBatched) expect(new Set(ids).size).toBe(texts.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("hold one message each unless it was asked for more", () => {
    const messages = [line(1, "a"), line(2, "b"), { event: "heartbeat", data: {} } as const];
    expect(framesOf(messages, { maxBytes: 1000 })).toHaveLength(3);
    const [frame, ...others] = framesOf(messages, { maxBytes: 1000, isBatched: true });
    expect([others, frame?.id]).toEqual([[], 2]);
  });

  it("hold a long message whole where nothing limits a frame, alone and in its place", () => {
    const messages = [line(1, "a"), line(2, "b".repeat(5000)), line(3, "c")];
    const frames = framesOf(messages, { maxBytes: 1000, isBatched: true });
    expect(frames.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(joined(frames)).toEqual(messages);
  });

  it("of a message in parts have its id with the last part only", () => {
    const frames = framesOf([line(7, "x".repeat(2000))], { maxBytes: 1000, inParts: true });
    expect(frames.length).toBeGreaterThan(2);
    const ids = [...frames.slice(1).map(() => undefined), 7];
    expect(frames.map(({ id }) => id)).toEqual(ids);
    expect(frames.map((frame) => JSON.parse(frame.text).id)).toEqual(ids);
  });
});
