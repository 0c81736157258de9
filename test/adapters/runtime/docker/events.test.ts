import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Engine } from "../../../../adapters/runtime/docker/client.ts";
import { createWatcher, type Watcher } from "../../../../adapters/runtime/docker/events.ts";
import { LABELS } from "../../../../engine/naming.ts";

const HOME = "home_x";
const never = new AbortController().signal;

/** An engine whose event stream the test writes; `connections` are its streams so far. */
function fakeEngine(alive: Set<string>) {
  const connections: PassThrough[] = [];
  let away = false;
  let more = Promise.withResolvers<void>();
  const engine = {
    call: () => Promise.reject(new Error("not used")),
    open: async (_work: unknown, signal: AbortSignal) => {
      if (away) throw new Error("connect ECONNREFUSED");
      const stream = Object.assign(new PassThrough(), { socket: { setKeepAlive: () => undefined } });
      signal.addEventListener("abort", () => stream.destroy(new Error("aborted")));
      connections.push(stream);
      more.resolve();
      more = Promise.withResolvers<void>();
      return stream;
    },
    isUsed: () => true,
    close: () => undefined,
  } as unknown as Engine;
  return {
    engine,
    alive: async () => {
      if (away) throw new Error("connect ECONNREFUSED");
      return new Set(alive);
    },
    connected: async (count: number) => {
      while (connections.length < count) await more.promise;
    },
    send: async (action: string, ref: string, facts: Record<string, string> = {}) => {
      const attributes = { [LABELS.home]: HOME, ...facts };
      connections
        .at(-1)
        ?.write(
          `${JSON.stringify({ Type: "container", Action: action, Actor: { ID: ref, Attributes: attributes } })}\n`,
        );
      await settled();
    },
    breaks: async () => {
      away = true;
      connections.at(-1)?.destroy(new Error("aborted"));
      await settled();
    },
    garbles: async () => {
      connections.at(-1)?.write("<html>502 Bad Gateway\n");
      await settled();
    },
    returns: () => {
      away = false;
    },
  };
}
/** Streams hand over within a few turns of the loop; only setTimeout is faked. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe("the watcher of a Docker Engine", () => {
  const alive = new Set<string>();
  const cancelled = new Set<string>();
  let now: number;
  let fake: ReturnType<typeof fakeEngine>;
  let watcher: Watcher;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    now = 1_000_000;
    alive.clear();
    cancelled.clear();
    fake = fakeEngine(alive);
    const { engine, alive: list } = fake;
    const isCancelled = (ref: string) => cancelled.has(ref);
    watcher = createWatcher({ engine, homeId: HOME, clock: () => now, alive: list, isCancelled });
  });
  afterEach(async () => {
    vi.useRealTimers();
    await watcher.close(new Error("closed"));
  });

  /** Whether the vigil's next wake-up has come. */
  const watching = async (ref: string) => {
    alive.add(ref);
    const vigil = watcher.watch(ref);
    await vigil.ready(never);
    const state = { woken: 0 };
    void (async () => {
      for (;;) {
        await vigil.next(never);
        state.woken += 1;
      }
    })().catch(() => undefined);
    return state;
  };
  const dies = async (ref: string, exitCode: string, facts: Record<string, string> = {}) => {
    alive.delete(ref);
    await fake.send("die", ref, { exitCode, ...facts });
  };
  const reconnects = async () => {
    fake.returns();
    await vi.advanceTimersByTimeAsync(10_000);
    await fake.connected(2);
    await settled();
  };

  it("wakes at the end of the container that is waited for, and of no other", async () => {
    const [a, b] = [await watching("a"), await watching("b")];
    await dies("a", "0");
    expect([a.woken, b.woken]).toEqual([1, 0]);
    await fake.send("destroy", "b");
    expect(b.woken).toBe(1);
  });

  it("asks for one connection, whoever waits", async () => {
    for (const ref of ["a", "b", "c"]) await watching(ref);
    await expect(Promise.race([fake.connected(2), settled().then(() => "one")])).resolves.toBe("one");
  });

  it("wakes those who ended while it was away, after one list, and knows that they were lost", async () => {
    const [a, b] = [await watching("a"), await watching("b")];
    await fake.breaks();
    alive.delete("a");
    await reconnects();
    expect([a.woken, b.woken]).toEqual([1, 0]);
    expect([watcher.wasLost("a", null), watcher.wasLost("b", null)]).toEqual([true, false]);
    watcher.forget("a");
    expect(watcher.wasLost("a", null)).toBe(false);
  });

  it("tells by the time of its end about a container that nobody waited for", async () => {
    await watching("a");
    now = 2_000_000;
    await fake.breaks();
    expect(watcher.wasLost("b", 2_500_000)).toBe(true);
    now = 3_000_000;
    await reconnects();
    const ends = [1_999_999, 2_000_000, 3_000_000, 3_000_001];
    expect(ends.map((end) => watcher.wasLost("b", end))).toEqual([false, true, true, false]);
  });

  it("counts an engine that never answered as away", async () => {
    await fake.breaks();
    watcher.start();
    await settled();
    expect([999_999, 1_000_000].map((end) => watcher.wasLost("a", end))).toEqual([false, true]);
  });

  it("holds back the end by a kill from outside until the engine has stayed", async () => {
    const a = await watching("a");
    await fake.send("kill", "a", { signal: "15" });
    await dies("a", "143");
    expect([a.woken, watcher.isUndecided("a")]).toEqual([0, true]);
    await vi.advanceTimersByTimeAsync(3_000);
    expect([a.woken, watcher.isUndecided("a"), watcher.wasLost("a", null)]).toEqual([1, false, false]);
  });

  it("blames the engine when it goes away upon such a kill", async () => {
    const a = await watching("a");
    await fake.send("kill", "a", { signal: "15" });
    await dies("a", "143");
    await fake.breaks();
    await reconnects();
    expect([a.woken, watcher.isUndecided("a"), watcher.wasLost("a", null)]).toEqual([1, false, true]);
  });

  it("blames it for what was killed and not waited for, whatever the clocks say", async () => {
    await watching("a");
    await fake.send("kill", "b", { signal: "9" });
    await dies("b", "137");
    await fake.breaks();
    expect(watcher.wasLost("b", null)).toBe(true);
  });

  it("holds it back as long as anybody else's container is being killed, but not for ever", async () => {
    const a = await watching("a");
    await fake.send("kill", "a", { signal: "15" });
    await fake.send("kill", "s", { signal: "15", [LABELS.home]: "home_other" });
    await dies("a", "143");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(a.woken).toBe(0);
    await vi.advanceTimersByTimeAsync(10_000);
    expect([a.woken, watcher.isUndecided("a")]).toEqual([1, false]);
  });

  it.each([
    { title: "Longshore asked for it", signal: "15", exitCode: "143", asked: true },
    { title: "the command chose its code", signal: "15", exitCode: "3", asked: false },
    { title: "the signal was harmless", signal: "1", exitCode: "143", asked: false },
  ])("does not hold back an end when $title", async ({ signal, exitCode, asked }) => {
    const a = await watching("a");
    if (asked) cancelled.add("a");
    await fake.send("kill", "a", { signal });
    await dies("a", exitCode);
    expect([a.woken, watcher.isUndecided("a")]).toEqual([1, false]);
  });

  it("does not hold back an end by a signal that did not come through the engine", async () => {
    const a = await watching("a");
    await dies("a", "137");
    expect([a.woken, watcher.isUndecided("a")]).toEqual([1, false]);
  });

  it("remembers who ran out of memory, of its own home only", async () => {
    await watching("a");
    await fake.send("oom", "a");
    await fake.send("oom", "s", { [LABELS.home]: "home_other" });
    expect([watcher.ranOutOfMemory("a"), watcher.ranOutOfMemory("s")]).toEqual([true, false]);
    watcher.forget("a");
    expect(watcher.ranOutOfMemory("a")).toBe(false);
  });

  it("connects again when the stream holds garbage", async () => {
    const a = await watching("a");
    alive.delete("a");
    await fake.garbles();
    await reconnects();
    expect(a.woken).toBe(1);
  });

  it("lets go of everybody when it is closed, with the reason", async () => {
    alive.add("a");
    const vigil = watcher.watch("a");
    await vigil.ready(never);
    const reason = new Error("over");
    const waiting = expect(vigil.next(never)).rejects.toBe(reason);
    await watcher.close(reason);
    await waiting;
    await expect(watcher.watch("b").ready(never)).rejects.toBe(reason);
  });
});
