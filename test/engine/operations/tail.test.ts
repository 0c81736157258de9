import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createTail } from "../../../engine/operations/tail.ts";

const sizeOf = (item: { size: number }) => item.size;

describe("a tail", () => {
  test("keeps what the newest of a list are, whatever the sizes", () => {
    const sizes = fc.array(fc.nat(20), { maxLength: 200 });
    const limits = fc.record({ maxBytes: fc.nat(100), maxItems: fc.nat(30), least: fc.nat(3) });
    fc.assert(
      fc.property(sizes, limits, (list, { maxBytes, maxItems, least }) => {
        const items = list.map((size, index) => ({ size, index }));
        const tail = createTail<(typeof items)[number]>({ maxBytes, maxItems, least, sizeOf });
        let kept: typeof items = [];
        for (const item of items) {
          tail.push(item);
          // The plain way to say it: what was dropped once never comes back.
          kept.push(item);
          const isOver = () => kept.reduce((sum, { size }) => sum + size, 0) > maxBytes && kept.length > least;
          while (kept.length > maxItems || (kept.length > 0 && isOver())) kept = kept.slice(1);
        }
        expect([...tail.items()]).toEqual(kept);
        expect(tail.dropped).toBe(items.length - kept.length);
        expect(tail.firstDropped).toBe(tail.dropped === 0 ? undefined : items[0]);
      }),
    );
  });

  test("of many items forgets its dropped places and keeps the order", () => {
    const tail = createTail<{ size: number; index: number }>({ maxBytes: 50_000, sizeOf });
    for (let index = 0; index < 300_000; index++) tail.push({ size: 1, index });
    expect(Array.from(tail.items(), ({ index }) => index)).toEqual(
      Array.from({ length: 50_000 }, (_, n) => 250_000 + n),
    );
    expect([tail.dropped, tail.firstDropped?.index]).toEqual([250_000, 0]);
  });
});
