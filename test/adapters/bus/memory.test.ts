import { describe, expect, it, vi } from "vitest";
import { createMemoryBus, type MemoryBus } from "../../../adapters/bus/memory.ts";
import type { BusEntry } from "../../../engine/ports/bus.ts";
import { busContract, entry } from "../../contracts/bus.ts";

busContract("memory", async () => {
  const bus = createMemoryBus();
  let consumers = 0;
  return {
    bus,
    async subscribe(handler) {
      consumers += 1;
      bus.subscribe(`consumer ${consumers}`, handler);
    },
    // `publish` itself resolves only when all consumers are done.
    settled: async () => undefined,
    end: async () => undefined,
  };
});

describe("the bus in memory", () => {
  const waits: number[] = [];
  const make = (tries = 3): MemoryBus => {
    waits.length = 0;
    return createMemoryBus({ tries, wait: async (milliseconds) => void waits.push(milliseconds) });
  };

  it("keeps the order per job, over several calls too, however long each entry takes", async () => {
    const bus = make();
    const seen: string[] = [];
    let turn = 0;
    bus.subscribe("slow at first", async ({ id }) => {
      turn += 1;
      for (let n = turn % 5; n >= 0; n -= 1) await new Promise(setImmediate);
      seen.push(id);
    });
    await Promise.all([
      bus.publish([entry("a", 1), entry("b", 1), entry("a", 2), entry("a", 3)]),
      bus.publish([entry("b", 2), entry("a", 4), entry("b", 3)]),
    ]);
    expect(seen.filter((id) => id.startsWith("a"))).toEqual(["a#1", "a#2", "a#3", "a#4"]);
    expect(seen.filter((id) => id.startsWith("b"))).toEqual(["b#1", "b#2", "b#3"]);
  });

  it("lets no job wait for a slow entry of another", async () => {
    const bus = make();
    const gate = Promise.withResolvers<void>();
    const others = Promise.withResolvers<void>();
    const seen: string[] = [];
    bus.subscribe("stuck on one", async ({ id }) => {
      if (id === "slow#1") await gate.promise;
      seen.push(id);
      if (seen.length === 3) others.resolve();
    });
    const first = bus.publish([entry("slow", 1), entry("slow", 2), entry("quick", 1)]);
    const second = bus.publish([entry("quick", 2), entry("other", 1)]);
    await others.promise;
    await second;
    expect(seen.toSorted()).toEqual(["other#1", "quick#1", "quick#2"]);
    gate.resolve();
    expect(await first).toEqual({ failed: [] });
    expect(seen.slice(3)).toEqual(["slow#1", "slow#2"]);
  });

  it("tries again with growing pauses, and reports nothing when it went well in the end", async () => {
    const bus = make(4);
    const handler = vi.fn(async (_entry: BusEntry) => undefined);
    for (let n = 0; n < 3; n += 1) handler.mockRejectedValueOnce(new Error("not yet"));
    bus.subscribe("late", handler);
    expect(await bus.publish([entry("a", 1)])).toEqual({ failed: [] });
    expect(handler).toHaveBeenCalledTimes(4);
    expect(waits).toEqual([20, 40, 80]);
  });

  it("gives up after its tries, fails what stands behind in the same job undelivered, and no other job", async () => {
    const bus = make(2);
    const seen: string[] = [];
    bus.subscribe("fails on a#2", async ({ id }) => {
      seen.push(id);
      if (id === "a#2") throw new Error("never");
    });
    bus.subscribe("fine", async () => undefined);
    const [first, second] = await Promise.all([
      bus.publish([entry("a", 1), entry("a", 2), entry("b", 1), entry("a", 3)]),
      bus.publish([entry("a", 4), entry("b", 2)]),
    ]);
    expect(first.failed).toEqual(["a#2", "a#3"]);
    expect(second.failed).toEqual(["a#4"]);
    expect(seen.toSorted()).toEqual(["a#1", "a#2", "a#2", "b#1", "b#2"]);
  });

  it("delivers what failed, in order, when it is published again", async () => {
    const bus = make(1);
    const seen: string[] = [];
    let broken = true;
    bus.subscribe("mended later", async ({ id }) => {
      if (broken) throw new Error("broken");
      seen.push(id);
    });
    const entries = [entry("a", 1), entry("a", 2)];
    const { failed } = await bus.publish(entries);
    broken = false;
    expect(await bus.publish(entries.filter(({ id }) => failed.includes(id)))).toEqual({ failed: [] });
    expect(seen).toEqual(["a#1", "a#2"]);
  });

  it("counts a handler that throws at once as failed, and logs which entry for whom", async () => {
    const warn = vi.fn();
    const logger = { debug: vi.fn(), info: vi.fn(), warn, error: vi.fn() };
    const bus = createMemoryBus({ logger, tries: 1 });
    bus.subscribe("throws", () => {
      throw new Error("at once");
    });
    expect(await bus.publish([entry("a", 1)])).toEqual({ failed: ["a#1"] });
    expect(warn).toHaveBeenCalledWith(
      expect.objectContaining({ subscriber: "throws", entry: "a#1", error: new Error("at once") }),
      "a bus subscriber failed",
    );
  });

  it("stops trying for a consumer that has left, and hands it nothing more", async () => {
    const bus = make(100);
    const handler = vi.fn(async () => {
      leave();
      throw new Error("and gone");
    });
    const leave = bus.subscribe("leaves", handler);
    expect(await bus.publish([entry("a", 1), entry("a", 2)])).toEqual({ failed: [] });
    await bus.publish([entry("a", 3)]);
    expect(handler).toHaveBeenCalledTimes(1);
    leave();
  });

  it("refuses a name twice, and takes it again when it is free", async () => {
    const bus = make();
    const leave = bus.subscribe("one", async () => undefined);
    expect(() => bus.subscribe("one", async () => undefined)).toThrow(expect.objectContaining({ code: "CONFLICT" }));
    leave();
    const again = vi.fn(async () => undefined);
    bus.subscribe("one", again);
    leave();
    await bus.publish([entry("a", 1)]);
    expect(again).toHaveBeenCalledTimes(1);
  });
});
