import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LongshoreError } from "../../../engine/errors.ts";
import { readAttempts } from "../../../engine/ledger/read.ts";
import { type AttemptOf, createLiveLogs, type LiveLogs } from "../../../engine/operations/live-log.ts";
import { type LogLine, REST_UNREADABLE } from "../../../engine/operations/log-line.ts";
import { createRandom } from "../../chaos/random.ts";
import { waitUntil } from "../../lab/wait-until.ts";
import { type GrowingLog, growingLog } from "./growing-log.ts";
import { launched, lifeOf, openWorld, type World } from "./world.ts";

let world: World;
let log: GrowingLog;
let live: LiveLogs;
let of: AttemptOf;

beforeEach(async () => {
  world = await openWorld();
  log = growingLog(world);
  live = createLiveLogs(world.ctx);
  const { jobId } = await launched(world);
  const { job } = await lifeOf(world, jobId);
  const [attempt] = await readAttempts(world.ctx.ledger, jobId);
  if (attempt === undefined) throw new Error("the job has no attempt");
  of = { job, attempt };
});
afterEach(async () => {
  // Whatever a test did: nobody is left, so nothing is open.
  await waitUntil(() => expect([live.stats(), log.opened.open]).toEqual([NOTHING, 0]));
  await world.dispose();
});

const NOTHING = { streams: 0, readers: 0, behind: 0, lines: 0, bytes: 0 };

/** A reader that takes a batch when the test lets it; `free` lets it take all. */
function reader(after = 0, options: { isSlow?: boolean } = {}) {
  const gone = new AbortController();
  const seqs: number[] = [];
  let note: LogLine | undefined;
  let tokens = options.isSlow === true ? 0 : Number.POSITIVE_INFINITY;
  let given = Promise.withResolvers<void>();
  const give = (count: number) => {
    tokens += count;
    given.resolve();
    given = Promise.withResolvers();
  };
  const followed = live.follow(of, { after, signal: gone.signal });
  const done = (async () => {
    for (;;) {
      while (tokens === 0) await given.promise;
      tokens -= 1;
      const next = await followed.next();
      if (next.done) {
        note = next.value;
        return;
      }
      seqs.push(...next.value.map(({ seq }) => seq));
    }
  })();
  done.catch(() => undefined);
  return {
    seqs,
    done,
    give,
    free: () => give(Number.POSITIVE_INFINITY),
    leave() {
      gone.abort();
      give(Number.POSITIVE_INFINITY);
    },
    note: () => note,
    has: (seq: number) => waitUntil(() => expect(seqs.at(-1)).toBe(seq)),
  };
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("a log that is followed by many", () => {
  it("is read once for 200 readers, and each gets every line once, in order", async () => {
    log.write(50);
    const readers = range(1, 200).map(() => reader());
    await Promise.all(readers.map((one) => one.has(50)));
    expect(live.stats()).toMatchObject({ streams: 1, readers: 200, lines: 50 });
    for (let n = 0; n < 20; n++) {
      log.write(97);
      await Promise.all(readers.map((one) => one.has(log.length)));
    }
    log.end();
    await Promise.all(readers.map(({ done }) => done));
    for (const { seqs } of readers) expect(seqs).toEqual(range(1, 50 + 20 * 97));
    expect(log.opened).toEqual({ follows: 1, reads: 0, open: 0 });
  });

  it("is let go when the last reader leaves, and opened again for the next one", async () => {
    log.write(5);
    const [first, second] = [reader(), reader()];
    await Promise.all([first.has(5), second.has(5)]);
    first.leave();
    await first.done;
    log.write(5);
    await second.has(10);
    expect(log.opened).toMatchObject({ follows: 1, open: 1 });
    second.leave();
    await second.done;
    await waitUntil(() => expect(log.opened.open).toBe(0));
    expect(live.stats()).toEqual(NOTHING);
    const third = reader(7);
    await third.has(10);
    expect(third.seqs).toEqual([8, 9, 10]);
    expect(log.opened.follows).toBe(2);
    log.end();
    await third.done;
  });

  it("gives whoever comes late what was before, from the runtime, and the rest from what is kept", async () => {
    const first = reader();
    log.write(5000);
    await first.has(5000);
    const late = reader();
    const later = reader(4500);
    await Promise.all([late.has(5000), later.has(5000)]);
    log.write(10);
    await Promise.all([first.has(5010), late.has(5010), later.has(5010)]);
    expect(late.seqs).toEqual(range(1, 5010));
    expect(later.seqs).toEqual(range(4501, 5010));
    // The one that was nearly there read nothing for itself.
    expect(log.opened).toMatchObject({ follows: 1, reads: 1 });
    expect(live.stats()).toMatchObject({ streams: 1, readers: 3, behind: 0 });
    log.end();
    await Promise.all([first.done, late.done, later.done]);
  });

  it("keeps a bounded number of lines and bytes, whatever its readers do", async () => {
    const slow = reader(0, { isSlow: true });
    const fast = reader();
    slow.give(1);
    const large = "x".repeat(100_000);
    for (let n = 0; n < 30; n++) {
      log.write(100, (line) => (n > 20 ? large : `line ${line}`));
      await fast.has(log.length);
      expect(live.stats().lines).toBeLessThanOrEqual(1000);
      expect(live.stats().bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    }
    const readBefore = log.opened.reads;
    slow.free();
    await slow.has(3000);
    expect(slow.seqs).toEqual(range(1, 3000));
    expect(fast.seqs).toEqual(range(1, 3000));
    expect([readBefore, log.opened.follows]).toEqual([0, 1]);
    expect(log.opened.reads).toBeGreaterThan(0);
    log.end();
    await Promise.all([slow.done, fast.done]);
  });

  it("that only slow ones read is read no further ahead than they can take from what is kept", async () => {
    const slow = reader(0, { isSlow: true });
    log.write(20_000);
    slow.give(1);
    await waitUntil(() => expect(slow.seqs.length).toBeGreaterThan(0));
    await waitUntil(() => expect(log.read).toBeGreaterThan(500));
    for (let n = 0; n < 10; n++) {
      slow.give(1);
      await waitUntil(() => expect(log.read).toBeLessThanOrEqual((slow.seqs.at(-1) ?? 0) + 1000));
    }
    slow.free();
    await slow.has(20_000);
    expect(slow.seqs).toEqual(range(1, 20_000));
    // It never fell out of what is kept: nothing was read twice.
    expect(log.opened).toMatchObject({ follows: 1, reads: 0 });
    log.end();
    await slow.done;
  });

  it("goes on for the others when the foremost reader leaves in the middle", async () => {
    const slow = reader(0, { isSlow: true });
    const fast = reader();
    slow.give(1);
    log.write(10_000);
    await fast.has(10_000);
    fast.leave();
    await fast.done;
    log.write(10_000);
    slow.free();
    await slow.has(20_000);
    expect(slow.seqs).toEqual(range(1, 20_000));
    log.end();
    await slow.done;
  });

  it("is read anew for one who comes while the first waits for what is to come", async () => {
    log.write(10);
    const ahead = reader(5000);
    await waitUntil(() => expect(log.opened.open).toBe(1));
    const fromTheStart = reader();
    await fromTheStart.has(10);
    log.write(5000);
    await Promise.all([fromTheStart.has(5010), ahead.has(5010)]);
    expect(fromTheStart.seqs).toEqual(range(1, 5010));
    expect(ahead.seqs).toEqual(range(5001, 5010));
    expect(log.opened).toMatchObject({ follows: 2, open: 1 });
    log.end();
    await Promise.all([ahead.done, fromTheStart.done]);
  });

  it("ends early for who is behind when the runtime has nothing of it any more: the rest is stored by then", async () => {
    const slow = reader(0, { isSlow: true });
    const fast = reader();
    slow.give(1);
    log.write(5000);
    await fast.has(5000);
    await waitUntil(() => expect(slow.seqs.length).toBeGreaterThan(0));
    log.remove();
    slow.free();
    await Promise.all([slow.done, fast.done]);
    expect(slow.seqs).toEqual(range(1, slow.seqs.length));
    expect(slow.seqs.length).toBeLessThan(5000);
  });

  it("that may be readable later fails for all of them, once each has what was there", async () => {
    const [one, other] = [reader(), reader(0, { isSlow: true })];
    log.write(300);
    await one.has(300);
    log.fail(new LongshoreError("RUNTIME_UNAVAILABLE", "the engine has gone"));
    await expect(one.done).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    other.free();
    await expect(other.done).rejects.toMatchObject({ code: "RUNTIME_UNAVAILABLE" });
    expect(other.seqs.length === 0 || other.seqs.length === 300).toBe(true);
  });

  it("that can never be read on ends with the same remark for all of them", async () => {
    const readers = [reader(), reader(), reader(2), reader(50)];
    log.write(3);
    await readers[0]?.has(3);
    log.fail(new LongshoreError("UNKNOWN", "damaged"));
    await Promise.all(readers.map(({ done }) => done));
    const notes = readers.map((one) => [one.note()?.seq, one.note()?.text]);
    const remark = [4, REST_UNREADABLE];
    expect(notes).toEqual([remark, remark, remark, [undefined, undefined]]);
  });

  it("loses and doubles nothing when readers of every pace come and go at random", async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = createRandom(seed);
    const readers: { from: number; one: ReturnType<typeof reader>; isSlow: boolean; hasLeft: boolean }[] = [];
    for (let step = 0; step < 300; step++) {
      const dice = random.next();
      if (dice < 0.3) log.write(random.int(1, 400));
      else if (dice < 0.45) {
        const from = random.int(0, log.length + 50);
        const isSlow = random.chance(0.6);
        readers.push({ from, isSlow, hasLeft: false, one: reader(from, { isSlow }) });
      } else if (dice < 0.55 && readers.length > 0) {
        const leaving = random.pick(readers);
        leaving.hasLeft = true;
        leaving.one.leave();
      } else for (const { one, isSlow } of readers) if (isSlow && random.chance(0.3)) one.give(1);
      if (random.chance(0.5)) await new Promise((resolve) => setImmediate(resolve));
      const { lines, bytes } = live.stats();
      expect(lines).toBeLessThanOrEqual(1000);
      expect(bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    }
    for (const { one } of readers) one.free();
    log.end();
    await Promise.all(readers.map(({ one }) => one.done));
    for (const [index, { from, one, hasLeft }] of readers.entries()) {
      const to = hasLeft ? from + one.seqs.length : Math.max(from, log.length);
      expect(one.seqs, `reader ${index} of seed ${seed}`).toEqual(range(from + 1, to));
    }
    expect(log.opened.follows, `seed ${seed}`).toBeLessThan(readers.length);
  });
});
