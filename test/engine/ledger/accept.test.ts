import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { accept, acceptedBefore, type Submission } from "../../../engine/ledger/accept.ts";
import { advance } from "../../../engine/ledger/advance.ts";
import { batchKey, jobKey, sealedKey, specKey } from "../../../engine/ledger/keys.ts";
import { listJobs } from "../../../engine/ledger/list.ts";
import { readActive, readJob, readLife, readSealed, readSpec, readWaiting } from "../../../engine/ledger/read.ts";
import { CrashError, createFaultyTable, type FaultyTable } from "../../lab/faulty-table.ts";
import { at, occurrences } from "../lives.ts";
import {
  acceptJob,
  everyEvent,
  everyJob,
  type LedgerOptions,
  openLedger,
  STUB_LINE,
  storedCounters,
  submission,
  type TestLedger,
} from "./fixtures.ts";

const SINCE = at(-3600);
const opened: TestLedger[] = [];
const open = (options: LedgerOptions = {}) => {
  const ledger = openLedger(options);
  opened.push(ledger);
  return ledger;
};
afterEach(async () => {
  for (const ledger of opened.splice(0)) await ledger.sqlite.close();
});

const many = (ledger: TestLedger, count: number): Submission[] =>
  Array.from({ length: count }, () => submission(ledger));
const idsOf = (submissions: Submission[]) => submissions.map(({ job }) => job.jobId);
const queued = async (ledger: TestLedger) => (await storedCounters(ledger, [], [])).queue;
const sum = (counts: number[]) => counts.reduce((all, one) => all + one, 0);
const idempotency = (digest: string, key = "K", caller = "somebody") => ({ caller, key, digest });

describe("one accepted job", () => {
  test("is there whole: record, spec, sealed spec, first event, places in the indexes and in the queue", async () => {
    const ledger = open();
    const one = submission(ledger);
    expect(await accept(ledger, [one], null)).toEqual({ accepted: true });
    const { jobId } = one.job;
    expect(await readLife(ledger, jobId)).toEqual({ job: { ...one.job, queueShard: 0 }, attempt: null });
    expect(await readSpec(ledger, jobId)).toEqual(one.redacted);
    expect(Buffer.from((await readSealed(ledger, jobId)) ?? []).toString()).toBe("sealed");
    expect(await everyEvent(ledger.table, jobId)).toEqual([one.submitted]);
    expect((await everyJob(ledger.table)).map((job) => job.jobId)).toEqual([jobId]);
    expect((await readWaiting(ledger, STUB_LINE, { limit: 10 })).items.map((item) => item.jobId)).toEqual([jobId]);
    expect(await queued(ledger)).toEqual([1]);
  });

  test("is on the change feed once", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    const records = await ledger.sqlite.feed.read(0, 10);
    expect(records.map(({ item }) => [item.pk, item.type])).toEqual([[`JOB#${jobId}`, "SUBMITTED"]]);
  });

  test("never replaces another with its id", async () => {
    const ledger = open();
    const one = submission(ledger);
    await accept(ledger, [one], null);
    const imposter = submission(ledger, { jobId: one.job.jobId, name: "imposter" });
    await expect(accept(ledger, [imposter], null)).rejects.toMatchObject({ name: "ConflictError" });
    await expect(accept(ledger, [imposter], idempotency("d"))).rejects.toMatchObject({ name: "ConflictError" });
    expect((await readJob(ledger, one.job.jobId))?.name).toBe("nightly");
    expect(await queued(ledger)).toEqual([1]);
  });
});

describe("an idempotency key", () => {
  test("gives the first job again for the same body, and nothing of the second is stored", async () => {
    const ledger = open();
    const [first, second] = [submission(ledger), submission(ledger)];
    await accept(ledger, [first], idempotency("d"));
    expect(await accept(ledger, [second], idempotency("d"))).toEqual({ accepted: false, jobIds: [first.job.jobId] });
    for (const key of [jobKey, specKey, sealedKey])
      expect(await ledger.table.get(key(second.job.jobId))).toBeUndefined();
    expect(await queued(ledger)).toEqual([1]);
  });

  test("whose time is over is a new one, before the table removes its record", async () => {
    const ledger = open();
    const first = submission(ledger);
    await accept(ledger, [first], idempotency("d"));
    ledger.nowMs = Math.ceil(ledger.nowMs / 1000) * 1000 + 7 * 24 * 3_600_000 - 1;
    expect(await acceptedBefore(ledger, idempotency("d"))).toEqual([first.job.jobId]);
    ledger.nowMs += 1;
    expect(await acceptedBefore(ledger, idempotency("other"))).toBeNull();
    const second = submission(ledger);
    expect(await accept(ledger, [second], idempotency("other"))).toEqual({ accepted: true });
    expect(await acceptedBefore(ledger, idempotency("other"))).toEqual([second.job.jobId]);
  });

  test("with another body is a conflict that stores nothing", async () => {
    const ledger = open();
    await accept(ledger, [submission(ledger)], idempotency("d"));
    await expect(accept(ledger, [submission(ledger)], idempotency("other"))).rejects.toMatchObject({
      code: "CONFLICT",
    });
    expect(await everyJob(ledger.table)).toHaveLength(1);
    expect(await queued(ledger)).toEqual([1]);
  });

  test("is a caller's own", async () => {
    const ledger = open();
    await accept(ledger, [submission(ledger)], idempotency("d", "K", "one"));
    expect(await accept(ledger, [submission(ledger)], idempotency("d", "K", "another"))).toEqual({ accepted: true });
    // Where one name ends and the other begins must not be ambiguous.
    expect(await accept(ledger, [submission(ledger)], idempotency("d", "b", "a#KEY#"))).toEqual({ accepted: true });
    expect(await accept(ledger, [submission(ledger)], idempotency("d", "#KEY#b", "a"))).toEqual({ accepted: true });
  });

  test("raced by twenty accepts one; all others get that one", async () => {
    const ledger = open({ shards: 4 });
    const all = many(ledger, 20);
    const answers = await Promise.all(all.map((one) => accept(ledger, [one], idempotency("d"))));
    const accepted = all.filter((_, n) => answers[n]?.accepted);
    expect(accepted).toHaveLength(1);
    const others = answers.filter((answer) => !answer.accepted);
    expect(others).toEqual(Array.from({ length: 19 }, () => ({ accepted: false, jobIds: idsOf(accepted) })));
    expect(sum(await queued(ledger))).toBe(1);
  });

  test("raced with different bodies accepts one; all others conflict", async () => {
    const ledger = open();
    const racing = many(ledger, 20).map((one, n) => accept(ledger, [one], idempotency(`d${n}`)));
    const answers = await Promise.allSettled(racing);
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const codes = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason.code] : []));
    expect(codes).toEqual(Array.from({ length: 19 }, () => "CONFLICT"));
    expect(await everyJob(ledger.table)).toHaveLength(1);
  });

  test("gives its first job also when the queue is full by now", async () => {
    const ledger = open({ maxQueued: 1 });
    const first = submission(ledger);
    await accept(ledger, [first], idempotency("d"));
    const again = accept(ledger, [submission(ledger)], idempotency("d"));
    expect(await again).toEqual({ accepted: false, jobIds: idsOf([first]) });
  });

  test("of what the queue refused can be used again", async () => {
    const ledger = open({ maxQueued: 1 });
    const blocker = await acceptJob(ledger);
    await expect(accept(ledger, [submission(ledger)], idempotency("d"))).rejects.toMatchObject({ code: "QUEUE_FULL" });
    await advance(ledger, blocker, occurrences().CANCEL);
    expect(await accept(ledger, [submission(ledger)], idempotency("d"))).toEqual({ accepted: true });
  });

  test.each([2, 40])("holds for a batch of %i as well", async (count) => {
    const ledger = open();
    const first = many(ledger, count);
    await accept(ledger, first, idempotency("d"));
    const again = await accept(ledger, many(ledger, count), idempotency("d"));
    expect(again).toEqual({ accepted: false, jobIds: idsOf(first) });
    expect(await everyJob(ledger.table)).toHaveLength(count);
    expect(await queued(ledger)).toEqual([count]);
  });
});

describe("the queue's bound", () => {
  test.each([1, 3, 4, 7])("is kept exactly by 200 submissions at once over %i shards", async (shards) => {
    const ledger = open({ maxQueued: 50, shards });
    const answers = await Promise.allSettled(many(ledger, 200).map((one) => accept(ledger, [one], null)));
    const accepted = answers.filter(({ status }) => status === "fulfilled").length;
    const refusals = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason.code] : []));
    expect(new Set(refusals)).toEqual(new Set(["QUEUE_FULL"]));
    // 200 submissions find every shard, so that its places are all used; none is given twice.
    expect(accepted).toBe(50);
    expect(sum(await queued(ledger))).toBe(50);
    expect(await everyJob(ledger.table)).toHaveLength(50);
  });

  test("lets in as many as left", async () => {
    const ledger = open({ maxQueued: 2 });
    const [first] = [await acceptJob(ledger), await acceptJob(ledger)];
    await expect(acceptJob(ledger)).rejects.toMatchObject({ code: "QUEUE_FULL" });
    await advance(ledger, first, occurrences().ADMIT);
    await acceptJob(ledger);
    await expect(acceptJob(ledger)).rejects.toMatchObject({ code: "QUEUE_FULL" });
  });

  test("of none takes none", async () => {
    await expect(acceptJob(open({ maxQueued: 0 }))).rejects.toMatchObject({ code: "QUEUE_FULL" });
  });

  test.each([10, 40])("takes a batch of %i whole or not at all", async (count) => {
    const ledger = open({ maxQueued: count });
    await acceptJob(ledger);
    await expect(accept(ledger, many(ledger, count), null)).rejects.toMatchObject({ code: "QUEUE_FULL" });
    expect(await everyJob(ledger.table)).toHaveLength(1);
    expect(await queued(ledger)).toEqual([1]);
  });
});

describe("a batch", () => {
  test.each([1, 24, 25, 26, 50, 100])("of %i is accepted whole, with one first event each", async (count) => {
    const ledger = open({ shards: 4 });
    const all = many(ledger, count);
    expect(await accept(ledger, all, idempotency("d"))).toEqual({ accepted: true });
    expect((await everyJob(ledger.table)).map(({ jobId }) => jobId).sort()).toEqual(idsOf(all));
    for (const { job } of all) {
      const stored = await readJob(ledger, job.jobId);
      expect(stored).toEqual({ ...job, queueShard: stored?.queueShard });
      expect((await everyEvent(ledger.table, job.jobId)).map(({ seq, type }) => [seq, type])).toEqual([
        [1, "SUBMITTED"],
      ]);
      for (const key of [jobKey, specKey, sealedKey])
        expect(await ledger.table.get(key(job.jobId))).not.toHaveProperty("ttl");
    }
    const counted = await queued(ledger);
    expect(counted.filter((n) => n > 0)).toEqual([count]);
    const waiting = await readWaiting(ledger, STUB_LINE, { limit: 1000 });
    expect(waiting.items.map(({ jobId }) => jobId)).toEqual(idsOf(all));
  });

  /** Lets the acceptance of 60 jobs die at each of its commits in turn. */
  async function crashed(
    n: number,
    when: "before" | "after",
  ): Promise<{ ledger: TestLedger; all: Submission[] } | null> {
    let faulty: FaultyTable | undefined;
    const ledger = open({
      wrap: (table) => {
        faulty = createFaultyTable(table);
        return faulty;
      },
    });
    const all = many(ledger, 60);
    faulty?.crashAt(n, when);
    const outcome = await accept(ledger, all, idempotency("d")).catch((error: unknown) => error);
    faulty?.revive();
    if (!(outcome instanceof CrashError)) return null;
    return { ledger, all };
  }

  const STAGING_COMMITS = 3;
  const cases = [1, 2, 3, 4, 5, 6, 7].flatMap((n) => (["before", "after"] as const).map((when) => [n, when] as const));

  test.each(cases)("of 60 that died at commit %i (%s) is there whole or not at all", async (n, when) => {
    const died = await crashed(n, when);
    expect(died).not.toBeNull();
    const { ledger, all } = died as NonNullable<typeof died>;
    const wasAccepted = n > STAGING_COMMITS + 1 || (n === STAGING_COMMITS + 1 && when === "after");
    const found = await Promise.all(all.map(({ job }) => readJob(ledger, job.jobId)));
    expect(found.filter((job) => job !== undefined)).toHaveLength(wasAccepted ? 60 : 0);
    expect(await queued(ledger)).toEqual([wasAccepted ? 60 : 0]);
    if (wasAccepted) return;
    expect(await everyJob(ledger.table)).toEqual([]);
    expect((await listJobs(ledger, {}, { limit: 50, since: SINCE })).jobs).toEqual([]);
    expect((await readWaiting(ledger, STUB_LINE, { limit: 100 })).items).toEqual([]);
    expect((await Array.fromAsync(readActive(ledger))).flat()).toEqual([]);
    for (const { job } of all) {
      const refused = advance(ledger, job.jobId, occurrences().ADMIT);
      await expect(refused).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
    // What was staged does not stay for ever: it holds sealed specs.
    ledger.nowMs += 7 * 24 * 3_600_000 + 1_000;
    await ledger.sqlite.sweepExpired(Math.floor(ledger.nowMs / 1000), 1000);
    for (const { job } of all) {
      for (const key of [jobKey, specKey, sealedKey]) expect(await ledger.table.get(key(job.jobId))).toBeUndefined();
    }
  });

  test("that died before its jobs were published is healed by whoever advances one", async () => {
    const died = await crashed(STAGING_COMMITS + 1, "after");
    const { ledger, all } = died as NonNullable<typeof died>;
    const first = idsOf(all)[0] ?? "";
    expect(await everyJob(ledger.table)).toEqual([]);
    const { life, events } = await advance(ledger, first, occurrences().ADMIT);
    expect(events.map(({ seq, type }) => [seq, type])).toEqual([[2, "ADMITTED"]]);
    expect(life.job).not.toHaveProperty("stagedIn");
    expect((await everyEvent(ledger.table, first)).map(({ seq }) => seq)).toEqual([1, 2]);
    expect((await everyJob(ledger.table)).map(({ jobId }) => jobId)).toEqual([first]);
    expect(await queued(ledger)).toEqual([59]);
  });

  test("that died before its jobs were published has its record on the change feed", async () => {
    const died = await crashed(STAGING_COMMITS + 1, "after");
    const { ledger, all } = died as NonNullable<typeof died>;
    const records = await ledger.sqlite.feed.read(0, 100);
    expect(records.map(({ item }) => ({ pk: item.pk, jobIds: item.jobIds }))).toEqual([
      { pk: batchKey(all[0]?.job.jobId ?? "").pk, jobIds: idsOf(all) },
    ]);
  });
});

test("what was accepted is there after the file was opened again", async () => {
  const directory = await mkdtemp(join(tmpdir(), "longshore-ledger-"));
  try {
    const file = join(directory, "ledger.db");
    const first = openLedger({ file });
    const all = many(first, 30);
    await accept(first, all, idempotency("d"));
    const { job } = await readLife(first, all[0]?.job.jobId ?? "").then((life) => life ?? expect.fail("no job"));
    await first.sqlite.close();
    const second = open({ file });
    expect((await everyJob(second.table)).map(({ jobId }) => jobId).sort()).toEqual(idsOf(all));
    expect((await readLife(second, job.jobId))?.job).toEqual(job);
    expect(await accept(second, many(second, 30), idempotency("d"))).toEqual({ accepted: false, jobIds: idsOf(all) });
  } finally {
    await rm(directory, { recursive: true });
  }
});
