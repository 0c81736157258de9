import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JobId } from "../../engine/ids.ts";
import { formatSse, type Progress, type SseMessage, withHeartbeats } from "../../functions/sse.ts";
import { createInflight } from "../../local/inflight.ts";

const JOB = "job_A" as JobId;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A source that gives what it is handed, and ends or fails when it is told. */
function source() {
  const queue: SseMessage[][] = [];
  let bell = Promise.withResolvers<void>();
  let over: "no" | "ended" | Error = "no";
  let closed = false;
  async function* messages(): AsyncGenerator<SseMessage[]> {
    try {
      for (;;) {
        const message = queue.shift();
        if (message !== undefined) {
          yield message;
          continue;
        }
        if (over === "ended") return;
        if (over !== "no") throw over;
        await bell.promise;
        bell = Promise.withResolvers();
      }
    } finally {
      closed = true;
    }
  }
  return {
    messages: messages(),
    give(...given: SseMessage[]) {
      queue.push(given);
      bell.resolve();
    },
    end(how: "ended" | Error = "ended") {
      over = how;
      bell.resolve();
    },
    closed: () => closed,
  };
}

/** Reads a stream to its end in the background. */
function reader(stream: AsyncGenerator<SseMessage[]>) {
  const seen: SseMessage[] = [];
  const done = (async () => {
    for await (const messages of stream) seen.push(...messages);
  })();
  done.catch(() => undefined);
  return { seen, done };
}

const inflight = createInflight();
const report = (percent: number) => inflight.progress(JOB, { phase: "pulling", progress: { percent } } as never);
const progress: Progress = {
  latest: () => inflight.progressOf(JOB),
  subscribe: (wake) => inflight.onProgress(JOB, wake),
};
afterEach(() => inflight.progress(JOB, null));

const later = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const line = (id: number): SseMessage => ({ id, event: "log", data: { seq: id } });
const beat = (percent?: number): SseMessage => ({
  event: "heartbeat",
  data: percent === undefined ? {} : { phase: "pulling", progress: { percent } },
});

describe("a stream", () => {
  it("regression: sets one timer for each 15 s in which nothing is to be told", async () => {
    const { messages, end } = source();
    const set = vi.spyOn(globalThis, "setTimeout");
    const { seen, done } = reader(withHeartbeats(messages, progress));
    await later(14_999);
    expect(seen).toEqual([]);
    expect(set).toHaveBeenCalledTimes(1);
    await later(1);
    expect(seen).toEqual([beat()]);
    await later(45_000);
    expect(seen).toEqual([beat(), beat(), beat(), beat()]);
    expect(set).toHaveBeenCalledTimes(5);
    end();
    await done;
    expect(vi.getTimerCount()).toBe(0);
  });

  it("beats 15 s after its last message, and passes every message on in its order", async () => {
    const { messages, give, end } = source();
    const { seen, done } = reader(withHeartbeats(messages, progress));
    await later(10_000);
    give(line(1), line(2));
    await later(14_999);
    expect(seen).toEqual([line(1), line(2)]);
    await later(1);
    give(line(3));
    end();
    await done;
    expect(seen).toEqual([line(1), line(2), beat(), line(3)]);
  });

  it("tells progress at once, then every 250 ms at most, and always the latest", async () => {
    const { messages, end } = source();
    const { seen, done } = reader(withHeartbeats(messages, progress));
    await later(7_000);
    report(1);
    await later(0);
    expect(seen).toEqual([beat(1)]);
    for (let percent = 2; percent <= 50; percent++) {
      report(percent);
      await later(4);
    }
    expect(seen).toEqual([beat(1)]);
    await later(60);
    expect(seen).toEqual([beat(1), beat(50)]);
    await later(14_000);
    expect(seen).toHaveLength(2);
    end();
    await done;
  });

  it("of a reader who comes in the middle of a pull begins with its progress", async () => {
    report(30);
    const { messages, end } = source();
    const { seen, done } = reader(withHeartbeats(messages, progress));
    await later(0);
    expect(seen).toEqual([beat(30)]);
    end();
    await done;
  });

  it("says nothing of a pull's end, and goes on to beat", async () => {
    const { messages, give, end } = source();
    const { seen, done } = reader(withHeartbeats(messages, progress));
    report(99);
    await later(0);
    inflight.progress(JOB, null);
    await later(1_000);
    expect(seen).toEqual([beat(99)]);
    give(line(1));
    await later(15_000);
    expect(seen).toEqual([beat(99), line(1), beat()]);
    end();
    await done;
  });

  it("hears of its own job only", async () => {
    const { messages, end } = source();
    const { seen, done } = reader(withHeartbeats(messages, progress));
    inflight.progress("job_B" as JobId, { phase: "pulling", progress: { percent: 1 } } as never);
    await later(1_000);
    expect(seen).toEqual([]);
    end();
    await done;
  });

  it("that fails fails for its reader", async () => {
    const { messages, give, end } = source();
    const { seen, done } = reader(withHeartbeats(messages, progress));
    give(line(1));
    end(new Error("the table is gone"));
    await expect(done).rejects.toThrow("the table is gone");
    expect(seen).toEqual([line(1)]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("whose reader leaves closes its source, and nobody listens to the pull any more", async () => {
    const { messages, give, closed } = source();
    let listening = 0;
    const counted: Progress = {
      latest: () => null,
      subscribe() {
        listening += 1;
        return () => {
          listening -= 1;
        };
      },
    };
    const stream = withHeartbeats(messages, counted);
    give(line(1));
    expect(await stream.next()).toEqual({ done: false, value: [line(1)] });
    expect(listening).toBe(1);
    await stream.return(undefined);
    await later(0);
    expect([listening, closed(), vi.getTimerCount()]).toEqual([0, true, 0]);
  });
});

it("a message is one event on the wire, whatever its text holds", () => {
  const data = { text: "a\n\nevent: end\r\ndata: x\u2028" };
  const wire = formatSse({ id: 7, event: "log", data });
  expect(wire).toMatch(/^id: 7\nevent: log\ndata: [^\n]*\n\n$/);
  expect(JSON.parse(/data: ([^\n]*)\n/.exec(wire)?.[1] ?? "")).toEqual(data);
});
