import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { advance, NoSlotError } from "../../../engine/ledger/advance.ts";
import { attemptKey, masksKey, sealedKey } from "../../../engine/ledger/keys.ts";
import {
  keyInUse,
  readActive,
  readAttempts,
  readEvents,
  readJob,
  readLife,
  readWaiting,
  slotsInUse,
} from "../../../engine/ledger/read.ts";
import type { JobRecord } from "../../../engine/ledger/records.ts";
import type { Occurrence, OccurrenceType } from "../../../engine/occurrences.ts";
import { ConflictError, type Table } from "../../../engine/ports/table.ts";
import { isTerminal } from "../../../engine/states.ts";
import { CrashError, createFaultyTable, type FaultyTable } from "../../lab/faulty-table.ts";
import { finishForRetry, occurrences } from "../lives.ts";
import {
  acceptJob,
  everyEvent,
  everyJob,
  type LedgerOptions,
  openLedger,
  recounted,
  STUB_LINE,
  storedCounters,
  type TestLedger,
} from "./fixtures.ts";

const opened: TestLedger[] = [];
const open = (options: LedgerOptions = {}) => {
  const ledger = openLedger(options);
  opened.push(ledger);
  return ledger;
};
afterEach(async () => {
  for (const ledger of opened.splice(0)) await ledger.sqlite.close();
});

async function happen(ledger: TestLedger, jobId: string, all: (OccurrenceType | Occurrence)[]): Promise<void> {
  for (const one of all) await advance(ledger, jobId, typeof one === "string" ? occurrences()[one] : one);
}
const ofSecond = (types: OccurrenceType[]) => types.map((type) => occurrences(2)[type]);
const TO_RUNNING: OccurrenceType[] = ["ADMIT", "DISPATCH", "PULL", "CREATE", "START"];
const admit = (slotShard = 0): Occurrence => ({ type: "ADMIT", attempt: 1, slotShard });
const gapless = (seqs: number[]) => seqs.every((seq, n) => seq === n + 1);

describe("a transition", () => {
  test("writes job, attempt and events in one commit, or none of them", async () => {
    for (const when of ["before", "after"] as const) {
      let faulty: FaultyTable | undefined;
      const ledger = open({
        wrap: (table) => {
          faulty = createFaultyTable(table);
          return faulty;
        },
      });
      const jobId = await acceptJob(ledger);
      await advance(ledger, jobId, admit());
      faulty?.crashAt(1, when);
      await expect(advance(ledger, jobId, occurrences().DISPATCH)).rejects.toThrow(CrashError);
      faulty?.revive();
      const written = when === "after";
      const life = await readLife(ledger, jobId);
      expect(life?.job.phase).toBe(written ? "validating" : "queued");
      expect(life?.attempt?.token ?? null).toBe(written ? "token-1" : null);
      expect((await everyEvent(ledger.table, jobId)).at(-1)?.type).toBe(written ? "VALIDATED" : "ADMITTED");
    }
  });

  test("that changes nothing writes nothing", async () => {
    let faulty: FaultyTable | undefined;
    const ledger = open({
      wrap: (table) => {
        faulty = createFaultyTable(table);
        return faulty;
      },
    });
    const jobId = await acceptJob(ledger);
    faulty?.revive();
    const late = await advance(ledger, jobId, { ...occurrences().EXIT, attempt: 7 });
    const nothing = await advance(ledger, jobId, () => null);
    const none = await advance(ledger, jobId, []);
    expect([late.changed, nothing.changed, none.changed]).toEqual([false, false, false]);
    expect(faulty?.commits()).toBe(0);
  });

  test("of several occurrences is one commit; a refused one among them takes back all", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    await happen(ledger, jobId, ["ADMIT", "DISPATCH"]);
    const { PULL, CREATE, FINISH } = occurrences();
    await expect(advance(ledger, jobId, [PULL, CREATE, FINISH])).rejects.toMatchObject({ code: "CONFLICT" });
    expect((await readJob(ledger, jobId))?.phase).toBe("validating");
    const { events } = await advance(ledger, jobId, [PULL, CREATE]);
    expect(events.map(({ seq, type }) => [seq, type])).toEqual([
      [4, "IMAGE_PULLING"],
      [5, "CONTAINER_CREATING"],
    ]);
    expect((await everyEvent(ledger.table, jobId)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  });

  test("of a job that is not there is NOT_FOUND", async () => {
    const ledger = open();
    await expect(advance(ledger, "job_nobody", admit())).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("brings its extras along, in the same commit and only if it happens", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    const extras = [{ kind: "put" as const, item: { ...masksKey(jobId, 1), data: "x" } }];
    await advance(ledger, jobId, { move: occurrences().REQUEUE, extras });
    expect(await ledger.table.get(masksKey(jobId, 1))).toBeUndefined();
    await advance(ledger, jobId, { move: admit(), extras });
    expect(await ledger.table.get(masksKey(jobId, 1))).toMatchObject({ data: "x" });
  });

  test("whose extras' guard fails is a conflict in the end, not a missing slot", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    const extras = [{ kind: "check" as const, key: masksKey(jobId, 1), guard: { exists: true } }];
    await expect(advance(ledger, jobId, { move: admit(), extras })).rejects.toThrow(ConflictError);
    expect((await readJob(ledger, jobId))?.status).toBe("PENDING");
    expect(await slotsInUse(ledger, "stub")).toBe(0);
  });

  test("starts the sealed spec's expiry when the job ends, once", async () => {
    const ledger = open({ sealedRetentionSeconds: 100 });
    const jobId = await acceptJob(ledger);
    await happen(ledger, jobId, [...TO_RUNNING, "EXIT"]);
    expect(await ledger.table.get(sealedKey(jobId))).not.toHaveProperty("ttl");
    await advance(ledger, jobId, occurrences().FINISH);
    const ttl = Math.ceil(ledger.nowMs / 1000) + 100;
    expect(await ledger.table.get(sealedKey(jobId))).toMatchObject({ ttl, data: expect.any(String) });
    ledger.nowMs += 50_000;
    await advance(ledger, jobId, occurrences().CLEAN);
    expect(await ledger.table.get(sealedKey(jobId))).toMatchObject({ ttl });
  });

  test("to a next attempt keeps the sealed spec", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    await happen(ledger, jobId, [...TO_RUNNING, "EXIT"]);
    await advance(ledger, jobId, finishForRetry(1));
    expect(await ledger.table.get(sealedKey(jobId))).not.toHaveProperty("ttl");
  });

  test("to CLEANED_UP forgets the values to mask, and not before", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    await advance(ledger, jobId, admit());
    const extras = [{ kind: "put" as const, item: { ...masksKey(jobId, 1), data: "x" } }];
    await advance(ledger, jobId, { move: occurrences().DISPATCH, extras });
    await happen(ledger, jobId, ["START", "EXIT", "FINISH"]);
    expect(await ledger.table.get(masksKey(jobId, 1))).toMatchObject({ data: "x" });
    await advance(ledger, jobId, occurrences().CLEAN);
    expect(await ledger.table.get(masksKey(jobId, 1))).toBeUndefined();
  });

  test("keeps the record of every attempt", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    await happen(ledger, jobId, [...TO_RUNNING, "EXIT"]);
    await advance(ledger, jobId, finishForRetry(1));
    await happen(ledger, jobId, ["CLEAN", "REQUEUE"]);
    expect((await readLife(ledger, jobId))?.attempt).toBeNull();
    await happen(ledger, jobId, ofSecond(TO_RUNNING));
    const attempts = await readAttempts(ledger, jobId);
    expect(attempts.map(({ attempt, externalRef, exit }) => [attempt, externalRef, exit?.exitCode])).toEqual([
      [1, "ref-1", 0],
      [2, "ref-2", undefined],
    ]);
  });
});

describe("transitions at once", () => {
  test("of twenty kinds are written one after the other, with events without gaps", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    await happen(ledger, jobId, ["ADMIT", "DISPATCH"]);
    const { PULL, CREATE, START, EXIT, STOP, CANCEL, RELAUNCH, DISPATCH, ADMIT } = occurrences();
    const tokens = [1, 2, 3].map((n) => ({ ...DISPATCH, token: `again-${n}` }));
    const all = [PULL, PULL, CREATE, CREATE, START, START, EXIT, EXIT, STOP, STOP, CANCEL, CANCEL, ADMIT, ADMIT];
    const racing = [...all, RELAUNCH, RELAUNCH, RELAUNCH, ...tokens];
    expect(racing).toHaveLength(20);
    const decisions = await Promise.all(racing.map((one) => advance(ledger, jobId, one)));
    const events = await everyEvent(ledger.table, jobId);
    expect(gapless(events.map(({ seq }) => seq))).toBe(true);
    const told = decisions.flatMap((decision) => decision.events);
    expect(events.slice(3)).toEqual(told.sort((a, b) => a.seq - b.seq));
    const types = events.map(({ type }) => type);
    for (const once of ["IMAGE_PULLING", "CONTAINER_CREATING", "STARTED", "CANCEL_REQUESTED"]) {
      expect(types.filter((type) => type === once).length).toBeLessThanOrEqual(1);
    }
    expect(types.filter((type) => type === "EXITED")).toHaveLength(1);
    const life = await readLife(ledger, jobId);
    expect(life?.job).toMatchObject({ phase: "collecting", seq: events.length, generation: 1, slotShard: 2 });
    expect(life?.job.version).toBe(3 + decisions.filter(({ changed }) => changed).length);
  });

  test("of one kind happen once; all others see that it has", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    const decisions = await Promise.all(Array.from({ length: 20 }, () => advance(ledger, jobId, admit())));
    expect(decisions.filter(({ changed }) => changed)).toHaveLength(1);
    expect(decisions.filter(({ effects }) => effects.includes("start-execution"))).toHaveLength(1);
    expect(await slotsInUse(ledger, "stub")).toBe(1);
  });

  test("let a cancel and a success both happen only one way", async () => {
    for (let round = 0; round < 10; round++) {
      const ledger = open();
      const jobId = await acceptJob(ledger);
      await happen(ledger, jobId, [...TO_RUNNING, "EXIT"]);
      const cancel = advance(ledger, jobId, occurrences().CANCEL);
      const [cancelled, finished] = await Promise.allSettled(
        round % 2 === 0
          ? [cancel, advance(ledger, jobId, occurrences().FINISH)]
          : [advance(ledger, jobId, occurrences().CANCEL), advance(ledger, jobId, occurrences().FINISH), cancel],
      );
      expect(finished.status).toBe("fulfilled");
      if (cancelled.status === "rejected") expect(cancelled.reason).toMatchObject({ code: "CONFLICT" });
      await Promise.allSettled([cancel]);
      const events = await everyEvent(ledger.table, jobId);
      expect(gapless(events.map(({ seq }) => seq))).toBe(true);
      expect(events.filter(({ type }) => isTerminal(type as JobRecord["status"]))).toHaveLength(1);
    }
  });

  test("that keep losing give the conflict up to their caller instead of trying for ever", async () => {
    let reads = 0;
    const ledger = open({
      wrap: (table): Table => ({
        ...table,
        get: (key) => {
          reads++;
          return table.get(key);
        },
        // Somebody else is always faster.
        commit: (changes) =>
          Promise.reject(
            new ConflictError(
              changes.map(() => undefined),
              changes.map((_, n) => n),
            ),
          ),
      }),
    });
    const { sqlite } = ledger;
    const jobId = await acceptJob({ ...ledger, table: sqlite });
    await expect(advance(ledger, jobId, admit())).rejects.toThrow(ConflictError);
    expect(reads).toBeLessThan(200);
  });
});

describe("slots", () => {
  test.each([1, 4])("are given to no more jobs than there are, over %i shards", async (shards) => {
    const ledger = open({ maxConcurrent: () => 6, shards });
    const ids = await Promise.all(Array.from({ length: 30 }, () => acceptJob(ledger)));
    const answers = await Promise.allSettled(ids.map((id, n) => advance(ledger, id, admit(n % shards))));
    const admitted = ids.filter((_, n) => answers[n]?.status === "fulfilled");
    expect(admitted).toHaveLength(6);
    for (const answer of answers) if (answer.status === "rejected") expect(answer.reason).toBeInstanceOf(NoSlotError);
    expect(await slotsInUse(ledger, "stub")).toBe(6);
    const refused = ids.find((_, n) => answers[n]?.status === "rejected") ?? "";
    expect(await readJob(ledger, refused)).toMatchObject({ status: "PENDING", slotShard: null, version: 1 });
    expect(await everyEvent(ledger.table, refused)).toHaveLength(1);
  });

  test("of one runtime are not those of another", async () => {
    const ledger = open({ maxConcurrent: (runtime) => (runtime === "docker" ? 1 : 2) });
    const [a, b, c] = [
      await acceptJob(ledger, { runtime: "docker" }),
      await acceptJob(ledger, { runtime: "docker" }),
      await acceptJob(ledger, { runtime: "process" }),
    ];
    await advance(ledger, a, admit());
    await expect(advance(ledger, b, admit())).rejects.toThrow(NoSlotError);
    await advance(ledger, c, admit());
    expect([await slotsInUse(ledger, "docker"), await slotsInUse(ledger, "process")]).toEqual([1, 1]);
  });

  test("are free again when the attempt is over, and held until then", async () => {
    const ledger = open({ maxConcurrent: () => 1 });
    const [a, b] = [await acceptJob(ledger), await acceptJob(ledger)];
    await advance(ledger, a, admit());
    for (const type of ["DISPATCH", "PULL", "CREATE", "START", "STOP", "CANCEL", "EXIT"] as const) {
      await advance(ledger, a, occurrences()[type]);
      await expect(advance(ledger, b, admit())).rejects.toThrow(NoSlotError);
    }
    await advance(ledger, a, { ...occurrences().FINISH, outcome: { status: "CANCELLED", error: null } });
    expect((await advance(ledger, b, admit())).changed).toBe(true);
  });

  test("are free between the attempts of a job", async () => {
    const ledger = open({ maxConcurrent: () => 1 });
    const [a, b] = [await acceptJob(ledger), await acceptJob(ledger)];
    await advance(ledger, a, admit());
    await happen(ledger, a, ["DISPATCH", "START", "EXIT"]);
    await advance(ledger, a, finishForRetry(1));
    await advance(ledger, b, admit());
    await happen(ledger, a, ["CLEAN", "REQUEUE"]);
    const again: Occurrence = { type: "ADMIT", attempt: 2, slotShard: 0 };
    await expect(advance(ledger, a, again)).rejects.toThrow(NoSlotError);
  });

  test("a bound that was lowered below what runs gives none until enough is free", async () => {
    let bound = 3;
    const ledger = open({ maxConcurrent: () => bound });
    const ids = [];
    for (let n = 0; n < 4; n++) ids.push(await acceptJob(ledger));
    const [a = "", b = "", c = "", d = ""] = ids;
    for (const id of [a, b, c]) await advance(ledger, id, admit());
    bound = 2;
    await happen(ledger, a, ["EXIT", "FINISH"]);
    await expect(advance(ledger, d, admit())).rejects.toThrow(NoSlotError);
    await happen(ledger, b, ["EXIT", "FINISH"]);
    await advance(ledger, d, admit());
    expect(await slotsInUse(ledger, "stub")).toBe(2);
  });
});

describe("a concurrency key", () => {
  test("lets one job run at a time, whatever its runtime", async () => {
    const ledger = open({ shards: 4 });
    const ids = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        acceptJob(ledger, { concurrencyKey: "db-main", runtime: n % 2 === 0 ? "docker" : "process" }),
      ),
    );
    const answers = await Promise.allSettled(ids.map((id, n) => advance(ledger, id, admit(n % 4))));
    expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await keyInUse(ledger, "db-main")).toBe(1);
    // Who was refused for its key took no slot of its runtime.
    expect((await slotsInUse(ledger, "docker")) + (await slotsInUse(ledger, "process"))).toBe(1);
  });

  test("takes the operator's own bound, and keys do not touch each other", async () => {
    const ledger = open({ maxPerKey: (key) => (key === "wide" ? 3 : 1) });
    const run = async (concurrencyKey: string) => advance(ledger, await acceptJob(ledger, { concurrencyKey }), admit());
    for (let n = 0; n < 3; n++) await run("wide");
    await expect(run("wide")).rejects.toThrow(NoSlotError);
    await run("narrow");
    await expect(run("narrow")).rejects.toThrow(NoSlotError);
    expect([await keyInUse(ledger, "wide"), await keyInUse(ledger, "narrow")]).toEqual([3, 1]);
  });
});

describe("the indexes", () => {
  test("have a job where it waits or is worked on, and nowhere when all is done", async () => {
    const ledger = open();
    const jobId = await acceptJob(ledger);
    const where = async () => {
      const waiting = (await readWaiting(ledger, STUB_LINE, { limit: 10 })).items.length;
      const active = (await Array.fromAsync(readActive(ledger))).flat().length;
      return [waiting, active];
    };
    const seen: Record<string, number[]> = { SUBMITTED: await where() };
    for (const type of [...TO_RUNNING, "EXIT"] as const) {
      await advance(ledger, jobId, occurrences()[type]);
      seen[type] = await where();
    }
    await advance(ledger, jobId, finishForRetry(1));
    seen.RETRY = await where();
    await happen(ledger, jobId, ["CLEAN"]);
    seen.CLEAN = await where();
    await happen(ledger, jobId, ["REQUEUE"]);
    seen.REQUEUE = await where();
    await happen(ledger, jobId, ofSecond([...TO_RUNNING, "EXIT", "FINISH"]));
    seen.FINISH = await where();
    await happen(ledger, jobId, ofSecond(["CLEAN"]));
    seen.CLEANED = await where();
    expect(seen).toEqual({
      SUBMITTED: [1, 0],
      ADMIT: [0, 1],
      DISPATCH: [0, 1],
      PULL: [0, 1],
      CREATE: [0, 1],
      START: [0, 1],
      EXIT: [0, 1],
      RETRY: [0, 1],
      CLEAN: [0, 1],
      REQUEUE: [1, 0],
      FINISH: [0, 1],
      CLEANED: [0, 0],
    });
  });

  test("give who waits by priority, then by age", async () => {
    const ledger = open();
    const ids: Record<string, string> = {};
    for (const [name, priority] of Object.entries({ a: 0, b: -100, c: 100, d: 0, e: 5, f: -5, g: 10 })) {
      ids[await acceptJob(ledger, { name, priority })] = name;
    }
    const { items } = await readWaiting(ledger, STUB_LINE, { limit: 10 });
    expect(items.map(({ jobId }) => ids[String(jobId)]).join("")).toBe("cgeadfb");
  });
});

test("events are read from any of them on, in order", async () => {
  const ledger = open();
  const jobId = await acceptJob(ledger);
  await happen(ledger, jobId, [...TO_RUNNING, "EXIT", "FINISH", "CLEAN"]);
  const all = await everyEvent(ledger.table, jobId);
  expect(all).toHaveLength(11);
  for (let after = 0; after <= 12; after++) {
    expect(await readEvents(ledger, jobId, { after, limit: 4 })).toEqual(all.slice(after, after + 4));
  }
});

test("the counters are what can be counted from the jobs, after any lives", async () => {
  const names = { runtimes: ["docker", "stub"], keys: ["k1", "k2"] };
  const steps = fc.array(
    fc.record({
      job: fc.nat(7),
      type: fc.constantFrom<(OccurrenceType | "RETRY")[]>(
        ...([
          "ADMIT",
          "DISPATCH",
          "EXIT",
          "FINISH",
          "RETRY",
          "CLEAN",
          "REQUEUE",
          "CANCEL",
          "RELAUNCH",
          "STOP",
        ] as const),
      ),
      shard: fc.nat(1),
    }),
    { minLength: 40, maxLength: 80, size: "max" },
  );
  let mostHeld = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const ledger = openLedger({ shards: 2, maxQueued: 8, maxConcurrent: () => 3 });
      try {
        const ids = await Promise.all(
          Array.from({ length: 8 }, (_, n) =>
            acceptJob(ledger, {
              runtime: n % 2 === 0 ? "docker" : "stub",
              concurrencyKey: [null, "k1", "k2", null][n % 4] ?? null,
              lane: n < 3 ? "a" : "b",
            }),
          ),
        );
        // In threes, so that some meet.
        for (let n = 0; n < all.length; n += 3) {
          const together = all.slice(n, n + 3).map(async ({ job, type, shard }) => {
            const jobId = ids[job] ?? "";
            const attempt = (await readJob(ledger, jobId))?.attempt ?? 1;
            const plain = type === "RETRY" ? finishForRetry(attempt) : occurrences(attempt)[type];
            if (plain.type === "ADMIT") plain.slotShard = shard;
            if (plain.type === "REQUEUE") plain.queueShard = shard;
            await advance(ledger, jobId, plain);
          });
          for (const outcome of await Promise.allSettled(together)) {
            if (outcome.status === "fulfilled" || outcome.reason instanceof NoSlotError) continue;
            expect(outcome.reason).toMatchObject({ code: "CONFLICT" });
          }
        }
        const jobs = await everyJob(ledger.table);
        const counted = recounted(jobs, ledger, names);
        expect(await storedCounters(ledger, names.runtimes, names.keys)).toEqual(counted);
        const held = Object.values(counted.slots).map((shards) => shards.reduce((sum, one) => sum + one, 0));
        expect(Math.max(...held)).toBeLessThanOrEqual(3);
        expect(Math.max(...Object.values(counted.keys))).toBeLessThanOrEqual(1);
        mostHeld = Math.max(mostHeld, ...held);
        for (const { jobId, seq } of jobs) {
          const events = await everyEvent(ledger.table, jobId);
          expect(gapless(events.map((event) => event.seq))).toBe(true);
          expect(events).toHaveLength(seq);
        }
      } finally {
        await ledger.sqlite.close();
      }
    }),
    { numRuns: 60 },
  );
  expect(mostHeld).toBeGreaterThan(1);
});

test("an attempt's record has a place of its own among many", async () => {
  const ledger = open();
  const jobId = await acceptJob(ledger);
  await happen(ledger, jobId, ["ADMIT", "DISPATCH"]);
  expect(await ledger.table.get(attemptKey(jobId, 1))).toMatchObject({ attempt: 1 });
  expect(attemptKey(jobId, 2).sk < attemptKey(jobId, 10).sk).toBe(true);
});
