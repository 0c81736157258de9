import { setImmediate as turn } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { JobId } from "../../engine/ids.ts";
import { advance } from "../../engine/ledger/advance.ts";
import { batchKey } from "../../engine/ledger/keys.ts";
import { readEvents } from "../../engine/ledger/read.ts";
import type { ChangeFeed, FeedRecord } from "../../engine/ports/table.ts";
import { createChanges } from "../../local/changes.ts";
import { acceptJob, openLedger, type TestLedger } from "../engine/ledger/fixtures.ts";
import { occurrences } from "../engine/lives.ts";

const [A, B] = ["job_A", "job_B"] as [JobId, JobId];
const never = () => new AbortController().signal;

let ledgers: TestLedger[] = [];
afterEach(async () => {
  await Promise.all(ledgers.map(({ sqlite }) => sqlite.close()));
  ledgers = [];
});
function open(): TestLedger {
  const ledger = openLedger();
  ledgers.push(ledger);
  return ledger;
}

/** Whether a promise is settled once everything that can go on by itself has. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  return await Promise.race([
    promise.then(() => true),
    turn()
      .then(turn)
      .then(() => false),
  ]);
}

/** A feed whose reads the test holds up. */
function heldFeed() {
  const records: FeedRecord[] = [];
  const waiting: (() => void)[] = [];
  let wake = (): void => undefined;
  let failure: Error | undefined;
  let reads = 0;
  const feed: ChangeFeed = {
    async read(after, limit) {
      reads += 1;
      const found = records.filter(({ position }) => position > after).slice(0, limit);
      const thrown = failure;
      await new Promise<void>((resolve) => void waiting.push(resolve));
      if (thrown !== undefined) throw thrown;
      return found;
    },
    subscribe(subscriber) {
      wake = subscriber;
      return () => {
        wake = () => undefined;
      };
    },
  };
  return {
    feed,
    reads: () => reads,
    commit(jobId: string, position = (records.at(-1)?.position ?? 0) + 1) {
      records.push({ position, item: { pk: `JOB#${jobId}`, sk: `EVENT#${position}`, jobId } });
      wake();
    },
    add: (record: FeedRecord) => void records.push(record),
    wake: () => wake(),
    fail(error: Error | undefined) {
      failure = error;
    },
    /** Lets every read end, and those that follow from it. */
    async release() {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
        one();
        await turn();
      }
    },
  };
}

describe("the changes of a job", () => {
  it("regression: wake who reads that job, and nobody else", async () => {
    const ledger = open();
    const [one, other] = [await acceptJob(ledger), await acceptJob(ledger)];
    const changes = createChanges(ledger.sqlite.feed);
    // The first read goes over what was there before; who reads those jobs is woken for nothing, once.
    const eager = changes.subscribe(other);
    await advance(ledger, await acceptJob(ledger), occurrences().ADMIT);
    await eager.next(never());
    eager.end();
    const [first, second, stranger] = [changes.subscribe(one), changes.subscribe(one), changes.subscribe(other)];
    const nexts = [first, second, stranger].map((subscription) => subscription.next(never()));
    await advance(ledger, one, occurrences().ADMIT);
    await Promise.all(nexts.slice(0, 2));
    expect(await settled(nexts[2] as Promise<void>)).toBe(false);
    await advance(ledger, other, occurrences().ADMIT);
    await nexts[2];
    changes.close();
  });

  it("wake once for many, and again for what comes then", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    const changes = createChanges(ledger.sqlite.feed);
    const subscription = changes.subscribe(jobId);
    await advance(ledger, jobId, occurrences().ADMIT);
    await advance(ledger, jobId, occurrences().CANCEL);
    await subscription.next(never());
    await settled(subscription.next(never()));
    const again = subscription.next(never());
    expect(await settled(again)).toBe(false);
    changes.close();
    await again;
  });

  it("are not lost when they come while the feed is read", async () => {
    const held = heldFeed();
    const changes = createChanges(held.feed);
    const [a, b] = [changes.subscribe(A), changes.subscribe(B)].map((subscription) => subscription.next(never()));
    held.commit(A);
    // The read is under way, and has not seen what is committed now.
    held.commit(B);
    expect(held.reads()).toBe(1);
    await held.release();
    await Promise.all([a, b]);
    expect(held.reads()).toBe(2);
  });

  it("are not lost to who subscribes while the feed is read", async () => {
    const held = heldFeed();
    const changes = createChanges(held.feed);
    changes.subscribe(B);
    held.commit(B);
    const late = changes.subscribe(A).next(never());
    held.commit(A);
    await held.release();
    await late;
  });

  it("wake everybody when the feed has lost some, or cannot be read, and go on then", async () => {
    const held = heldFeed();
    const changes = createChanges(held.feed);
    const subscription = changes.subscribe(A);
    const wakes = async () => {
      const next = subscription.next(never());
      await held.release();
      return await settled(next);
    };
    held.commit(B);
    expect(await wakes()).toBe(false);
    held.commit(B, 7);
    expect(await wakes()).toBe(true);
    held.commit(B);
    expect(await wakes()).toBe(false);
    held.fail(new Error("gone"));
    held.commit(B);
    expect(await wakes()).toBe(true);
    held.fail(undefined);
    held.commit(A);
    expect(await wakes()).toBe(true);
  });

  it("that are more than one read gives are all told", async () => {
    const held = heldFeed();
    const changes = createChanges(held.feed);
    const next = changes.subscribe(A).next(never());
    for (let position = 1; position <= 1_500; position++) {
      held.add({ position, item: { pk: "JOB#x", sk: `EVENT#${position}`, jobId: position === 1_500 ? A : B } });
    }
    held.wake();
    await held.release();
    await next;
  });

  it("are those of an accepted batch too", async () => {
    const held = heldFeed();
    const changes = createChanges(held.feed);
    const next = changes.subscribe(B).next(never());
    held.add({ position: 1, item: { ...batchKey(A), jobIds: [A, B] } });
    held.wake();
    await held.release();
    await next;
  });

  it("are not read for nobody", async () => {
    const held = heldFeed();
    const changes = createChanges(held.feed);
    const subscription = changes.subscribe(A);
    subscription.end();
    subscription.end();
    held.commit(A);
    expect(held.reads()).toBe(0);
    const next = changes.subscribe(A).next(never());
    held.commit(A);
    await held.release();
    await next;
  });

  it("end with the reader, and with the home", async () => {
    const held = heldFeed();
    const changes = createChanges(held.feed);
    const gone = new AbortController();
    const left = changes.subscribe(A).next(gone.signal);
    const stays = changes.subscribe(A).next(never());
    gone.abort();
    await left;
    expect(await settled(stays)).toBe(false);
    changes.close();
    await stays;
    await changes.subscribe(A).next(AbortSignal.abort());
  });
});

it("readers of many jobs see every event, however reads and commits meet", async () => {
  const ledger = open();
  const { feed } = ledger.sqlite;
  let n = 0;
  const slow: ChangeFeed = {
    ...feed,
    async read(after, limit) {
      const records = await feed.read(after, limit);
      // Some reads come back at once, some late.
      for (let turns = n++ % 4; turns > 0; turns--) await turn();
      return records;
    },
  };
  const changes = createChanges(slow);
  const read = async (jobId: JobId): Promise<string[]> => {
    const subscription = changes.subscribe(jobId);
    for (;;) {
      const events = await readEvents(ledger, jobId, { after: 0, limit: 100 });
      if (events.at(-1)?.type === "CANCELLED") return events.map(({ type }) => type);
      await subscription.next(never());
    }
  };
  const live = async () => {
    const jobId = await acceptJob(ledger);
    const seen = read(jobId);
    await turn();
    await advance(ledger, jobId, occurrences().CANCEL);
    return await seen;
  };
  const all = await Promise.all(Array.from({ length: 100 }, live));
  expect(new Set(all.map((types) => types.join()))).toEqual(new Set(["SUBMITTED,CANCEL_REQUESTED,CANCELLED"]));
  changes.close();
});
